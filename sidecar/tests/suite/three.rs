//! The README's file of three brokers, exactly as it stands there but for addresses: all three at once, and two kills.

use std::{net::SocketAddr, path::Path, time::Duration};

use outrigger_function::{Action, Function, Program, Record};
use outrigger_testkit::{
    Launch, Oracle, Outgoing, Process, free_port,
    kafka::shared,
    place::workspace,
    pubsub::PROJECT,
    suite::{Sidecar, Source, Way},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{EXE, eventgrid::EventGrid, kafka::Kafka, pubsub::Fake};

/// `function.concurrency`: the most that a kill finds in flight.
const CALLS: usize = 64;

/// What was settled so long before a kill may come again: 100 ms until Kafka's commit, 200 until Pub/Sub's client has
/// sent its acknowledgements, and the rest for a machine that does other things.
const UNTOLD: Duration = Duration::from_millis(500);

/// After a kill, Pub/Sub gives messages out again when their lease of ten seconds ends, and Kafka when the dead member's
/// session does, which the next one may have to wait for as well.
const PATIENCE: Duration = Duration::from_secs(90);

const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The first example in YAML below this heading of the README.
fn example(heading: &str) -> String {
    let readme = std::fs::read_to_string(workspace().join("README.md")).expect("a README");
    let section = readme.split_once(&format!("\n## {heading}\n")).expect("the section is there").1;
    let example = section.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("```"));
    example.expect("the section has an example").0.to_owned()
}

/// A broker of the three, with the judge of what was published to it.
struct Party {
    /// `source` of its events.
    name: &'static str,
    source: Box<dyn Source>,
    oracle: Oracle,
    published: usize,
}

impl Party {
    fn new(name: &'static str, source: impl Source + 'static, oracle: Oracle) -> Self {
        Self { name, source: Box::new(source), oracle, published: 0 }
    }

    /// Publishes so many more events, over keys of their own.
    async fn publish(&mut self, count: usize) {
        let first = self.published;
        self.published += count;
        let event = |n: usize| {
            let (id, key) = (format!("{}-{n:04}", self.name), format!("{}-{first}-{}", self.name, n % 20));
            Outgoing { source: self.name.to_owned(), ..Outgoing::new(&id, Some(&key)) }
        };
        let events: Vec<_> = (first..first + count).map(event).collect();
        for event in &events {
            self.oracle.sending(event);
        }
        self.source.publish(&events).await.expect("the broker takes events");
        for event in &events {
            self.oracle.acknowledged(&event.id);
        }
    }

    /// What the function saw of its events.
    fn of(&self, log: &[Record]) -> Vec<Record> {
        log.iter().filter(|record| record.source.as_deref() == Some(self.name)).cloned().collect()
    }
}

/// The three, the function, and the folder of the sidecar.
struct Stage {
    parties: [Party; 3],
    function: Function,
    sidecar: Sidecar,
    launch: Launch,
    /// Calls that ended shortly before a kill, or were in flight.
    allowed: usize,
}

impl Stage {
    async fn new(folder: &Path) -> Option<Self> {
        let test = "three_brokers_one_function_and_two_kills_lose_nothing";
        let broker = shared(test).await?;
        let pubsub = Fake::on(test, "orders", "orders").await?;
        let kafka = Kafka::on(broker, "orders", "billing", Way::Direct).await;
        broker.client().create_topic("failed", 1, &[]).await.expect("a new topic");
        let eventgrid = EventGrid::on("orders", "billing", Way::Direct);
        let (admin, function) = (
            SocketAddr::from(([127, 0, 0, 1], free_port())),
            Function::start(Program::always(Action::delay_ms(20))),
        );
        let yaml = [
            ("broker-1.example.com:9092", broker.bootstrap().as_str()),
            ("https://NAME.REGION-1.eventgrid.azure.net", eventgrid.url()),
            ("my-project", PROJECT),
            ("127.0.0.1:9464", &admin.to_string()),
        ]
        .into_iter()
        .fold(example("Three brokers, one function"), |yaml, (there, here)| {
            assert_eq!(yaml.matches(there).count(), 1, "{there} stands in the example once:\n{yaml}");
            yaml.replace(there, here)
        });
        assert!(yaml.lines().count() < 30, "the example has {} lines", yaml.lines().count());
        let launch = Launch::new(EXE, folder)
            .file("outrigger.yaml", &yaml)
            .file("eventgrid.key", outrigger_testkit::eventgrid::EventGrid::KEY)
            .env("PUBSUB_EMULATOR_HOST", pubsub.address().to_string())
            .args(["run", "--url", &function.url()]);
        let parties = [
            Party::new("/kafka", kafka, Oracle::default()),
            Party::new("/pubsub", pubsub, Oracle::default()),
            Party::new("/eventgrid", eventgrid, Oracle::unordered()),
        ];
        let sidecar = Sidecar { folder: folder.to_owned(), admin };
        Some(Self { parties, function, sidecar, launch, allowed: 0 })
    }

    fn start(&self) -> Process {
        self.launch.start().expect("the binary can be started")
    }

    async fn publish(&mut self, count: usize) {
        for party in &mut self.parties {
            party.publish(count).await;
        }
    }

    /// Kills it in the middle of its work.
    async fn kill(&mut self, process: &mut Process) {
        process.kill().await;
        self.function.wait_for(|stats| stats.running == 0).await;
        let log = self.function.log();
        let last_us = log.iter().filter_map(|record| record.ended_us).max().unwrap_or(0);
        let since_us = last_us - u64::try_from(UNTOLD.as_micros()).unwrap_or_default();
        let untold = log.iter().filter(|record| record.ended_us.is_some_and(|at| at >= since_us)).count();
        self.allowed += CALLS + untold;
        for party in &self.parties {
            let open = party.source.unsettled(&self.sidecar).await;
            assert!(matches!(open, Ok(1..)), "{}: {open:?} at the kill, which proves nothing", party.name);
        }
    }

    /// Waits until each broker knows that all is settled.
    async fn until_settled(&self) {
        let deadline = Instant::now() + PATIENCE;
        for party in &self.parties {
            loop {
                let open = party.source.unsettled(&self.sidecar).await;
                if open == Ok(0) {
                    break;
                }
                assert!(Instant::now() < deadline, "{}: {open:?} events are not settled", party.name);
                sleep(POLL_INTERVAL).await;
            }
        }
    }
}

#[tokio::test]
async fn three_brokers_one_function_and_two_kills_lose_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(mut stage) = Stage::new(folder.path()).await else { return };
    let mut process = stage.start();
    process.ready(stage.sidecar.admin).await;
    for gate in ["first", "second"] {
        let before = stage.function.stats().ended;
        stage.function.set_program(Program::always(Action::hold(gate)));
        stage.publish(200).await;
        stage.function.set_program(Program::always(Action::delay_ms(20)));
        stage.function.open(gate);
        stage.function.wait_for(|stats| stats.ended >= before + 100).await;
        stage.kill(&mut process).await;
        process = stage.start();
    }
    stage.publish(200).await;
    stage.until_settled().await;

    let log = stage.function.log();
    let mut duplicates = 0;
    for party in &stage.parties {
        let judgement = party.oracle.judge(&party.of(&log));
        assert!(judgement.is_clean() && judgement.delivered == 600, "{}: {judgement}", party.name);
        duplicates += judgement.duplicates;
    }
    assert!(duplicates <= stage.allowed, "{duplicates} duplicates, {} allowed", stage.allowed);
    assert_eq!(stage.function.stats().distinct, 1_800);
    let ended = timeout(PATIENCE, process.stop()).await.expect("the drain ends");
    assert!(ended.success());
}
