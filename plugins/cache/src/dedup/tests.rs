use super::*;
use outrigger_core::{Kept, Kind, drain};

fn settings() -> Settings {
    let window = Duration::from_hours(1);
    Settings { window, bytes_max: 1 << 16, on_another: OnAnother::Deliver, shared: None }
}

fn mark(id: &str) -> Mark {
    Mark { receiver: "r".into(), target: "t".into(), source: "/s".to_owned(), id: id.to_owned() }
}

/// A journal with marks of some ages, the newest first; it counts how often it is asked.
#[derive(Default)]
struct Journal {
    kept: Mutex<Vec<(String, Duration)>>,
    asked: Mutex<u32>,
    fails: Mutex<u32>,
}

impl Ledger for Journal {
    fn ask<'a>(&'a self, mark: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        *self.asked.lock().unwrap() += 1;
        let known = self.kept.lock().unwrap().iter().any(|(id, _)| *id == mark.id);
        Box::pin(std::future::ready(Ok(if known { Known::Same } else { Known::New })))
    }

    fn mark<'a>(&'a self, mark: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        self.kept.lock().unwrap().insert(0, (mark.id.clone(), Duration::ZERO));
        Box::pin(std::future::ready(Ok(())))
    }

    fn before(&self, n: Option<u64>) -> BoxFuture<'_, Result<Vec<Kept>>> {
        let fails = &mut *self.fails.lock().unwrap();
        if *fails > 0 {
            *fails -= 1;
            return Box::pin(std::future::ready(Err(Error::new(Kind::Overloaded, "planted"))));
        }
        let kept = self.kept.lock().unwrap();
        let count = kept.len() as u64;
        let numbered = (1..=count).rev().zip(kept.iter()).filter(|(at, _)| n.is_none_or(|n| *at < n)).take(2);
        let page = numbered.map(|(n, (id, age))| Kept { n, mark: mark(id), payload: None, age: *age });
        Box::pin(std::future::ready(Ok(page.collect())))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_marked_is_known_at_once_for_its_window() {
    let dedup = Dedup::open(settings(), 1_000).unwrap();
    let ledger = dedup.ledger(None);
    assert_eq!(ledger.glance(&mark("a"), None), Some(Known::New));
    ledger.mark(&mark("a"), None).await.unwrap();
    assert_eq!(dedup.ledger(None).glance(&mark("a"), None), Some(Known::Same), "one store for all targets");
    let elsewhere = Mark { target: "u".into(), ..mark("a") };
    assert_eq!(ledger.glance(&elsewhere, None), Some(Known::New));
    tokio::time::advance(Duration::from_hours(1)).await;
    assert_eq!(ledger.ask(&mark("a"), None).await.unwrap(), Known::New);
}

#[test]
fn a_payload_is_type_and_data_and_nothing_else() {
    let ledger = |event: &Event| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _guard = runtime.enter();
        Dedup::open(settings(), 0).unwrap().marks.payload(event)
    };
    let event = |ty: &str, data: Option<&'static str>| {
        let mut event = Event::new("a", "/s", ty).unwrap();
        event.set_data(data.map(Into::into));
        event
    };
    let payload = ledger(&event("t", Some("x")));
    assert_eq!(payload, ledger(&event("t", Some("x"))));
    for other in [event("t", None), event("t", Some("")), event("t", Some("y")), event("tx", Some(""))] {
        assert_ne!(payload, ledger(&other));
    }
    assert_ne!(ledger(&event("t", None)), ledger(&event("t", Some(""))));
}

#[tokio::test(start_paused = true)]
async fn row_5_marks_of_before_a_restart_are_asked_of_the_journal_until_they_are_read_and_then_known() {
    let journal = Arc::new(Journal::default());
    *journal.fails.lock().unwrap() = 1;
    let minutes = |n: u64| Duration::from_mins(n);
    let kept = [("new", 0), ("young", 5), ("older", 59), ("old", 61), ("ancient", 600)];
    *journal.kept.lock().unwrap() = kept.map(|(id, age)| (id.to_owned(), minutes(age))).to_vec();
    let dedup = Dedup::open(settings(), 1_000_000_000).unwrap();
    let ledger = dedup.ledger(Some(journal.clone()));
    assert_eq!(ledger.glance(&mark("young"), None), None);
    assert_eq!(ledger.ask(&mark("young"), None).await.unwrap(), Known::Same);
    assert_eq!(*journal.asked.lock().unwrap(), 1);

    let (_stop, draining) = drain::channel();
    dedup.read(draining).unwrap().await;
    for (id, known) in
        [("new", Known::Same), ("older", Known::Same), ("old", Known::New), ("never", Known::New)]
    {
        assert_eq!(ledger.glance(&mark(id), None), Some(known), "{id}");
        assert_eq!(ledger.ask(&mark(id), None).await.unwrap(), known, "{id}");
    }
    assert_eq!(*journal.asked.lock().unwrap(), 1, "memory is asked alone from here on");
    ledger.mark(&mark("b"), None).await.unwrap();
    assert_eq!(journal.kept.lock().unwrap()[0].0, "b", "it is written there before it is acknowledged");
    assert_eq!(dedup.stats().marks, 4);
}

#[tokio::test]
async fn reading_ends_with_the_drain() {
    let journal = Arc::new(Journal::default());
    *journal.fails.lock().unwrap() = u32::MAX;
    let dedup = Dedup::open(settings(), 0).unwrap();
    let _ledger = dedup.ledger(Some(journal));
    let (stop, draining) = drain::channel();
    let reading = tokio::spawn(dedup.read(draining).unwrap());
    stop.start();
    tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
}
