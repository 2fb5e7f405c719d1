//! Rows 8 and 10: a member drains and leaves, and partitions change hands while their records are in flight.

use crate::{
    common::Site,
    rig::{Rig, events, say},
};
use outrigger_function::{Action, Program};
use outrigger_testkit::Process;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// `function.concurrency` of each member: the most that it can have in flight.
const CALLS: usize = 8;

#[tokio::test]
async fn row_8_a_drain_finishes_what_runs_and_commits_it() {
    let Some(rig) = Rig::new("row_8_a_drain_finishes_what_runs_and_commits_it", 3).await else { return };
    rig.function.set_program(Program::always(Action::delay_ms(20)));
    let rig = rig.set("function.concurrency", "16").set("window.events", "100");
    let mut process = rig.start().await;
    rig.produce(events("e", 1000, 40)).await;
    rig.function.wait_for(|stats| stats.ended >= 100).await;
    assert!(process.stop().await.success());
    let stats = rig.function.stats();
    assert!(stats.running == 0 && stats.gone == 0 && stats.ended < 1000, "{stats:?}");
    rig.look().await.unwrap();
    let _process = rig.start().await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_8_what_does_not_finish_by_the_deadline_comes_again_and_is_not_committed() {
    let test = "row_8_what_does_not_finish_by_the_deadline_comes_again_and_is_not_committed";
    let Some(rig) = Rig::new(test, 3).await else { return };
    rig.function.set_program(Program::always(Action::hold("gate")));
    let rig = rig.set("drain.deadline", "200ms").set("function.concurrency", "4");
    let mut process = rig.start().await;
    rig.produce(events("e", 20, 20)).await;
    rig.function.wait_for(|stats| stats.held == 4).await;
    assert!(process.stop().await.success());
    assert!(rig.look().await.unwrap().values().all(|offset| *offset == 0));
    rig.function.set_program(Program::default());
    let _process = rig.start().await;
    rig.all_is_well(0).await;
}

#[tokio::test]
async fn row_10_members_come_and_go_in_the_cooperative_protocol() {
    let Some(rig) = Rig::new("row_10_members_come_and_go_in_the_cooperative_protocol", 12).await else {
        return;
    };
    come_and_go(rig, "cooperative", |site| site).await;
}

#[tokio::test]
async fn row_10_members_come_and_go_in_the_eager_protocol() {
    let Some(rig) = Rig::new("row_10_members_come_and_go_in_the_eager_protocol", 12).await else { return };
    come_and_go(rig, "eager", |site| site.set("ingress.kafka.rebalance", "eager")).await;
}

#[tokio::test]
async fn row_10_members_come_and_go_in_the_protocol_of_kip_848() {
    let Some(rig) = Rig::new("row_10_members_come_and_go_in_the_protocol_of_kip_848", 12).await else {
        return;
    };
    let properties = "{max.poll.interval.ms: 60000, topic.metadata.refresh.interval.ms: 500}";
    let change =
        |site: Site| site.set("ingress.kafka.rebalance", "consumer").set("kafka.properties", properties);
    come_and_go(rig, "KIP-848", change).await;
}

/// Two members join one after the other, one leaves in order, one is killed, and another comes, all under load.
/// Nothing is repeated but what the killed one had in flight or not yet committed, and no key runs twice at once.
async fn come_and_go(rig: Rig, protocol: &str, change: impl Fn(Site) -> Site) {
    rig.function.set_program(Program::always(Action::delay_ms(4)));
    let rig = Arc::new(rig);
    let watch = rig.watch();
    let load = Load::begin(&rig);
    let member = || change(rig.sibling()).set("function.concurrency", &CALLS.to_string());
    let (first, second, third, fourth) = (member(), member(), member(), member());

    let _first = started(&first, &[(&first, 12)]).await;
    load.goes_on(&rig).await;
    let mut leaves = started(&second, &[(&first, 6), (&second, 6)]).await;
    load.goes_on(&rig).await;
    let mut dies = started(&third, &[(&first, 4), (&second, 4), (&third, 4)]).await;
    load.goes_on(&rig).await;
    assert!(leaves.stop().await.success());
    shared_out(&[(&first, 6), (&third, 6)]).await;
    load.goes_on(&rig).await;
    let before = rig.ledger.oracle.judge_at(&rig.function).duplicates;
    assert_eq!(before, 0, "nobody was killed, and no partition was lost");

    dies.kill().await;
    let killed_us = rig.function.log().iter().filter_map(|record| record.ended_us).max().unwrap_or(0);
    shared_out(&[(&first, 12)]).await;
    let _fourth = started(&fourth, &[(&first, 6), (&fourth, 6)]).await;
    load.goes_on(&rig).await;
    load.end().await;
    let log = rig.function.log();
    let since = |record: &&outrigger_function::Record| {
        record.ended_us.is_some_and(|at| at <= killed_us && at + 300_000 >= killed_us)
    };
    let allowed = CALLS + log.iter().filter(since).count();
    let found = rig.all_is_well(allowed).await;
    watch.end().await;
    rig.judge(allowed);
    let looks = rig.ledger.looks();
    say(&format!(
        "{protocol}: {found} ({allowed} allowed, by the kill); committed offsets seen {looks} times"
    ));
}

async fn started(site: &Site, members: &[(&Site, usize)]) -> Process {
    let process = site.start().await;
    shared_out(members).await;
    process
}

/// Waits until each of these members has so many partitions.
async fn shared_out(members: &[(&Site, usize)]) {
    for (site, partitions) in members {
        site.until_readyz(&format!("kafka: ok; {partitions} partitions")).await;
    }
}

/// Produces for as long as it is wanted, never far ahead of what the function has done.
struct Load {
    wanted: Arc<AtomicBool>,
    produced: Arc<AtomicU64>,
    producing: tokio::task::JoinHandle<()>,
}

impl Load {
    const AHEAD: u64 = 400;

    fn begin(rig: &Arc<Rig>) -> Self {
        let (wanted, produced) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (rig, goes_on, count) = (rig.clone(), wanted.clone(), produced.clone());
        let producing = tokio::spawn(async move {
            for n in 0.. {
                if !goes_on.load(Ordering::Relaxed) {
                    return;
                }
                rig.produce(events(&format!("e{n}"), 100, 50)).await;
                let produced = count.fetch_add(100, Ordering::Relaxed) + 100;
                rig.function.wait_for(|stats| stats.ended + Self::AHEAD >= produced).await;
            }
        });
        Self { wanted, produced, producing }
    }

    /// Waits until a few hundred more were delivered.
    async fn goes_on(&self, rig: &Rig) {
        let until = rig.function.stats().ended + 600;
        rig.function.wait_for(|stats| stats.ended >= until).await;
    }

    async fn end(self) {
        self.wanted.store(false, Ordering::Relaxed);
        self.producing.await.expect("producing does not fail");
        assert!(self.produced.load(Ordering::Relaxed) > 0);
    }
}
