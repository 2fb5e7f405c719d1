//! Damage: whatever happens to the files, nothing is lost without a word.
//!
//! Row 23 of the fault matrix: a torn tail is cut and said, damage in the middle is loud.

mod common;

use common::{Place, Running, entries, ids, letter};
use outrigger_core::{DeadLetters, Event};
use outrigger_journal::Cut;
use std::fs::{self, OpenOptions};

const FRAME: u64 = 24 + 8_192;

/// A journal as a kill leaves it: ten commits of one event each, all of them in the log only.
async fn killed() -> Place {
    let place = Place::new();
    let journal = place.open();
    for id in 0..10 {
        journal.append(entries([id])).await.unwrap();
    }
    place.crash()
}

/// What comes out, or the error with which opening or reading ended.
async fn outcome(place: &Place, events: usize) -> Result<Vec<Event>, String> {
    let journal = place.try_open().map_err(|error| error.to_string())?;
    let cut = journal.opened().cut;
    let expected = events - usize::from(cut.is_some_and(|cut| cut.commit_lost));
    let mut running = Running::start(journal, 10_000);
    let deliveries = running.deliveries(expected).await.map_err(|error| error.to_string())?;
    Ok(deliveries.into_iter().map(|delivery| delivery.item.unwrap()).collect())
}

fn truncate(place: &Place, len: u64) {
    OpenOptions::new().write(true).open(place.file("-wal")).unwrap().set_len(len).unwrap();
}

#[tokio::test]
async fn without_damage_a_kill_loses_and_cuts_nothing() {
    let place = killed().await;
    let running = Running::start(place.open(), 100);
    assert_eq!(running.journal.opened().cut, None);
    assert_eq!(ids(&running.desk.take(10).await), (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flipped_bit_in_the_last_commit_cuts_it_off_and_says_so() {
    let place = killed().await;
    place.flip("-wal", (place.len("-wal") - 100) * 8);
    let running = Running::start(place.open(), 100);
    let cut = running.journal.opened().cut.unwrap();
    assert!(cut.commit_lost && cut.frames > 0, "{cut:?}");
    let before = running.desk.take(9).await;
    assert_eq!(ids(&before), (0..9).collect::<Vec<_>>());

    running.journal.append(entries(100..101)).await.unwrap();
    assert_eq!(ids(&running.desk.take(1).await), [100], "a fresh event passes");
}

#[tokio::test]
async fn what_was_cut_is_said_once_and_its_remains_are_gone() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..1)).await.unwrap();
    let whole = place.len("-wal");
    journal.append(entries(1..100)).await.unwrap(); // many frames, of which a short commit overwrites few
    let hurt = place.crash();
    hurt.flip("-wal", (whole + 100) * 8);
    let journal = hurt.open();
    assert!(journal.opened().cut.unwrap().frames > 3);
    journal.append(entries(100..101)).await.unwrap();
    let again = hurt.crash().open();
    assert_eq!((again.opened().cut, again.opened().pending), (None, 2));
}

#[tokio::test]
async fn a_log_that_ends_within_its_last_commit_is_cut_there_and_that_is_said() {
    let place = killed().await;
    truncate(&place, place.len("-wal") - 5);
    let journal = place.open();
    assert!(journal.opened().cut.unwrap().commit_lost);
    assert_eq!(journal.opened().pending, 9);
}

#[tokio::test]
async fn an_unfinished_write_is_cut_without_calling_it_a_loss() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..1)).await.unwrap();
    let mark = fs::read(place.file(".mark")).unwrap();
    journal.append(entries(1..50)).await.unwrap(); // several frames

    let after = place.crash();
    fs::write(after.file(".mark"), mark).unwrap(); // killed before anybody was told
    truncate(&after, after.len("-wal") - FRAME);
    let journal = after.open();
    assert!(
        matches!(journal.opened().cut, Some(Cut { frames: 1.., commit_lost: false })),
        "{:?}",
        journal.opened()
    );
    assert_eq!(journal.opened().pending, 1);
}

#[tokio::test]
async fn a_flipped_bit_in_the_middle_of_the_log_is_refused_and_nothing_is_changed() {
    let place = killed().await;
    place.flip("-wal", place.len("-wal") / 2 * 8);
    let files = || ["", "-wal", ".mark"].map(|suffix| fs::read(place.file(suffix)).unwrap());
    let before = files();
    let refusal = place.refusal();
    assert!(refusal.contains("is damaged") && refusal.contains("commits"), "{refusal}");
    assert!(files() == before);

    fs::remove_file(place.file(".mark")).unwrap(); // as the message says
    let journal = place.open();
    let opened = journal.opened();
    assert!(opened.unmarked && opened.cut.unwrap().commit_lost && opened.pending < 9, "{opened:?}");
}

/// The mark is not fsynced with each commit, so after a power failure it may be an older one.
#[tokio::test]
async fn damage_in_the_middle_is_refused_also_when_the_mark_lags_behind() {
    let place = Place::new();
    let journal = place.open();
    let mark = fs::read(place.file(".mark")).unwrap();
    for id in 0..10 {
        journal.append(entries([id])).await.unwrap();
    }
    let hurt = place.crash();
    fs::write(hurt.file(".mark"), mark).unwrap();
    hurt.flip("-wal", hurt.len("-wal") / 2 * 8);
    assert!(hurt.refusal().contains("at least"), "{}", hurt.refusal());
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_found_by_the_mark() {
    let place = killed().await;
    truncate(&place, place.len("-wal") / 2);
    assert!(place.refusal().contains("commits"), "{}", place.refusal());
    fs::remove_file(place.file("-wal")).unwrap();
    assert!(place.refusal().contains("commits"), "{}", place.refusal());
}

#[tokio::test]
async fn a_database_that_was_removed_beside_its_mark_is_refused() {
    let place = killed().await;
    fs::remove_file(place.file("")).unwrap();
    fs::remove_file(place.file("-wal")).unwrap();
    assert!(place.refusal().contains("10 commits"), "{}", place.refusal());
}

#[tokio::test]
async fn a_journal_without_its_mark_opens_and_says_so() {
    let place = killed().await;
    fs::remove_file(place.file(".mark")).unwrap();
    let journal = place.open();
    assert!(journal.opened().unmarked && journal.opened().pending == 10);
    let again = place.crash();
    assert!(!again.open().opened().unmarked, "there is one again");
}

#[tokio::test]
async fn an_event_that_was_changed_on_disk_ends_the_source() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..10)).await.unwrap();
    journal.close().await.unwrap();
    let bytes = fs::read(place.file("")).unwrap();
    let payload = b"the payload of 7";
    let at = bytes.windows(payload.len()).position(|window| window == payload).unwrap();
    place.flip("", at as u64 * 8);
    let error = outcome(&place, 10).await.unwrap_err();
    assert!(error.contains("row 8 of `queue`") && error.contains("checksum"), "{error}");
}

/// A page that lost a row is a sound page to SQLite.
#[tokio::test]
async fn an_event_that_is_missing_from_the_table_ends_the_source() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..600)).await.unwrap();
    journal.close().await.unwrap();
    let table = rusqlite::Connection::open(place.file("")).unwrap();
    table.execute("DELETE FROM queue WHERE seq = 300", []).unwrap();
    drop(table);
    let error = outcome(&place, 600).await.unwrap_err();
    assert!(error.contains("1 of the events") && error.contains("missing"), "{error}");
}

/// The oracle of this whole file: one flipped bit, anywhere in the log, may cost the last commit if that is
/// said, or the opening if that is refused; else everything is there as it was.
#[tokio::test]
async fn no_flipped_bit_in_the_log_loses_anything_silently() {
    let place = killed().await;
    let (bits, mut kinds) = (place.len("-wal") * 8, [0; 2]);
    for n in 0..150 {
        let hurt = place.crash();
        hurt.flip("-wal", n * (bits / 150) + n * 7 % 64);
        kinds[usize::from(survives(&hurt, 10).await)] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 0), "both outcomes were seen: {kinds:?}");
}

/// The same for the database itself: SQLite's pages have no checksums, ours rows and counters have.
#[tokio::test]
async fn no_flipped_bit_in_the_database_loses_anything_silently() {
    let place = Place::new();
    let journal = place.open();
    journal.append(entries(0..200)).await.unwrap();
    journal.put(&letter(1)).await.unwrap();
    journal.close().await.unwrap();
    let (bits, mut kinds) = (place.len("") * 8, [0; 2]);
    for n in 0..400 {
        let hurt = place.crash();
        hurt.flip("", n * (bits / 400) + n * 7 % 64);
        kinds[usize::from(survives(&hurt, 200).await)] += 1;
    }
    assert!(kinds.iter().all(|count| *count > 0), "both outcomes were seen: {kinds:?}");
}

/// Whether the damage was harmless or at most the last commit was cut; a loud refusal is the other good end.
async fn survives(place: &Place, events: usize) -> bool {
    match outcome(place, events).await {
        Ok(found) => {
            let expected: Vec<Event> = (0..found.len() as u64).map(common::event).collect();
            assert_eq!(found, expected);
            true
        }
        Err(error) => {
            assert!(!error.is_empty());
            false
        }
    }
}
