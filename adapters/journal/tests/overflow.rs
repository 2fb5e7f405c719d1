//! Copies that wait for slow targets: kept in order, for each target alone, within their bound, and gone once settled.

mod common;

use common::{Place, event};
use outrigger_core::{Key, Kind, Origin, Position};
use outrigger_journal::{Config, Journal, Waiting};
use std::sync::Arc;

fn waiting(id: u64) -> Waiting {
    Waiting {
        event: event(id),
        key: Some(Key::new("kafka", b"k")),
        origin: Origin {
            source: "kafka".into(),
            position: Position::Text(format!("orders/0/{id}")),
            headers: vec![("traceparent".to_owned(), "00-1".to_owned())],
        },
        received_ms: 7_000 + id,
    }
}

async fn keep(journal: &Journal, target: &str, ids: std::ops::RangeInclusive<u64>) {
    journal.overflow(target.into(), ids.map(waiting).collect()).await.unwrap();
}

async fn read(journal: &Journal, target: &str) -> Vec<(u64, Waiting)> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = journal.overflowed(target.into(), after).await.unwrap();
        let Some((last, _)) = page.last() else { return all };
        after = *last;
        all.extend(page);
    }
}

#[tokio::test]
async fn copies_are_read_as_they_were_kept_in_their_order_and_by_target_also_after_a_crash() {
    let place = Place::new();
    let journal = place.open();
    keep(&journal, "audit", 1..=300).await;
    keep(&journal, "copies", 301..=302).await;
    keep(&journal, "audit", 303..=303).await;
    let after = place.crash().open();
    for journal in [&journal, &after] {
        let found = read(journal, "audit").await;
        let expected: Vec<_> = (1..=300).chain([303]).map(waiting).collect();
        assert_eq!(found.iter().map(|(_, waiting)| waiting.clone()).collect::<Vec<_>>(), expected);
        assert!(found.is_sorted_by_key(|(seq, _)| *seq));
        let counts = journal.overflow_targets().await.unwrap();
        assert_eq!(counts, [("audit".to_owned(), 301), ("copies".to_owned(), 2)]);
        assert_eq!(read(journal, "nobody").await, []);
        assert_eq!(journal.stats().pending, 0, "the queue of accepted events is another one");
    }
}

#[tokio::test]
async fn what_is_settled_is_gone_with_the_next_commit_and_its_number_is_never_used_again() {
    let place = Place::new();
    let journal = place.open();
    keep(&journal, "audit", 1..=3).await;
    let seqs: Vec<_> = read(&journal, "audit").await.into_iter().map(|(seq, _)| seq).collect();
    for seq in &seqs {
        journal.overflow_settled(*seq);
    }
    journal.flush().await.unwrap();
    assert_eq!(read(&journal, "audit").await, []);
    drop(journal);
    let journal = place.open();
    keep(&journal, "audit", 4..=4).await;
    let next = read(&journal, "audit").await;
    assert!(next[0].0 > seqs[2], "{next:?} after {seqs:?}");
}

#[tokio::test]
async fn beyond_the_bound_nothing_is_kept_until_something_went() {
    let place = Place::new();
    let config = Config { overflow_bytes_max: 64 << 10, ..place.config.clone() };
    let journal: Arc<Journal> = Journal::open(config, |_| {}).unwrap();
    let mut id = 0;
    let error = loop {
        id += 1;
        if let Err(error) = journal.overflow("audit".into(), vec![waiting(id)]).await {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::Full, "{error}");
    assert!(id > 50 && error.message().contains("slow targets"), "{error}");
    let first = read(&journal, "audit").await[0].0;
    journal.overflow_settled(first);
    journal.flush().await.unwrap();
    journal.overflow("audit".into(), vec![waiting(id)]).await.unwrap();
}
