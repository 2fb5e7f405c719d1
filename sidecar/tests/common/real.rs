//! Real payloads: the public webhooks and triggers of the shared data folder.

use flate2::read::GzDecoder;
use outrigger_testkit::{Outgoing, shared};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{fs::File, io::Read as _};

const FILES: [&str; 3] = ["github-webhooks.jsonl.gz", "aws-lambda.jsonl.gz", "google.jsonl.gz"];

#[derive(Deserialize)]
struct Line<'a> {
    file: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// Every payload as an event whose data is the payload's own bytes; `None` after `test` was reported as skipped.
pub fn events(test: &str) -> Option<Vec<Outgoing>> {
    let folder = shared(test, "data/events")?;
    let mut events = Vec::new();
    for name in FILES {
        let file = File::open(folder.join(name)).expect("a file of the shared data");
        let mut lines = String::new();
        GzDecoder::new(file).read_to_string(&mut lines).expect("gzip of text");
        for (number, line) in lines.lines().enumerate() {
            let line: Line<'_> = serde_json::from_str(line).expect("one payload a line");
            let mut event = Outgoing::new(&format!("{name}:{number}"), None);
            event.source = format!("/{name}");
            event.extensions.push(("subject".to_owned(), line.file));
            events.push(event.with_data("application/json", line.body.get().to_owned()));
        }
    }
    Some(events)
}
