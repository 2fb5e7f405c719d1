//! The public test suite of HTTP caches: each of its tests comes out as `results.txt` says, and of those that it
//! requires all pass that any cache can pass.

use crate::rig::site;
use outrigger_testkit::{
    free_port,
    place::{skip, workspace},
};
use std::{path::PathBuf, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};

/// What each test comes to, in the order of the suite: its kind, its name, and what the suite's own judge says.
const RESULTS: &str = include_str!("results.txt");

/// The server cuts the connection and the test asks for a header that only an answer of that server has; no published result
/// of any cache has passed one of them.
const NOBODY_PASSES: &str = "required stale-close-";

/// The suite's server, which is the function. It ends with this.
struct Origin {
    _process: Child,
    url: String,
}

impl Origin {
    async fn start(suite: &PathBuf) -> Self {
        let port = free_port().to_string();
        let mut command = Command::new("node");
        command.arg("server/server.mjs").current_dir(suite).kill_on_drop(true).stdout(Stdio::piped());
        command.env("npm_config_protocol", "http").env("npm_config_port", &port);
        command.env("npm_config_pidfile", "/dev/null");
        let mut process = command.spawn().expect("node starts");
        let mut lines = BufReader::new(process.stdout.take().expect("a pipe")).lines();
        let first = lines.next_line().await.expect("the server speaks").unwrap_or_default();
        assert!(first.starts_with("Listening"), "{first}");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { _process: process, url: format!("http://127.0.0.1:{port}/") }
    }
}

#[tokio::test]
async fn every_test_of_the_public_suite_comes_out_as_it_is_committed() {
    let found = Command::new(workspace().join("scripts/http-cache-tests.sh")).output().await.expect("bash");
    if !found.status.success() {
        skip("http-cache/suite", String::from_utf8_lossy(&found.stderr).trim());
        return;
    }
    let folder = PathBuf::from(String::from_utf8(found.stdout).expect("a path is text").trim());
    let origin = Origin::start(&folder).await;
    let (site, proxy) = site(&origin.url);
    // Five of its tests want the cookies of one client kept for everybody, which RFC 9111 allows; here it is a choice.
    let site = site.set("cache.responses.set_cookie", "kept");
    let _process = site.start().await;
    let mut judge = Command::new("node");
    judge.arg("--no-warnings").arg(workspace().join("conformance/http-cache/judge.mjs"));
    let judged = judge.arg(&folder).arg(format!("http://{proxy}")).output().await.expect("node starts");
    let told = String::from_utf8(judged.stdout).expect("text");
    assert!(judged.status.success(), "{told}{}", String::from_utf8_lossy(&judged.stderr));
    if told == RESULTS {
        return;
    }
    std::fs::write(site.path("results.txt"), &told).expect("a file");
    let lines = told.lines().filter(|line| !RESULTS.lines().any(|other| other == *line));
    let changed: Vec<_> = lines.collect();
    panic!("these come out otherwise than results.txt says: {changed:#?}");
}

#[test]
fn of_what_the_suite_requires_everything_passes_that_anybody_can_pass() {
    let required: Vec<_> = RESULTS.lines().filter(|line| line.starts_with("required ")).collect();
    let others = required.iter().filter(|line| !line.starts_with(NOBODY_PASSES));
    let failing: Vec<_> = others.filter(|line| !line.ends_with(" pass")).collect();
    assert!(failing.is_empty(), "{failing:?}");
    assert_eq!(required.len(), 165, "the list is whole");
    assert_eq!(required.iter().filter(|line| line.starts_with(NOBODY_PASSES)).count(), 4);
}
