//! Kept events: what becomes of them, how long they stay, how they come again, and who had them come.

mod common;

use common::{Place, Running, entries, event, id, ids, letter};
use outrigger_core::{
    Code, DeadLetters, Delivery, Event, Fate, Kind, Origin, Position, Settlement, event::hop,
};
use outrigger_journal::{
    Entry, Journal,
    audit::Order,
    dead::{self, Page},
    events::{Filter, Head, Outcome},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

fn keeping() -> Place {
    let mut place = Place::new();
    place.config.keep_settled = true;
    place
}

fn all() -> Filter {
    Filter::default()
}

fn only(seqs: &[u64]) -> Filter {
    Filter { seqs: seqs.to_vec(), ..all() }
}

fn by(who: &str) -> Order {
    Order { by: who.to_owned(), what: "these".to_owned() }
}

async fn listed(journal: &Journal, filter: Filter) -> Vec<Head> {
    let listed = journal.events(filter, Page::default()).await.unwrap();
    assert_eq!(listed.next, None);
    listed.events
}

async fn seqs(journal: &Journal, filter: Filter) -> Vec<u64> {
    listed(journal, filter).await.iter().map(|head| head.seq).collect()
}

/// It ends as `fate` at `place`.
fn end(delivery: Delivery, place: &str, fate: Fate) {
    delivery.receipt.attempted(2);
    delivery.receipt.became(&place.into(), fate, 2);
    delivery.receipt.settle(Settlement::Ack(None));
}

async fn delivered(running: &Running, n: usize) {
    for delivery in running.desk.take(n).await {
        end(delivery, "function", Fate::Delivered);
    }
    running.journal.flush().await.unwrap();
}

fn origin() -> Origin {
    Origin { source: "kafka".into(), position: Position::Offset("orders/3".into(), 17), headers: Vec::new() }
}

#[tokio::test]
async fn a_settled_event_is_kept_with_what_became_of_it_and_one_that_waits_is_listed() {
    let place = keeping();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..6)).await.unwrap();
    let mut deliveries: Vec<_> = running.desk.take(5).await;
    let waits = deliveries.pop();
    let ends = [
        ("function", Fate::Delivered),
        ("audit", Fate::Dead(Code::Refused)),
        ("noise", Fate::Discarded),
        ("slow", Fate::Queued),
    ];
    for (delivery, (at, fate)) in deliveries.into_iter().zip(ends) {
        end(delivery, at, fate);
    }
    running.journal.flush().await.unwrap();

    let heads = listed(&running.journal, all()).await;
    let outcomes: Vec<_> = heads.iter().map(|head| (head.seq, head.outcome.name())).collect();
    let expected = [(1, "delivered"), (2, "dead-letter"), (3, "discarded"), (4, "delivered"), (5, "waiting")];
    assert_eq!(outcomes, expected);
    assert_eq!(heads[1].fates, [("audit".to_owned(), "dead-letter:refused".to_owned(), 2)]);
    assert_eq!((heads[0].attempts, heads[4].settled_ms), (2, None));
    assert_eq!((heads[0].origin.as_str(), heads[0].position.as_str()), ("journal", "1"));
    assert!(heads[0].settled_ms >= Some(heads[0].received_ms));
    let (head, found) = running.journal.event(1).await.unwrap().unwrap();
    assert_eq!((&head, found), (&heads[0], event(1)));
    assert_eq!(running.journal.event(5).await.unwrap().unwrap().1, event(5));
    assert_eq!(running.journal.event(6).await.unwrap(), None);
    drop(waits);
}

#[tokio::test]
async fn what_is_kept_survives_a_kill_as_settlements_do_and_nothing_is_there_twice() {
    let place = keeping();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..4)).await.unwrap();
    delivered(&running, 2).await;
    end(running.desk.next().await, "function", Fate::Delivered); // not on disk yet

    let after = place.crash().open();
    let outcomes: Vec<_> = listed(&after, all()).await.iter().map(|head| (head.seq, head.outcome)).collect();
    assert_eq!(outcomes, [(1, Outcome::Delivered), (2, Outcome::Delivered), (3, Outcome::Waiting)]);
    assert_eq!((after.stats().kept, after.stats().pending), (2, 1));
}

#[tokio::test]
async fn nothing_is_kept_where_that_is_off_but_what_a_target_keeps() {
    let place = Place::new();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..3)).await.unwrap();
    delivered(&running, 2).await;
    assert_eq!(listed(&running.journal, all()).await, []);

    let key = outrigger_core::Key::new("kafka", b"k");
    running.journal.keep(&"archive".into(), &event(9), Some(&key), &origin()).await.unwrap();
    let after = place.crash().open();
    let heads = listed(&after, all()).await;
    let head = &heads[0];
    assert_eq!((heads.len(), head.seq, head.outcome), (1, 3, Outcome::Delivered));
    assert_eq!(head.fates, [("archive".to_owned(), "delivered".to_owned(), 1)]);
    assert_eq!((head.origin.as_str(), head.position.as_str()), ("kafka", "orders/3/17"));
    assert_eq!(head.key.as_deref(), Some("k"));
    assert_eq!(after.append(entries([10])).await.unwrap(), [4], "one number names one event");
}

#[tokio::test]
async fn each_part_of_a_filter_narrows_and_a_long_list_comes_in_parts() {
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000);
    let mut place = keeping();
    place.config.clock = || NOW_MS.load(Ordering::Relaxed);
    let running = Running::start(place.open(), 100);
    for n in 1..=4 {
        NOW_MS.store(n * 1_000, Ordering::Relaxed);
        let subject = if n == 3 { "three" } else { "other" };
        let mut event = Event::new(&n.to_string(), "/s", if n < 3 { "low" } else { "high" }).unwrap();
        event.set("subject", outrigger_core::Value::String(subject)).unwrap();
        let key = (n == 2).then(|| outrigger_core::Key::new("http", b"k"));
        running.journal.append(vec![Entry { event, key }]).await.unwrap();
    }
    let mut deliveries = running.desk.take(4).await;
    let last = deliveries.pop().unwrap();
    for delivery in deliveries {
        end(delivery, "function", Fate::Delivered);
    }
    end(last, "audit", Fate::Dead(Code::Exhausted));
    running.journal.flush().await.unwrap();

    let text = |text: &str| Some(text.to_owned());
    for (filter, expected) in [
        (all(), vec![1, 2, 3, 4]),
        (only(&[4, 2, 77, 2]), vec![2, 4]),
        (Filter { id: text("3"), ..all() }, vec![3]),
        (Filter { ty: text("low"), ..all() }, vec![1, 2]),
        (Filter { source: text("/"), ..all() }, vec![]),
        (Filter { subject: text("three"), ..all() }, vec![3]),
        (Filter { key: text("k"), ..all() }, vec![2]),
        (Filter { target: text("audit"), ..all() }, vec![4]),
        (Filter { outcome: Some(Outcome::Delivered), ty: text("high"), ..all() }, vec![3]),
        (Filter { since_ms: Some(2_000), until_ms: Some(4_000), ..all() }, vec![2, 3]),
    ] {
        assert_eq!(seqs(&running.journal, filter.clone()).await, expected, "{filter:?}");
    }
    let (mut page, mut parts) = (Page { after: 0, limit: 3 }, Vec::new());
    loop {
        let listed = running.journal.events(all(), page).await.unwrap();
        parts.push(listed.events.iter().map(|head| head.seq).collect::<Vec<_>>());
        let Some(after) = listed.next else { break };
        page.after = after;
    }
    assert_eq!(parts, [vec![1, 2, 3], vec![4]]);
}

#[tokio::test]
async fn the_oldest_go_first_when_they_are_too_many_bytes() {
    let mut place = keeping();
    place.config.keep_bytes_max = 64 << 10;
    let running = Running::start(place.open(), 100);
    let large = |n: u64| Entry {
        event: event(n).with_data("text/plain", vec![b'x'; 20_000].into()).unwrap(),
        key: None,
    };
    running.journal.append((1..=5).map(large).collect()).await.unwrap();
    delivered(&running, 5).await;
    assert_eq!(seqs(&running.journal, all()).await, [3, 4, 5]);
    let stats = running.journal.stats();
    assert_eq!((stats.kept, stats.expired), (3, 2));
    assert!(stats.kept_bytes <= 64 << 10, "{stats:?}");

    let huge = event(6).with_data("text/plain", vec![b'x'; 100_000].into()).unwrap();
    let refused = running.journal.keep(&"archive".into(), &huge, None, &origin()).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Invalid, "{refused}");
    running.journal.append(vec![Entry { event: huge, key: None }]).await.unwrap();
    delivered(&running, 1).await;
    assert_eq!(seqs(&running.journal, all()).await, [3, 4, 5], "what cannot be kept makes nobody go");
    assert_eq!((running.journal.stats().expired, running.journal.stats().pending), (3, 0));
}

#[tokio::test]
async fn what_is_too_old_goes_at_the_start_and_the_rest_stays() {
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000);
    let mut place = keeping();
    place.config.keep_age_max = Duration::from_mins(1);
    place.config.clock = || NOW_MS.load(Ordering::Relaxed);
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..3)).await.unwrap();
    delivered(&running, 2).await;
    NOW_MS.fetch_add(50_000, Ordering::Relaxed);
    running.journal.append(entries(3..4)).await.unwrap();
    delivered(&running, 1).await;
    running.stop().await;

    NOW_MS.fetch_add(20_000, Ordering::Relaxed);
    let journal = place.open();
    assert_eq!(seqs(&journal, all()).await, [3]);
    assert_eq!((journal.stats().expired, journal.stats().kept), (2, 1));
}

#[tokio::test]
async fn a_replayed_event_comes_again_and_who_had_it_come_is_written_down() {
    let place = keeping();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..5)).await.unwrap();
    delivered(&running, 3).await;
    let waits = running.desk.next().await;

    let dry =
        running.journal.replay_events((all(), Page::default()), None, by("nobody"), true).await.unwrap();
    assert_eq!(dry.replayed, [(1, 0), (2, 0), (3, 0)]);
    assert_eq!(running.journal.audit(None, 10).await.unwrap().0, []);

    let asked = (only(&[1, 3, 4]), Page::default());
    let done = running.journal.replay_events(asked, None, by("user a (uid 7)"), false).await.unwrap();
    assert_eq!(done.replayed, [(1, 5), (3, 6)]);
    assert_eq!(done.refused, [(4, "it still waits to be delivered".to_owned())]);
    let again = running.desk.take(2).await;
    assert_eq!(ids(&again), [1, 3]);
    assert!(again.iter().all(|delivery| delivery.receipt.is_replay() && delivery.attempts == 0));
    assert!(!waits.receipt.is_replay());
    assert_eq!(again[0].item.as_ref().unwrap(), &event(1));

    let aimed =
        running.journal.replay_events((only(&[2]), Page::default()), Some("audit".into()), by("b"), false);
    assert_eq!(aimed.await.unwrap().replayed, [(2, 7)]);
    let aimed = running.desk.next().await;
    assert_eq!((aimed.origin.aim().map(|aim| &**aim), id(&aimed)), (Some("audit"), 2));
    end(aimed, "audit", Fate::Delivered);
    running.journal.flush().await.unwrap();
    let (head, _) = running.journal.event(7).await.unwrap().unwrap();
    assert_eq!((head.replay_of.as_deref(), head.outcome), (Some("event 2"), Outcome::Delivered));

    let after = place.crash().open();
    let (entries, next) = after.audit(None, 10).await.unwrap();
    let told: Vec<_> = entries
        .iter()
        .map(|it| (it.by.as_str(), it.verb.as_str(), it.count, it.refused, it.numbers.as_str()))
        .collect();
    assert_eq!(told, [("b", "events replay", 1, 0, "2"), ("user a (uid 7)", "events replay", 2, 1, "1,3")]);
    assert_eq!(next, None);
    let heads = listed(&after, only(&[5])).await;
    assert_eq!((heads[0].outcome, heads[0].replay_of.as_deref()), (Outcome::Waiting, Some("event 1")));
}

#[tokio::test]
async fn the_hop_that_an_event_came_by_is_told_with_it_and_is_no_attribute() {
    let place = keeping();
    let running = Running::start(place.open(), 100);
    let headers = [("traceparent".to_owned(), "00-1-2-01".to_owned())];
    let mut kept = event(1);
    hop::keep(&mut kept, &headers);
    running.journal.append(vec![Entry { event: kept, key: None }]).await.unwrap();
    for replayed in [false, true] {
        let seq = 1 + u64::from(replayed);
        let delivery = running.desk.next().await;
        assert_eq!(delivery.item.as_ref().unwrap(), &event(1), "replayed: {replayed}");
        assert_eq!(delivery.origin.headers, headers, "replayed: {replayed}");
        assert_eq!(running.journal.event(seq).await.unwrap().unwrap().1, event(1), "while it waits");
        end(delivery, "function", Fate::Delivered);
        running.journal.flush().await.unwrap();
        assert_eq!(running.journal.event(seq).await.unwrap().unwrap().1, event(1), "once it is kept");
        if !replayed {
            let asked = (only(&[1]), Page::default());
            let done = running.journal.replay_events(asked, None, by("a"), false).await.unwrap();
            assert_eq!(done.replayed, [(1, 2)]);
        }
    }
}

#[tokio::test]
async fn replays_and_drops_of_dead_letters_are_written_down_and_old_entries_go() {
    let mut place = Place::new();
    place.config.audit_max = 3;
    let journal = place.open();
    for n in 1..=6 {
        journal.put(&letter(n)).await.unwrap();
    }
    let these = |ids: &[u64]| dead::Filter { ids: ids.to_vec(), ..dead::Filter::default() };
    journal.replay(these(&[1, 2]), Page::default(), by("a")).await.unwrap();
    journal.discard(these(&[3]), Page::default(), by("b")).await.unwrap();
    journal.discard(these(&[3]), Page::default(), by("nothing was there")).await.unwrap();
    journal.discard(these(&[4, 5]), Page::default(), by("c")).await.unwrap();
    journal.note(outrigger_journal::audit::Entry::of("kafka skip", &by("d"), &[], 0)).await.unwrap();
    let told = |entries: &[outrigger_journal::audit::Entry]| -> Vec<_> {
        entries.iter().map(|it| format!("{} {} {}", it.by, it.verb, it.numbers)).collect()
    };
    let (newest, next) = journal.audit(None, 2).await.unwrap();
    assert_eq!(told(&newest), ["d kafka skip ", "c dead drop 4-5"]);
    let (rest, end) = journal.audit(next, 2).await.unwrap();
    assert_eq!((told(&rest), end), (vec!["b dead drop 3".to_owned()], None), "the oldest has gone");

    let running = Running::start(journal, 10);
    let again = running.desk.take(2).await;
    assert!(again.iter().all(|delivery| delivery.receipt.is_replay()));
}

#[tokio::test]
async fn a_row_that_was_changed_on_disk_is_told() {
    let place = keeping();
    let running = Running::start(place.open(), 100);
    running.journal.append(entries(1..2)).await.unwrap();
    delivered(&running, 1).await;
    running.journal.note(outrigger_journal::audit::Entry::of("kafka skip", &by("d"), &[], 0)).await.unwrap();
    running.stop().await;
    for (change, what) in [
        ("UPDATE kept SET event_type = 'other'", "row 1 of `kept` does not have its checksum"),
        ("UPDATE audit SET by = 'somebody else'", "of `audit` does not have its checksum"),
    ] {
        let place = place.crash();
        let db = rusqlite::Connection::open(place.file("")).unwrap();
        assert_eq!(db.execute(change, []).unwrap(), 1);
        db.close().unwrap();
        let journal = place.open();
        let error = match journal.events(all(), Page::default()).await {
            Err(error) => error,
            Ok(_) => journal.audit(None, 9).await.unwrap_err(),
        };
        assert!(error.message().contains(what), "{error}");
    }
}
