//! Events in every mode, through the shipped binary, to a real function.

mod common;

use common::{Site, real};
use outrigger_function::{Function, Program};
use outrigger_testkit::{Mode, Oracle};

#[tokio::test]
async fn real_payloads_of_every_mode_arrive_byte_for_byte() {
    let Some(events) = real::events("real_payloads_of_every_mode_arrive_byte_for_byte") else { return };
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    let _process = site.start().await;
    let (producer, oracle) = (site.producer(), Oracle::default());
    for (event, mode) in events.iter().zip(Mode::ALL.into_iter().cycle()) {
        oracle.sending(event);
        let answer = producer.send(event, mode).await.unwrap();
        assert_eq!(answer.status(), 202, "{mode:?} {}: {:?}", event.id, answer.body());
        oracle.acknowledged(&event.id);
    }
    function.wait_for(|stats| stats.distinct == events.len() as u64 && stats.running == 0).await;
    oracle.judge_at(&function).assert_clean(0);
}
