//! What keeps the shipped binary from starting: each is one clear line with what to do, and the right exit code.

mod common;

use common::{Said, Site};
use outrigger_function::{Function, Program};
use std::net::TcpListener;

fn site() -> Site {
    Site::at("http://127.0.0.1:1")
}

/// One line, exit 2, and each of the parts in it.
fn assert_says(said: &Said, parts: &[&str]) {
    let line = said.one_line(2);
    for part in parts {
        assert!(line.contains(part), "{part:?} in {line:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_setting_and_nothing_is_made() {
    let site = site();
    for (address, setting) in [(site.ingress, "ingress.http.listen"), (site.admin, "admin.listen")] {
        let _taken = TcpListener::bind(address).unwrap();
        let said = site.refused().await;
        assert_says(&said, &[setting, &address.to_string(), "in use"]);
        assert!(!site.path(".outrigger/journal.db").exists());
    }
}

#[tokio::test]
async fn a_second_process_on_the_same_journal_is_refused_and_the_first_goes_on() {
    let function = Function::start(Program::default());
    let first = Site::of(&function);
    let mut process = first.start().await;
    let journal = first.path(".outrigger/journal.db");
    let second = Site::of(&function).set("journal.path", &format!("{journal:?}"));
    let said = second.refused().await;
    assert_says(&said, &["journal.db", &format!("process {}", process.pid().as_raw_nonzero()), "stop it"]);
    assert!(process.is_running());
    assert_eq!(first.readyz().await.0, 200);

    // In the same folder, with ports and a journal of its own: the owner's socket is taken.
    let third = Site::of(&function).set("journal.path", "third.db");
    std::fs::write(first.path("third.yaml"), third.yaml()).unwrap();
    assert_says(&first.verb(&["run", "-c", "third.yaml"]).await, &["admin.socket", "admin.sock"]);
    assert_eq!(first.readyz().await.0, 200);
    assert_eq!(process.stop().await.code(), Some(0));
    first.start().await; // what a killed or stopped one leaves behind is in nobody's way
}

#[tokio::test]
async fn a_killed_one_leaves_nothing_that_keeps_the_next_from_starting() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    site.start().await.kill().await;
    assert!(site.path(".outrigger/admin.sock").exists(), "the socket of the dead one lies there");
    assert_eq!(site.start().await.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_journal_from_a_newer_version_is_refused_and_not_touched() {
    let function = Function::start(Program::default());
    let site = Site::of(&function);
    assert_eq!(site.start().await.stop().await.code(), Some(0));
    site.letters().await; // opening it moves what the log holds into the database
    // SQLite's header: the user version is at offset 60, big-endian (sqlite.org/fileformat2.html).
    let file = site.path(".outrigger/journal.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&file, &bytes).unwrap();
    assert_says(&site.refused().await, &["journal.db", "99", "newer"]);
    let listed = site.verb(&["dead", "list"]).await;
    assert!(listed.code != Some(0) && listed.stderr.lines().count() == 1, "{listed:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_that_is_no_journal_is_refused_and_not_touched() {
    let site = site();
    std::fs::create_dir(site.path(".outrigger")).unwrap();
    let text = "dear diary\n".repeat(1000);
    std::fs::write(site.path(".outrigger/journal.db"), &text).unwrap();
    assert_says(&site.refused().await, &["journal.db"]);
    assert_eq!(std::fs::read_to_string(site.path(".outrigger/journal.db")).unwrap(), text);
}

#[tokio::test]
async fn a_journal_where_nothing_can_be_written_is_refused() {
    let site = site();
    std::fs::write(site.path("file"), "").unwrap();
    assert_says(&site.set("journal.path", "file/journal.db").refused().await, &["file"]);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_one_line() {
    let site = site();
    for verb in ["run", "check"] {
        let arguments: &[&str] =
            if verb == "run" { &["run", "-c", "absent.yaml"] } else { &["check", "absent.yaml"] };
        assert_says(&site.verb(arguments).await, &["absent.yaml", "outrigger config example"]);
    }
    std::fs::write(site.path("binary.yaml"), b"\n\xff\xfe").unwrap();
    assert_says(&site.verb(&["run", "-c", "binary.yaml"]).await, &["binary.yaml", "UTF-8", "line 2"]);
}

#[tokio::test]
async fn every_mistake_of_a_configuration_is_told_with_its_line_and_the_nearest_key() {
    let site = site();
    let yaml = "function:\n  url: http://127.0.0.1:1\n  timeuot: 5s\ndelivery:\n  attempts_max: many\nwindo:\n  events: 3\n";
    std::fs::write(site.path("bad.yaml"), yaml).unwrap();
    for arguments in [["check", "bad.yaml"].as_slice(), &["run", "-c", "bad.yaml"]] {
        let said = site.verb(arguments).await;
        assert_eq!(said.code, Some(2));
        let text = said.stdout + &said.stderr;
        for part in ["bad.yaml:3:", "timeout", "bad.yaml:5:", "attempts_max", "bad.yaml:6:", "window"] {
            assert!(text.contains(part), "{part:?} in {text}");
        }
    }
    assert!(!site.path(".outrigger").exists());
}

#[tokio::test]
async fn a_good_configuration_is_no_problem_and_neither_is_the_example() {
    let site = site();
    let _ = site.launch();
    let checked = site.verb(&["check", "outrigger.yaml"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let example = site.verb(&["config", "example"]).await;
    std::fs::write(site.path("example.yaml"), &example.stdout).unwrap();
    let checked = site.verb(&["check", "example.yaml"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
}

#[tokio::test]
async fn a_token_file_that_gives_no_token_is_one_line() {
    let site = site().set("ingress.http.auth", "{bearer_file: token}");
    assert_says(&site.refused().await, &["token", "cannot be read"]);
    std::fs::write(site.path("token"), " \n").unwrap();
    assert_says(&site.refused().await, &["token", "empty"]);
    std::fs::write(site.path("token"), "two words").unwrap();
    let said = site.refused().await;
    assert_says(&said, &["token"]);
    assert!(!said.stderr.contains("two words"), "nothing of the file is shown: {said:?}");
}

#[tokio::test]
async fn without_a_function_there_is_nothing_to_do() {
    let nothing = Site::supervised(&[]);
    assert_says(&nothing.refused().await, &["function", "COMMAND"]);
    let own = Site::supervised(&[]);
    let url = format!("http://{}", own.ingress);
    assert_says(&own.set("function.url", &url).refused().await, &["function.url", "own port"]);
}

#[tokio::test]
async fn storage_that_dies_with_the_pod_makes_senders_wait_and_is_never_trusted_silently() {
    let function = Function::start(Program::default());
    let refused = Site::of(&function).set("journal.storage", "ephemeral").set("ingress.http.sync", "false");
    assert_says(&refused.refused().await, &["ingress.http.sync", "accept-loss"]);

    let event = outrigger_testkit::Outgoing::new("1", None);
    for (site, status) in [
        (Site::of(&function).set("journal.storage", "ephemeral"), 200),
        (
            Site::of(&function).set("journal.storage", "ephemeral").set("journal.ephemeral", "accept-loss"),
            202,
        ),
    ] {
        let _process = site.start().await;
        let answer = site.producer().send(&event, outrigger_testkit::Mode::Binary).await.unwrap();
        assert_eq!(answer.status(), status);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_nothing_is_said_of_it() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = std::process::Command::new(common::EXE);
    let output = command.args(["config", "example"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// Each first example in YAML below one of these headings is a file that a reader saves and checks.
#[tokio::test]
async fn the_readmes_files_of_brokers_are_found_good() {
    let readme = std::fs::read_to_string(outrigger_testkit::place::workspace().join("README.md")).unwrap();
    let site = site();
    for file in ["key", "eventgrid.key"] {
        std::fs::write(site.path(file), "a2V5").unwrap();
    }
    for heading in
        ["Your own Kafka", "Your own Pub/Sub", "Your own Event Grid", "Three brokers, one function"]
    {
        let section = readme.split_once(&format!("\n## {heading}\n")).expect("the section is there").1;
        let example = section.split_once("```yaml\n").and_then(|(_, rest)| rest.split_once("```"));
        std::fs::write(site.path("example.yaml"), example.expect("it has an example").0).unwrap();
        let said = site.verb(&["check", "example.yaml"]).await;
        assert_eq!(said.code, Some(0), "{heading}: {said:?}");
        assert!(said.stdout.contains("no mistakes"), "{heading}: {said:?}");
    }
}
