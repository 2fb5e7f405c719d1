//! What the function answers with is kept before its event is settled, and without calling it again.

use super::*;
use outrigger_core::{
    Value,
    event::lineage::{CAUSATION, CORRELATION, HOPS},
};

/// A home of replies that fails for its first writes.
struct Topic {
    log: Mutex<Vec<String>>,
    failures: Mutex<Vec<Kind>>,
}

impl Topic {
    fn failing(failures: &[Kind]) -> Arc<Self> {
        Arc::new(Self { log: Mutex::default(), failures: Mutex::new(failures.to_vec()) })
    }
}

impl Sink for Topic {
    fn send<'a>(&'a self, event: &'a Event) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if let Some(kind) = lock(&self.failures).pop() {
                return Err(Error::new(kind, "the topic says no"));
            }
            let line = [HOPS, CORRELATION, CAUSATION].map(|name| event.text(name).unwrap_or_default());
            lock(&self.log).push(format!("{} {}", event.id(), line.join(" ")));
            Ok(())
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside failures in scripts")]
fn with_reply(id: &str) -> Result<Reply> {
    let event = Event::new(&format!("re-{id}"), "/function", "reply").unwrap();
    Ok(Reply { status: 200, event: Some(event), ..Reply::default() })
}

#[tokio::test(start_paused = true)]
async fn a_reply_is_kept_before_its_event_is_acknowledged_and_the_function_is_called_once() {
    let topic = Topic::failing(&[Kind::Storage, Kind::Unreachable, Kind::TimedOut]);
    let bench = Bench::with_replies(|_| (), |id, _| (MS, with_reply(id)), Some(topic.clone()));
    bench.push("a1", Some("a"));
    bench.push("a2", Some("a"));
    bench.settled(2).await;
    assert_eq!(bench.log(), ["call a1", "ack a1", "call a2", "ack a2"]);
    assert_eq!(*lock(&topic.log), ["re-a1 1 a1 a1", "re-a2 1 a2 a2"]);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_can_never_be_kept_makes_its_event_a_dead_letter() {
    let topic = Topic::failing(&[Kind::Invalid]);
    let bench = Bench::with_replies(|_| (), |id, _| (MS, with_reply(id)), Some(topic.clone()));
    bench.push("a", None);
    bench.settled(1).await;
    assert_eq!(bench.log(), ["call a", "dead a reply-refused after 0", "ack a"]);
    assert!(lock(&topic.log).is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_reply_waits_is_released_by_a_drain() {
    let topic = Topic::failing(&[Kind::Storage; 1_000]);
    let bench = Bench::with_replies(|_| (), |id, _| (MS, with_reply(id)), Some(topic));
    bench.push("a", None);
    tokio::time::sleep(5 * MS).await;
    assert_eq!(bench.target.drain(now() + Duration::from_secs(3)).await, 1);
    assert_eq!(bench.log(), ["call a", "release a"]);
}

/// An event that is itself a reply, so many hops from its origin.
fn hopped(bench: &Bench, id: &str, hops: i32) -> Delivery {
    let mut delivery = bench.delivery(id, None);
    let event = delivery.item.as_mut().unwrap();
    event.set(HOPS, Value::Integer(hops)).unwrap();
    event.set(CORRELATION, Value::String("flow")).unwrap();
    delivery
}

#[tokio::test(start_paused = true)]
async fn a_line_of_replies_that_gets_too_long_is_cut_and_its_event_is_kept() {
    let topic = Topic::failing(&[]);
    let bench = Bench::with_replies(
        |settings| settings.hops_max = 3,
        |id, _| (MS, with_reply(id)),
        Some(topic.clone()),
    );
    bench.target.push(hopped(&bench, "a", 2));
    bench.settled(1).await;
    bench.target.push(hopped(&bench, "b", 3));
    bench.settled(2).await;
    assert_eq!(bench.log(), ["call a", "ack a", "call b", "dead b reply-refused after 0", "ack b"]);
    assert_eq!(*lock(&topic.log), ["re-a 3 flow a"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_waits_gets_the_reply_in_its_line_and_none_that_is_too_many() {
    let bench = Bench::new(|settings| settings.hops_max = 3, |id, _| (MS, with_reply(id)));
    for (hops, answered) in [(2, Some("3")), (3, None)] {
        let (mut receipts, outcome) = Receipt::batch(1);
        let receipt = receipts.remove(0);
        let once = Some(now() + Duration::from_secs(1));
        bench.target.push(Delivery { once, receipt, ..hopped(&bench, "a", hops) });
        let Settlement::Ack(Some(reply)) = outcome.await.remove(0) else { panic!("it was not delivered") };
        let told = reply.event.as_ref().map(|event| event.text(HOPS).unwrap().into_owned());
        assert_eq!(told.as_deref(), answered);
        assert_eq!(reply.status, if answered.is_some() { 200 } else { 204 });
    }
}
