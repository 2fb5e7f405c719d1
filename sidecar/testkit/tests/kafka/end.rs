//! No broker and none of its files outlast the test process, however that ends.

use std::{env, fs, path::Path};

use outrigger_testkit::{Launch, kafka, process::WAIT_MAX};
use tokio::time::{Duration, Instant, sleep};

/// Names the folder for temporary files of the process that is killed; without it, the test is the one that kills.
const VICTIM: &str = "OUTRIGGER_KAFKA_VICTIM";
const TEST: &str = "the_broker_ends_with_a_test_process_that_is_killed";

#[tokio::test]
async fn the_broker_ends_with_a_test_process_that_is_killed() {
    if env::var_os(VICTIM).is_some() {
        let Some(kafka) = kafka::shared(TEST).await else { return };
        let pid = kafka.pid().unwrap().as_raw_nonzero();
        println!("the broker is {pid}.");
        return std::future::pending().await;
    }
    let Some(_skipped_without_kafka) = kafka::shared(TEST).await else { return };
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--exact", &format!("end::{TEST}"), "--nocapture"];
    let launch = Launch::new(env::current_exe().unwrap(), folder.path()).args(arguments).env(VICTIM, "1");
    let mut victim = launch.env("TMPDIR", folder.path()).start().unwrap();
    let line = victim.line("the broker is ").await;
    let broker = line.rsplit(' ').next().and_then(|pid| pid.strip_suffix('.')).unwrap().to_owned();
    assert!(is_java(&broker));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    victim.kill().await;
    let deadline = Instant::now() + WAIT_MAX;
    while is_java(&broker) || fs::read_dir(folder.path()).unwrap().count() > 0 {
        assert!(Instant::now() < deadline, "the broker {broker} or its folder outlived the test process");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Whether the process is there; a dead one that nobody waited for has no command line left.
fn is_java(pid: &str) -> bool {
    let command = fs::read(Path::new("/proc").join(pid).join("cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("kafka.Kafka")
}
