//! Microsoft's own clients, from their registries, against the fake: they send, receive, acknowledge, release, reject
//! and renew, and are refused what the service refuses.

mod common;

use std::{path::PathBuf, process::Command};

use common::{Ask, skip};
use outrigger_eventgrid_fake::{
    Config, Fake, QueueSettings,
    config::{CustomTopic, NamespaceTopic},
    event::Schema,
};
use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The folder of the clients for `language`, or `None` after the skip of `test`.
fn clients(test: &str, language: &str) -> Option<PathBuf> {
    let fetched = Command::new(root().join("scripts/azure-clients.sh")).arg(language).output().expect("bash");
    if fetched.status.success() {
        return Some(PathBuf::from(String::from_utf8(fetched.stdout).unwrap().trim()));
    }
    skip(&format!("azure-{language}/{test}"), &String::from_utf8_lossy(&fetched.stderr));
    None
}

/// A fake as the scripts expect it.
fn fake() -> Fake {
    let settings = QueueSettings { dead_letter: true, ..QueueSettings::default() };
    let subscriptions = [("s1".to_owned(), settings)].into();
    let grid = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
    let topics = [("t1".to_owned(), NamespaceTopic { subscriptions })].into();
    let custom_topics = [("default".to_owned(), CustomTopic::default()), ("grid".to_owned(), grid)].into();
    Fake::standing(Config { topics, custom_topics, ..Config::default() })
}

fn run(command: &mut Command, script: &str, fake: &Fake) {
    let script = root().join("conformance/eventgrid/clients").join(script);
    let output = command.arg(script).arg(fake.url()).output().expect("the interpreter starts");
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// What the fake has seen of it.
fn assert_all_went_through(fake: &Fake, agents: &[&str], acknowledged: &Value, on_custom_topics: [u64; 2]) {
    let read = |path: &str| Ask::bare("GET", path).send(fake).json();
    assert_eq!(&read("/_/topics/t1/s1/acknowledged"), acknowledged);
    let counts = read("/_/topics/t1/s1")["counts"].clone();
    assert_eq!(counts["dead_lettered"], 1, "{counts}");
    assert_eq!(counts["renewed"], 1, "{counts}");
    assert_eq!(counts["released"], 2, "{counts}");
    let published =
        ["default", "grid"].map(|topic| read(&format!("/_/custom/{topic}"))["published"].as_u64());
    assert_eq!(published, on_custom_topics.map(Some));
    let requests = read("/_/requests");
    for agent in agents {
        let of_agent = |request: &&Value| request["agent"].as_str().unwrap().contains(agent);
        let count = requests.as_array().unwrap().iter().filter(of_agent).count();
        assert!(count >= 5, "{agent} made {count} requests");
    }
}

#[test]
fn microsofts_client_for_python_is_served() {
    let Some(home) = clients("microsofts_client_for_python_is_served", "python") else { return };
    let fake = fake();
    run(Command::new("python3").env("PYTHONPATH", home.join("lib")), "python/client.py", &fake);
    assert_all_went_through(&fake, &["azsdk-python-eventgrid/4.22.1"], &json!(["1", "2", "4", "5"]), [4, 2]);
}

#[test]
fn microsofts_clients_for_javascript_are_served() {
    let Some(home) = clients("microsofts_clients_for_javascript_are_served", "node") else { return };
    let fake = fake();
    run(Command::new("node").env("NODE_PATH", home.join("node_modules")), "node/client.js", &fake);
    let agents = ["azsdk-js-eventgrid/5.12.0", "azsdk-js-eventgrid-namespaces-rest/1.0.0"];
    assert_all_went_through(&fake, &agents, &json!(["1", "2"]), [3, 2]);
}

#[test]
fn microsofts_reader_of_events_understands_every_delivery() {
    let Some(home) = clients("microsofts_reader_of_events_understands_every_delivery", "node") else {
        return;
    };
    run(Command::new("node").env("NODE_PATH", home.join("node_modules")), "node/webhook.js", &fake());
}
