//! The judge is judged: each planted flaw is caught, in hand-made records and in a real process; and a run
//! without a flaw is clean.

use crate::rig::Rig;
use outrigger_function::{Outcome, Record};
use outrigger_testkit::{Judgement, Oracle, Outgoing, Shim};

/// The record of the event `id` of key `k`, from `started_us` to `ended_us`, as it should come.
fn delivered(id: &str, started_us: u64, ended_us: u64) -> Record {
    let event = Outgoing::new(id, Some("k"));
    Record {
        n: started_us,
        started_us,
        ended_us: Some(ended_us),
        id: Some(id.into()),
        key: Some("k".into()),
        source: Some(event.source.into()),
        ty: Some(event.ty.into()),
        attempt: 1,
        method: "POST".into(),
        body: Some(event.data),
        status: Some(200),
        outcome: Outcome::Answered,
        ..Record::default()
    }
}

fn failed(id: &str, started_us: u64, ended_us: u64) -> Record {
    Record { status: Some(503), ..delivered(id, started_us, ended_us) }
}

/// What the oracle says of `record` when the events 1, 2 and 3 were sent and acknowledged.
fn judge(record: &[Record]) -> Judgement {
    three().judge(record)
}

fn three() -> Oracle {
    let oracle = Oracle::default();
    for id in ["1", "2", "3"] {
        oracle.sending(&Outgoing::new(id, Some("k")));
        oracle.acknowledged(id);
    }
    oracle
}

#[test]
fn a_delivery_in_order_with_failed_attempts_is_clean() {
    let judgement = judge(&[
        failed("1", 1, 2),
        delivered("1", 3, 4),
        delivered("2", 5, 6),
        failed("3", 7, 8),
        delivered("3", 9, 10),
    ]);
    assert!(judgement.is_clean(), "{judgement}");
    assert_eq!((judgement.acknowledged, judgement.delivered, judgement.duplicates), (3, 3, 0));
}

#[test]
fn an_acknowledged_event_that_never_succeeds_is_lost() {
    let record = [delivered("1", 1, 2), delivered("2", 3, 4), failed("3", 5, 6)];
    assert_eq!(judge(&record).lost, ["3".to_owned()].into());
    assert_eq!(three().owed(&record), ["3".to_owned()].into());
    let oracle = three();
    oracle.accounted("3");
    assert!(oracle.judge(&record).is_clean());
}

#[test]
fn a_2xx_that_went_wrong_on_the_way_is_no_delivery() {
    let cut = Record { outcome: Outcome::Faulted, ..delivered("3", 5, 6) };
    assert_eq!(judge(&[delivered("1", 1, 2), delivered("2", 3, 4), cut]).lost.len(), 1);
}

#[test]
fn an_event_that_was_not_acknowledged_is_not_owed() {
    let oracle = Oracle::default();
    oracle.sending(&Outgoing::new("1", None));
    assert!(oracle.judge(&[]).is_clean());
}

#[test]
fn a_later_event_that_starts_first_is_disordered() {
    let judgement = judge(&[delivered("1", 1, 2), delivered("3", 3, 4), delivered("2", 5, 6)]);
    assert_eq!(judgement.disordered.len(), 2, "3 before 2 was settled, and 2 after 3: {judgement}");
}

#[test]
fn an_event_that_starts_while_the_one_before_backs_off_is_disordered() {
    let judgement =
        judge(&[failed("1", 1, 2), delivered("2", 3, 4), delivered("1", 5, 6), delivered("3", 7, 8)]);
    assert_eq!(judgement.disordered.len(), 1, "{judgement}");
    let oracle = three();
    oracle.accounted("1");
    let skipped = [failed("1", 1, 2), delivered("2", 3, 4), delivered("3", 7, 8)];
    assert!(oracle.judge(&skipped).is_clean(), "a dead letter lets its key go on");
}

#[test]
fn where_no_order_is_owed_a_later_event_may_come_first_but_not_at_the_same_time() {
    let oracle = Oracle::unordered();
    for id in ["1", "2"] {
        oracle.sending(&Outgoing::new(id, Some("k")));
        oracle.acknowledged(id);
    }
    assert!(oracle.judge(&[delivered("2", 1, 2), delivered("1", 3, 4)]).is_clean());
    let at_once = oracle.judge(&[delivered("2", 1, 3), delivered("1", 2, 4)]);
    assert_eq!(at_once.disordered.len(), 1, "{at_once}");
    assert_eq!(oracle.judge(&[delivered("2", 1, 2)]).lost, ["1".to_owned()].into());
}

#[test]
fn two_calls_of_a_key_at_once_are_disordered_and_of_two_keys_are_not() {
    let judgement = judge(&[delivered("1", 1, 3), delivered("2", 2, 4), delivered("3", 5, 6)]);
    assert!(judgement.disordered.iter().any(|what| what.contains("while 1 was running")), "{judgement}");
    let oracle = Oracle::default();
    for (id, key) in [("1", "k"), ("2", "other")] {
        oracle.sending(&Outgoing::new(id, Some(key)));
    }
    let other = Record { key: Some("other".into()), ..delivered("2", 2, 4) };
    assert!(oracle.judge(&[delivered("1", 1, 3), other]).is_clean());
}

#[test]
fn a_repeat_after_success_is_a_duplicate_and_a_repeat_after_failure_is_none() {
    let judgement = judge(&[
        delivered("1", 1, 2),
        delivered("2", 3, 4),
        delivered("1", 5, 6),
        delivered("2", 7, 8),
        delivered("3", 9, 10),
    ]);
    assert_eq!((judgement.duplicates, judgement.is_clean()), (2, true), "{judgement}");
}

#[test]
fn other_bytes_and_other_names_are_altered() {
    let mut body = delivered("3", 5, 6);
    body.body = Some("{ \"id\" : \"4\" }".into());
    let first = [delivered("1", 1, 2), delivered("2", 3, 4)];
    let with = |third: Record| judge(&[first[0].clone(), first[1].clone(), third]);
    assert_eq!(with(body).altered.len(), 1);
    assert_eq!(with(Record { ty: Some("other".into()), ..delivered("3", 5, 6) }).altered.len(), 1);
    let by_checksum = Record { body: None, body_crc: 7, ..delivered("3", 5, 6) };
    assert_eq!(with(by_checksum).altered.len(), 1);
    assert_eq!(with(delivered("3", 5, 6)).altered.len(), 0);
}

#[test]
fn structured_deliveries_are_compared_by_their_data() {
    let structured = |json: String| Record {
        mode: outrigger_function::identity::Mode::Structured,
        body: Some(json.into()),
        ..delivered("1", 1, 2)
    };
    let event = Outgoing::new("1", Some("k"));
    let oracle = Oracle::default();
    oracle.sending(&event);
    assert!(oracle.judge(&[structured(event.json())]).is_clean());
    let reformatted = event.json().replace("{ \"id\" :", "{\"id\":");
    assert_eq!(oracle.judge(&[structured(reformatted)]).altered.len(), 1);
    let in_base64 = r#"{"id":"1","data_base64":"eyAiaWQiIDogIjEiIH0="}"#;
    assert!(oracle.judge(&[structured(in_base64.to_owned())]).is_clean());
}

#[test]
fn what_nobody_sent_is_foreign() {
    assert_eq!(Oracle::default().judge(&[delivered("1", 1, 2)]).foreign.len(), 1);
}

/// Runs eight events through a sidecar with this flaw, and judges.
async fn flawed(flaw: &'static str, calls: u64) -> Judgement {
    let mut rig = Rig::new(flaw);
    let _process = rig.start().await;
    assert_eq!(rig.send(8).await, [Some(202); 8]);
    rig.function.wait_for(|stats| stats.ended == calls).await;
    rig.oracle.judge_at(&rig.function)
}

#[tokio::test]
async fn a_sidecar_without_a_flaw_is_clean() {
    flawed("none", 8).await.assert_clean(0);
}

#[tokio::test]
async fn a_planted_loss_is_caught() {
    assert_eq!(flawed("lose", 6).await.lost, ["3".to_owned(), "6".to_owned()].into());
}

#[tokio::test]
async fn a_planted_reorder_is_caught() {
    let judgement = flawed("reorder", 8).await;
    assert!(judgement.disordered.iter().any(|what| what.contains("3 started after 4")), "{judgement}");
    assert!(judgement.lost.is_empty());
}

#[tokio::test]
async fn a_planted_overlap_is_caught() {
    let judgement = flawed("overlap", 8).await;
    assert!(judgement.disordered.iter().any(|what| what.contains("was running")), "{judgement}");
}

#[tokio::test]
async fn a_planted_change_of_the_payload_is_caught() {
    assert_eq!(flawed("alter", 8).await.altered.len(), 2);
}

#[tokio::test]
async fn planted_duplicates_are_counted() {
    let judgement = flawed("repeat", 10).await;
    assert_eq!((judgement.duplicates, judgement.is_clean()), (2, true), "{judgement}");
}

/// Cuts the power before the third sync; what was acknowledged must be there afterwards.
async fn powercut(flaw: &'static str) -> (Vec<Option<u16>>, Judgement) {
    let mut rig = Rig::new(flaw);
    let shim = Shim::new(rig.dir.path(), &["cut:fdatasync+fsync:/events$:3:/events"]);
    let mut process = rig.start_with(&shim).await;
    let statuses = rig.send(3).await;
    process.wait().await;
    assert_eq!(shim.hits().len(), 1);
    let _restarted = rig.start().await;
    rig.send(1).await;
    rig.function.wait_for(|stats| stats.distinct == 3 && stats.running == 0).await;
    (statuses, rig.oracle.judge_at(&rig.function))
}

#[tokio::test]
async fn a_planted_early_acknowledgement_is_caught_by_a_power_cut() {
    let (statuses, judgement) = powercut("early").await;
    assert_eq!(statuses, [Some(202); 3]);
    assert_eq!(judgement.lost, ["3".to_owned()].into());
}

#[tokio::test]
async fn a_power_cut_takes_nothing_from_who_acknowledges_in_time() {
    let (statuses, judgement) = powercut("none").await;
    assert_eq!(statuses, [Some(202), Some(202), None]);
    // It repeats at the start all that it has; only the two before the cut had been settled.
    judgement.assert_clean(2);
}
