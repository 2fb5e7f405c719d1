//! What the function answers with is kept before its event is settled, and without calling it again.

use super::*;

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
            lock(&self.log).push(event.id().to_owned());
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
    assert_eq!(*lock(&topic.log), ["re-a1", "re-a2"]);
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
