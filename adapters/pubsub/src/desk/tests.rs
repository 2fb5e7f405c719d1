//! The desk without Pub/Sub: leases that only note what they are told.

use super::*;
use crate::Link;
use outrigger_core::{BoxFuture, Settlement};
use tokio::sync::oneshot;

/// What leases were told.
type Told = Arc<Mutex<Vec<String>>>;

struct Noting {
    name: String,
    told: Told,
    /// Where delivery is exactly once: the confirmation.
    confirmed: Option<oneshot::Receiver<Result<(), String>>>,
}

impl Lease for Noting {
    fn ack(self) -> Option<BoxFuture<'static, Result<(), String>>> {
        lock(&self.told).push(format!("ack {}", self.name));
        let confirmed = self.confirmed?;
        Some(Box::pin(async move { confirmed.await.unwrap_or_else(|error| Err(error.to_string())) }))
    }

    fn nack(self) {
        lock(&self.told).push(format!("nack {}", self.name));
    }
}

struct Bench {
    desk: Arc<Desk<Noting>>,
    told: Told,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(Link::emulator("localhost:1", Some("p")), &["subscription"]);
        change(&mut config);
        let places = config.places().unwrap();
        Self { desk: Desk::new(Arc::new(config), places, Handle::current()), told: Told::default() }
    }

    fn comes(&self, id: &str, key: &str) {
        self.comes_as(id, key, None);
    }

    fn comes_as(&self, id: &str, key: &str, confirmed: Option<oneshot::Receiver<Result<(), String>>>) {
        let message = Message {
            data: bytes::Bytes::from(vec![b'x'; 1000]),
            id: id.to_owned(),
            ordering_key: key.to_owned(),
            ..Message::default()
        };
        let lease = Noting { name: id.to_owned(), told: self.told.clone(), confirmed };
        self.desk.take(0, &message, Some(1), lease);
    }

    fn next(&self) -> Delivery {
        self.desk.next_waiting().expect("a delivery waits")
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.told))
    }

    fn status(&self) -> Status {
        let mut status = Status::default();
        self.desk.show(&mut status);
        status
    }

    async fn has_room(&self) -> bool {
        tokio::time::timeout(Duration::from_millis(1), self.desk.room()).await.is_ok()
    }
}

fn release(delivery: Delivery, after: Option<Duration>) {
    delivery.receipt.settle(Settlement::Release { after });
}

#[tokio::test(start_paused = true)]
async fn messages_and_bytes_in_hand_are_bounded_until_they_are_settled() {
    let bench = Bench::new(|config| (config.events_max, config.bytes_max) = (2, 1 << 20));
    bench.comes("1", "");
    assert!(bench.has_room().await);
    bench.comes("2", "");
    assert!(!bench.has_room().await);
    let (first, second) = (bench.next(), bench.next());
    assert!(!bench.has_room().await, "in the window they are in hand as well");
    first.receipt.settle(Settlement::Ack(None));
    assert!(bench.has_room().await);
    drop(second);
    assert_eq!(bench.told(), ["ack 1", "nack 2"]);
    assert_eq!((bench.status().in_hand, bench.status().in_hand_bytes), (0, 0));

    let bench = Bench::new(|config| config.bytes_max = 1500);
    bench.comes("1", "");
    assert!(bench.has_room().await);
    bench.comes("2", "");
    assert!(!bench.has_room().await);
}

#[tokio::test(start_paused = true)]
async fn an_exactly_once_ack_takes_its_place_until_it_is_confirmed() {
    let bench = Bench::new(|config| config.events_max = 1);
    for (answer, acks, failures) in [(Ok(()), 1, 0), (Err("stale".to_owned()), 1, 1)] {
        let (confirm, confirmed) = oneshot::channel();
        bench.comes_as("1", "", Some(confirmed));
        bench.next().receipt.settle(Settlement::Ack(None));
        assert!(!bench.has_room().await);
        confirm.send(answer).unwrap();
        assert!(bench.has_room().await);
        assert_eq!((bench.status().acks, bench.status().ack_failures), (acks, failures));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_to_wait_keeps_its_lease_and_place_and_goes_back_then() {
    let bench = Bench::new(|config| config.events_max = 1);
    bench.comes("1", "k");
    release(bench.next(), Some(Duration::from_mins(1)));
    assert_eq!(bench.told(), [""; 0]);
    assert!(!bench.has_room().await);
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(bench.told(), ["nack 1"]);
    assert!(bench.has_room().await);
    // What was on its way meanwhile would have gone before it.
    bench.comes("2", "k");
    assert_eq!(bench.told(), ["nack 2"]);
}

#[tokio::test(start_paused = true)]
async fn the_tail_of_a_key_is_not_wanted_any_more_and_comes_behind_the_first_again() {
    let bench = Bench::new(|_| {});
    for id in ["1", "2", "3"] {
        bench.comes(id, "k");
    }
    bench.comes("other", "j");
    let [first, second, third, other] = std::array::from_fn(|_| bench.next());
    release(first, None);
    bench.desk.stale.notified().await; // the lanes are told to let go
    assert!(!second.receipt.wanted() && !third.receipt.wanted() && other.receipt.wanted());
    drop((second, third));
    assert_eq!(bench.told(), ["nack 1", "nack 2", "nack 3"]);
    assert_eq!((bench.status().nacks, bench.status().tails), (3, 2));
    for id in ["2", "1", "2", "3"] {
        bench.comes(id, "k");
    }
    assert_eq!(bench.told(), ["nack 2"], "it came before the first");
    let ids: Vec<_> = std::iter::from_fn(|| bench.desk.next_waiting()).map(|it| it.origin.position).collect();
    let ids: Vec<_> = ids.iter().map(|it| it.to_string().rsplit('/').next().unwrap().to_owned()).collect();
    assert_eq!(ids, ["1", "2", "3"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_hand_for_too_long_is_not_wanted_any_more() {
    let bench = Bench::new(|config| config.lease_max = Duration::from_mins(1));
    bench.comes("1", "");
    let delivery = bench.next();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(delivery.receipt.wanted());
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.desk.tick();
    bench.desk.stale.notified().await;
    assert!(!delivery.receipt.wanted());
    drop(delivery);
    assert_eq!(bench.status().expired, 1);
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_pubsub_counted_are_attempts_and_a_large_message_is_malformed() {
    let bench = Bench::new(|config| config.message_bytes_max = 999);
    let message = Message { data: vec![0; 1000].into(), id: "1".to_owned(), ..Message::default() };
    let lease = Noting { name: "1".to_owned(), told: bench.told.clone(), confirmed: None };
    bench.desk.take(0, &message, Some(4), lease);
    let delivery = bench.next();
    assert_eq!((delivery.attempts, bench.status().redelivered), (3, 1));
    let why = delivery.item.unwrap_err().why;
    assert!(why.contains("ingress.pubsub.message_bytes_max"), "{why}");
}
