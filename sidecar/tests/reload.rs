//! The shipped binary reads its configuration again.

mod common;

use common::Site;
use outrigger_function::{Function, Program};
use rustix::process::Signal;

#[tokio::test]
async fn a_changed_file_and_sighup_apply_what_can_be_and_a_bad_file_changes_nothing() {
    let function = Function::start(Program::default());
    let site = Site::of(&function).set("log.level", "error");
    let process = site.start().await;
    let write = |site: &Site| std::fs::write(site.path("outrigger.yaml"), site.yaml()).unwrap();

    // Noticed by itself; that it is said at all shows that the level was applied.
    let site = site.set("log.level", "info").set("function.timeout", "7s");
    write(&site);
    let line = process.line("the configuration was read again").await;
    assert!(line.contains("log.level") && line.contains("function.timeout"), "{line}");
    let (status, text) = site.until_readyz("restart to apply function.timeout").await;
    assert_eq!(status, 200, "{text}");

    let site = site.set("function.timeout", "0s");
    write(&site);
    process.signal(Signal::HUP);
    let line = process.line("the new configuration is refused").await;
    assert!(line.contains("function.timeout"), "{line}");
    assert!(site.metric("outrigger_config_reloads_total{result=\"refused\"}").await >= 1.0);
    assert!(site.metric("outrigger_config_reloads_total{result=\"applied\"}").await >= 1.0);
    assert_eq!(site.readyz().await.0, 200);
}
