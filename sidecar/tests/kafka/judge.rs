//! The judge of committed offsets is judged: a gap and a step back that are planted are found.

use crate::rig::{Rig, events};

/// A topic with ten records of which the function has had the first five.
async fn half_way(test: &str) -> Option<Rig> {
    let rig = Rig::new(test, 1).await?;
    let mut process = rig.start().await;
    rig.produce(events("before", 5, 5)).await;
    rig.until_paid().await;
    rig.until_committed().await;
    assert!(process.stop().await.success());
    rig.produce(events("after", 5, 5)).await;
    Some(rig)
}

#[tokio::test]
#[should_panic(expected = "6 was committed, and after-000000 at 5 is not settled")]
async fn an_offset_that_passes_an_unsettled_record_is_found() {
    let test = "an_offset_that_passes_an_unsettled_record_is_found";
    let Some(rig) = half_way(test).await else {
        panic!("6 was committed, and after-000000 at 5 is not settled")
    };
    rig.client.commit(&rig.group, &rig.topic, 0, 6, "").await.unwrap();
    rig.look().await.unwrap();
    rig.ledger.assert_clean();
}

#[tokio::test]
#[should_panic(expected = "0 moved back from 5 to 4")]
async fn an_offset_that_moves_back_is_found() {
    let Some(rig) = half_way("an_offset_that_moves_back_is_found").await else {
        panic!("0 moved back from 5 to 4")
    };
    rig.client.commit(&rig.group, &rig.topic, 0, 4, "").await.unwrap();
    rig.look().await.unwrap();
    rig.ledger.assert_clean();
}

#[tokio::test]
async fn without_a_planted_flaw_it_is_content() {
    let Some(rig) = half_way("without_a_planted_flaw_it_is_content").await else { return };
    rig.look().await.unwrap();
    rig.ledger.assert_clean();
    let _process = rig.start().await;
    rig.all_is_well(0).await;
}
