//! The recorded requests of Microsoft's clients: the fake takes each as it is.
//!
//! The recorded answers were canned and are not Azure's, so they are not compared. Lock tokens in them are made up:
//! those requests must be understood, and then told that their tokens are none.

mod common;

use std::{fs, path::PathBuf};

use common::exchange;
use outrigger_eventgrid_fake::{Config, Fake, QueueSettings, config::CustomTopic, event::Schema};

const NAME: &str = "the_fake_takes_every_recorded_request_of_microsofts_clients";

fn recordings() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where the shared data lie is said by the environment")]
    let named = std::env::var_os("OUTRIGGER_SHARED").map(PathBuf::from);
    let beside = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared"));
    let folder = named.unwrap_or(beside).join("data/eventgrid");
    if folder.exists() {
        return Some(folder);
    }
    common::skip(NAME, &format!("{} is absent", folder.display()));
    None
}

#[test]
fn the_fake_takes_every_recorded_request_of_microsofts_clients() {
    let Some(folder) = recordings() else { return };
    let mut taken = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let (request, _) = text.split_once("\n--- response ---").expect("a recording");
        let (head, body) = request.split_once("\r\n\r\n").expect("a head and a body");
        // The recorder wrote a newline after the body; the length is the recorded one.
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let body = &body.as_bytes()[..length.unwrap_or(0)];
        // This client closes its connection after each; nothing else is changed.
        let head: Vec<_> = head.lines().filter(|line| !line.starts_with("Connection:")).collect();
        let head = head.join("\r\n") + "\r\nconnection: close\r\n\r\n";

        let mut config = Config::default();
        if head.to_lowercase().contains("content-type: application/json") {
            let topic = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
            config.custom_topics.insert("default".to_owned(), topic);
        }
        let fake = Fake::standing(config);
        fake.put_queue("t1", "s1", QueueSettings::default());
        common::publish(&fake, &["waiting"]);
        let answer = exchange(fake.addr(), head.as_bytes(), body).unwrap_or_else(|| panic!("{path:?}"));
        assert_eq!(answer.status, 200, "{path:?}: {answer:?}");
        match path.file_stem().unwrap().to_str().unwrap() {
            name if name.contains("topic") => assert_eq!(answer.body, ""),
            name if name.contains("publish") => assert_eq!(answer.body, "{}"),
            name if name.contains("receive") => {
                assert_eq!(answer.json()["value"][0]["event"]["id"], "waiting");
            }
            _ => {
                let failed = &answer.json()["failedLockTokens"][0]["error"]["code"];
                assert_eq!(failed, "BadToken", "{answer:?}");
            }
        }
        taken += 1;
    }
    assert!(taken >= 36, "only {taken} recordings");
}
