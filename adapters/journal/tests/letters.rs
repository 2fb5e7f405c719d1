//! Dead letters and marks: kept, found, replayed, dropped, and forgotten by rule.

mod common;

use common::{Place, Running, acknowledge, entries, event, id, letter, malformed_letter};
use futures_util::future::join_all;
use outrigger_core::{DeadLetter, DeadLetters, Kind, Known, Ledger, Mark, Payload};
use outrigger_journal::{
    Journal,
    audit::Order,
    dead::{Filter, Page},
};
use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

async fn listed(journal: &Journal, filter: Filter) -> Vec<u64> {
    let listed = journal.list(filter, Page::default()).await.unwrap();
    assert_eq!(listed.next, None);
    listed.letters.iter().map(|head| head.id).collect()
}

fn all() -> Filter {
    Filter::default()
}

fn only(ids: &[u64]) -> Filter {
    Filter { ids: ids.to_vec(), ..all() }
}

/// A journal with letters 1 to `n`, made of the events 1 to `n`.
async fn with_letters(place: &Place, n: u64) -> std::sync::Arc<Journal> {
    let journal = place.open();
    for id in 1..=n {
        journal.put(&letter(id)).await.unwrap();
    }
    journal
}

/// Row 6 of the fault matrix: a letter is durable before its event is deleted.
#[tokio::test]
async fn a_letter_survives_a_kill_with_everything_that_explains_it() {
    let place = Place::new();
    let journal = with_letters(&place, 1).await;
    journal.put(&malformed_letter()).await.unwrap();

    let after = place.crash().open();
    assert_eq!(after.opened().dead, 2);
    assert_eq!(after.get(1).await.unwrap(), Some(letter(1)));
    assert_eq!(after.get(2).await.unwrap(), Some(malformed_letter()));
    assert_eq!(after.get(3).await.unwrap(), None);
    let heads = after.list(all(), Page::default()).await.unwrap().letters;
    let head = &heads[0];
    assert_eq!(
        (head.event_id.as_str(), head.source.as_str(), head.ty.as_str()),
        ("1", "/tests", "test.happened")
    );
    assert_eq!(
        (head.code.as_str(), head.status, head.detail.as_str()),
        ("exhausted", Some(500), "no luck with 1")
    );
    assert_eq!((head.attempts, head.first_ms, head.last_ms), (5, 1_000, 2_001));
    assert_eq!(
        (head.origin.as_str(), head.position.as_str(), head.key.as_deref()),
        ("journal", "1", Some("k"))
    );
    assert!(heads[1].malformed && !head.malformed);
}

#[tokio::test]
async fn each_part_of_a_filter_narrows() {
    let place = Place::new();
    let journal = with_letters(&place, 9).await;
    journal.put(&malformed_letter()).await.unwrap();
    let text = |text: &str| Filter { text: Some(text.to_owned()), ..all() };
    for (filter, expected) in [
        (all(), vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (only(&[9, 2, 77, 2]), vec![2, 9]),
        (Filter { since_ms: Some(2_003), until_ms: Some(2_005), ..all() }, vec![3, 4]),
        (Filter { code: Some("malformed".to_owned()), ..all() }, vec![10]),
        (Filter { ty: Some("test.happened".to_owned()), ..only(&[1, 10]) }, vec![1]),
        (Filter { source: Some("/test".to_owned()), ..all() }, vec![]),
        (text("LUCK with 7"), vec![7]),
        (text("nothing like it"), vec![]),
    ] {
        assert_eq!(listed(&journal, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn a_long_list_comes_in_parts() {
    let place = Place::new();
    let journal = with_letters(&place, 5).await;
    let (mut page, mut parts) = (Page { after: 0, limit: 2 }, Vec::new());
    loop {
        let listed = journal.list(all(), page).await.unwrap();
        parts.push(listed.letters.iter().map(|head| head.id).collect::<Vec<_>>());
        match listed.next {
            Some(after) => page.after = after,
            None => break,
        }
    }
    assert_eq!(parts, [vec![1, 2], vec![3, 4], vec![5]]);
}

#[tokio::test]
async fn a_replayed_letter_comes_again_as_a_new_event_and_a_malformed_one_stays() {
    let place = Place::new();
    let running = Running::start(with_letters(&place, 3).await, 100);
    running.journal.put(&malformed_letter()).await.unwrap();
    running.journal.append(entries(50..51)).await.unwrap();

    let replayed = running.journal.replay(only(&[1, 3, 4]), Page::default(), Order::default()).await.unwrap();
    assert_eq!(replayed.replayed, [(1, 2), (3, 3)]);
    assert_eq!((replayed.refused[0].0, replayed.refused.len()), (4, 1));
    assert_eq!(listed(&running.journal, all()).await, [2, 4]);

    let deliveries = running.desk.take(3).await;
    assert_eq!(deliveries.iter().map(id).collect::<Vec<_>>(), [50, 1, 3]);
    assert_eq!(deliveries[1].item.as_ref().unwrap(), &event(1));
    assert_eq!((deliveries[1].attempts, &deliveries[1].key), (0, &letter(1).key));
    assert_eq!(deliveries[1].origin.headers, letter(1).origin.headers, "its trace goes on");
    assert_eq!(place.crash().open().opened().pending, 3, "they are on disk");
    acknowledge(deliveries);
    running.journal.append(entries(51..52)).await.unwrap();
    assert_eq!(id(&running.desk.next().await), 51);
}

#[tokio::test]
async fn a_replayed_letter_of_one_target_is_for_that_target_alone_also_after_a_crash() {
    let place = Place::new();
    let journal = place.open();
    let of_audit = DeadLetter { target: Some("audit".into()), ..letter(1) };
    journal.put(&of_audit).await.unwrap();
    journal.put(&letter(2)).await.unwrap();
    assert_eq!(journal.get(1).await.unwrap().unwrap().target.as_deref(), Some("audit"));
    let heads = journal.list(all(), Page::default()).await.unwrap().letters;
    assert_eq!(heads.iter().map(|head| head.target.as_deref()).collect::<Vec<_>>(), [Some("audit"), None]);
    journal.replay(all(), Page::default(), Order::default()).await.unwrap();
    journal.append(entries(50..51)).await.unwrap();

    let running = Running::start(place.crash().open(), 100);
    let deliveries = running.desk.take(3).await;
    let aims: Vec<_> = deliveries.iter().map(|d| (id(d), d.origin.aim().map(ToString::to_string))).collect();
    assert_eq!(aims, [(1, Some("audit".to_owned())), (2, None), (50, None)]);
    assert_eq!(deliveries[0].origin.position.to_string(), "1");
    acknowledge(deliveries);
    running.journal.flush().await.unwrap();
    assert_eq!(running.journal.stats().pending, 0);
}

#[tokio::test]
async fn letters_can_be_replayed_and_dropped_in_a_journal_at_rest() {
    let place = Place::new();
    with_letters(&place, 3).await.close().await.unwrap();
    let offline = place.open();
    assert_eq!(
        offline.replay(only(&[2]), Page::default(), Order::default()).await.unwrap().replayed,
        [(2, 1)]
    );
    assert_eq!(offline.discard(only(&[3]), Page::default(), Order::default()).await.unwrap().ids, [3]);
    offline.close().await.unwrap();
    let running = Running::start(place.open(), 100);
    assert_eq!(id(&running.desk.next().await), 2);
    assert_eq!(listed(&running.journal, all()).await, [1]);
}

#[tokio::test]
async fn a_replay_that_finds_the_queue_full_leaves_the_letter() {
    let mut place = Place::new();
    place.config.bytes_max = 64 << 10;
    let journal = with_letters(&place, 1).await;
    while journal.append(entries(0..10)).await.is_ok() {}
    while journal.append(entries(0..1)).await.is_ok() {}
    let replayed = journal.replay(all(), Page::default(), Order::default()).await.unwrap();
    assert!(replayed.replayed.is_empty() && replayed.refused[0].1.contains("bound"), "{replayed:?}");
    assert_eq!(listed(&journal, all()).await, [1]);
}

#[tokio::test]
async fn full_dead_letters_refuse_until_some_are_dropped() {
    let mut place = Place::new();
    place.config.dead_bytes_max = 64 << 10;
    let journal = place.open();
    let error = loop {
        if let Err(error) = journal.put(&letter(1)).await {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::Full);
    assert!(journal.stats().dead_bytes <= 64 << 10);
    journal.discard(only(&[1]), Page::default(), Order::default()).await.unwrap();
    journal.put(&letter(2)).await.unwrap();
}

#[tokio::test]
async fn a_damaged_letter_is_told_to_who_asks_and_stops_nobody_else() {
    let place = Place::new();
    with_letters(&place, 2).await.close().await.unwrap();
    let bytes = fs::read(place.file("")).unwrap();
    let payload = b"the payload of 1";
    let at = bytes.windows(payload.len()).position(|window| window == payload);
    place.flip("", at.unwrap() as u64 * 8);
    let journal = place.open();
    let error = journal.get(1).await.unwrap_err();
    assert!(error.to_string().contains("row 1 of `dead`"), "{error}");
    assert_eq!(journal.get(2).await.unwrap(), Some(letter(2)));
    journal.append(entries(0..1)).await.unwrap();
}

fn mark(id: &str) -> Mark {
    Mark {
        receiver: "http".into(),
        target: "function".into(),
        source: "/tests".to_owned(),
        id: id.to_owned(),
    }
}

async fn knows(journal: &Journal, mark: &Mark) -> bool {
    journal.ask(mark, None).await.unwrap() == Known::Same
}

#[tokio::test]
async fn row_26_a_mark_tells_another_payload_after_a_kill_and_without_one_is_the_same() {
    let place = Place::new();
    let journal = place.open();
    journal.mark(&mark("a"), Some(Payload(1))).await.unwrap();
    journal.mark(&mark("b"), None).await.unwrap();
    let after = place.crash().open();
    let ask = async |id: &str, payload| after.ask(&mark(id), payload).await.unwrap();
    assert_eq!(ask("a", Some(Payload(1))).await, Known::Same);
    assert_eq!(ask("a", Some(Payload(2))).await, Known::Another);
    assert_eq!(ask("a", None).await, Known::Same);
    assert_eq!(ask("b", Some(Payload(2))).await, Known::Same);
    assert_eq!(ask("c", Some(Payload(2))).await, Known::New);
}

#[tokio::test]
async fn marks_are_read_through_from_the_newest_to_the_oldest() {
    let place = Place::new();
    let journal = place.open();
    let marks = (0..1_100).map(|n| (mark(&n.to_string()), Some(Payload(n)))).collect::<Vec<_>>();
    futures_util::future::join_all(marks.iter().map(|(mark, payload)| journal.mark(mark, *payload))).await;
    let (mut before, mut read) = (None, Vec::new());
    loop {
        let page = journal.before(before).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.n);
        read.extend(page.into_iter().map(|kept| (kept.mark, kept.payload)));
    }
    read.reverse();
    assert_eq!(read, marks);
}

#[tokio::test]
async fn a_mark_is_there_after_a_kill_and_names_one_event_at_one_target() {
    let place = Place::new();
    let journal = place.open();
    journal.mark(&mark("a"), None).await.unwrap();
    journal.mark(&mark("a"), None).await.unwrap();
    assert_eq!(journal.stats().marks, 1);
    let after = place.crash().open();
    assert!(knows(&after, &mark("a")).await);
    assert!(!knows(&after, &mark("b")).await);
    assert!(!knows(&after, &Mark { target: "other".into(), ..mark("a") }).await);
    assert!(!knows(&after, &Mark { receiver: "kafka".into(), ..mark("a") }).await);
}

#[tokio::test]
async fn however_many_marks_are_asked_for_and_written_at_once_each_is_told_and_kept() {
    let mut place = Place::new();
    place.config.waiting_events_max = 4;
    let journal = place.open();
    let marks: Vec<_> = (0..600).map(|n| mark(&n.to_string())).collect();
    let written = join_all(marks.iter().map(|mark| journal.mark(mark, None))).await;
    assert_eq!(written.into_iter().find_map(Result::err), None);
    let told = join_all(marks.iter().map(|mark| journal.ask(mark, None))).await;
    assert!(
        told.iter().all(|known| matches!(known, Ok(Known::Same))),
        "{:?}",
        told.iter().find(|it| it.is_err())
    );
}

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn marks_are_forgotten_by_age_and_by_number() {
    static NOW_MS: AtomicU64 = AtomicU64::new(1_000_000_000);
    let mut place = Place::new();
    place.config.clock = || NOW_MS.load(Ordering::Relaxed);
    place.config.marks_age_max = Duration::from_hours(1);
    place.config.marks_max = 2;
    let journal = place.open();
    for id in ["a", "b", "c"] {
        journal.mark(&mark(id), None).await.unwrap();
    }
    journal.close().await.unwrap();
    let journal = place.open();
    assert!(!knows(&journal, &mark("a")).await, "one too many, and the oldest");
    assert!(knows(&journal, &mark("b")).await && knows(&journal, &mark("c")).await);

    NOW_MS.fetch_add(HOUR_MS + 1, Ordering::Relaxed);
    assert!(!knows(&journal, &mark("b")).await, "too old, although still stored");
    journal.mark(&mark("d"), None).await.unwrap();
    journal.close().await.unwrap();
    let journal = place.open();
    assert!(knows(&journal, &mark("d")).await);
    let stats = journal.stats();
    assert_eq!((stats.marks, stats.forgotten), (1, 2));
}

#[tokio::test]
async fn letters_are_discarded_by_age_only_when_told_so() {
    static NOW_MS: AtomicU64 = AtomicU64::new(2_003);
    let mut place = Place::new();
    place.config.clock = || NOW_MS.load(Ordering::Relaxed);
    with_letters(&place, 3).await.close().await.unwrap();
    NOW_MS.fetch_add(HOUR_MS, Ordering::Relaxed);
    let journal = place.open();
    assert_eq!(listed(&journal, all()).await, [1, 2, 3]);
    journal.close().await.unwrap();

    place.config.dead_age_max = Some(Duration::from_hours(1));
    let journal = place.open();
    assert_eq!(listed(&journal, all()).await, [3], "the last one is not older than an hour yet");
    let stats = journal.stats();
    assert_eq!((stats.dead, stats.discarded), (1, 2));
}

#[tokio::test]
async fn events_and_letters_that_come_together_are_kept_together_or_not_at_all() {
    let mut place = Place::new();
    (place.config.bytes_max, place.config.dead_bytes_max) = (64 << 10, 64 << 10);
    let journal = place.open();
    assert_eq!(journal.accept(entries(0..2), vec![malformed_letter(), letter(7)]).await.unwrap(), [1, 2]);
    assert_eq!(journal.accept(Vec::new(), vec![letter(8)]).await.unwrap(), [0_u64; 0]);
    let kept = |journal: &Journal| (journal.stats().pending, journal.stats().dead);
    assert_eq!(kept(&journal), (2, 3));

    let many = || (0..1_000).map(letter).collect::<Vec<_>>();
    let refused = journal.accept(entries(2..3), many()).await.unwrap_err();
    assert!(refused.kind() == Kind::Full && refused.message().contains("dead letters"), "{refused}");
    let refused = journal.accept(entries(0..2_000), vec![malformed_letter()]).await.unwrap_err();
    assert!(refused.kind() == Kind::Full && refused.message().contains("queue"), "{refused}");
    assert_eq!(kept(&journal), (2, 3), "nothing of either was kept");

    assert_eq!(journal.accept(entries(2..3), vec![letter(9)]).await.unwrap(), [3]);
    let after = place.crash().open();
    assert_eq!((after.opened().pending, after.opened().dead), (3, 4));
    assert_eq!(after.get(4).await.unwrap(), Some(letter(9)), "no number was used up");
}
