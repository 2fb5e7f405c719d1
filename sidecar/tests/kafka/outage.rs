//! Row 9: the broker is gone, frozen or cut off, and comes back. Row 11: the function is slower than the group allows.

use crate::rig::{PATIENT, Rig, events, say};
use outrigger_function::{Action, Match, Program, Rule};
use outrigger_testkit::{
    Trouble,
    kafka::{self, Broker, Settings},
    process::WAIT_MAX,
};
use std::time::{Duration, Instant};

/// What is done to a broker.
#[derive(Debug, Clone, Copy)]
enum Harm {
    Stop,
    Kill,
    Freeze,
    Cut(Trouble),
}

impl Harm {
    async fn begin(self, broker: &Broker) {
        match self {
            Self::Stop => broker.stop().await,
            Self::Kill => broker.kill().await,
            Self::Freeze => broker.pause(),
            Self::Cut(trouble) => broker.proxy().set(trouble),
        }
    }

    async fn end(self, broker: &Broker) {
        match self {
            Self::Stop | Self::Kill => broker.start_again().await,
            Self::Freeze => broker.resume(),
            Self::Cut(_) => broker.proxy().set(Trouble::None),
        }
    }
}

#[tokio::test]
async fn row_9_readiness_shows_an_outage_of_each_kind_and_everything_resumes() {
    let test = "row_9_readiness_shows_an_outage_of_each_kind_and_everything_resumes";
    let Some(broker) = kafka::broker_with(test, Settings::default().proxied()).await else { return };
    let rig = Rig::at(&broker.client(), &broker.proxied(), test, 3).await.set("kafka.properties", PATIENT);
    rig.function.set_program(Program::always(Action::delay_ms(2)));
    // There is no broker yet when it starts.
    broker.stop().await;
    let mut process = rig.site.launch().start().unwrap();
    rig.site.until_readyz("[-] kafka: kafka: no broker can be reached; check kafka.brokers").await;
    broker.start_again().await;
    process.ready(rig.site.admin).await;
    let mut duplicates = 0;
    let cuts = [Trouble::Close, Trouble::Reset, Trouble::Swallow].map(Harm::Cut);
    for harm in [Harm::Stop, Harm::Kill, Harm::Freeze].into_iter().chain(cuts) {
        let ended = rig.function.stats().ended;
        rig.produce(events(&format!("{harm:?}"), 500, 25)).await;
        rig.function.wait_for(|stats| stats.ended >= ended + 50).await;
        harm.begin(&broker).await;
        let began = Instant::now();
        let (status, readyz) = rig.site.until_readyz("[-] kafka: ").await;
        let shown = began.elapsed();
        assert_eq!(status, 503);
        let line = readyz.lines().find(|line| line.contains("kafka")).unwrap().to_owned();
        harm.end(&broker).await;
        let back = Instant::now();
        process.ready(rig.site.admin).await;
        let ready = back.elapsed();
        let found = rig.all_is_well(usize::MAX).await.duplicates - duplicates;
        duplicates += found;
        say(&format!(
            "{harm:?}: shown after {shown:?}, ready {ready:?} after its end, all there after {:?}, {found} duplicates; {line}",
            back.elapsed()
        ));
        assert!(back.elapsed() < WAIT_MAX);
    }
    assert_eq!(duplicates, 0, "the process lived, so it knew what was settled");
    assert!(process.stop().await.success());
}

#[tokio::test]
async fn row_9_a_broker_that_never_answers_a_commit_keeps_nobody_from_ending() {
    let test = "row_9_a_broker_that_never_answers_a_commit_keeps_nobody_from_ending";
    let Some(broker) = kafka::broker_with(test, Settings::default()).await else { return };
    let rig = Rig::at(&broker.client(), &broker.bootstrap(), test, 3).await;
    // A request waits for a minute, as it does by default.
    let rig =
        rig.set("kafka.properties", "{session.timeout.ms: 6000}").set("ingress.kafka.leave_timeout", "1s");
    rig.function.set_program(Program::always(Action::delay_ms(2)));
    let mut process = rig.start().await;
    rig.produce(events("e", 500, 25)).await;
    rig.function.wait_for(|stats| stats.ended >= 100).await;
    broker.pause();
    rig.function.wait_for(|stats| stats.running == 0).await;
    let began = Instant::now();
    process.stop().await;
    let ended = began.elapsed();
    broker.resume();
    say(&format!("ended after {ended:?}"));
    assert!(ended < Duration::from_secs(30), "a commit was waited for: {ended:?}");
}

#[tokio::test]
async fn row_9_when_the_leader_is_killed_another_serves_and_nothing_is_lost() {
    let test = "row_9_when_the_leader_is_killed_another_serves_and_nothing_is_lost";
    let Some(cluster) = kafka::cluster(test, 3).await else { return };
    let client = cluster.client();
    let rig = Rig::at(&client, &cluster.bootstrap(), test, 3).await.set("kafka.properties", PATIENT);
    rig.function.set_program(Program::always(Action::delay_ms(2)));
    let _process = rig.start().await;
    rig.produce(events("before", 500, 25)).await;
    let leader = client.leader(test, 0).await.unwrap();
    rig.function.wait_for(|stats| stats.ended >= 50).await;
    cluster.node(leader).kill().await;
    let killed = Instant::now();
    rig.produce(events("after", 500, 25)).await;
    let found = rig.all_is_well(0).await;
    say(&format!("the leader was killed: all there after {:?}; {found}", killed.elapsed()));
}

#[tokio::test]
async fn row_11_a_function_slower_than_the_poll_interval_keeps_its_place_in_the_group() {
    let test = "row_11_a_function_slower_than_the_poll_interval_keeps_its_place_in_the_group";
    let Some(rig) = Rig::new(test, 3).await else { return };
    let slow = Rule::new(Match::any(), Action::delay_ms(7500)).times(4);
    rig.function.set_program(Program::default().rule(slow));
    let properties = "{max.poll.interval.ms: 6000, session.timeout.ms: 6000}";
    let rig =
        rig.set("kafka.properties", properties).set("function.concurrency", "4").set("window.events", "8");
    let _process = rig.start().await;
    let numbers = async || rig.site.verb(&["kafka", "status", "--json"]).await.json();
    let before = numbers().await["rebalances"].clone();
    rig.produce(events("e", 100, 10)).await;
    rig.all_is_well(0).await;
    let after = numbers().await;
    assert_eq!((&after["rebalances"], &after["heals"]), (&before, &0.into()), "it left the group");
    assert_eq!(rig.function.stats().repeats, 0);
}
