//! The SDK of another language as a process: it is asked in one JSON line and answers in one.

#![allow(unreachable_pub, reason = "nothing here is an interface")]

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{Mutex, PoisonError},
};

/// What an SDK can do.
#[derive(Debug, Clone, Copy)]
pub struct Language {
    /// Its name for `scripts/sdk.sh`.
    pub name: &'static str,
    /// The modes that it writes over HTTP.
    pub sends: &'static [&'static str],
    /// The modes that it writes as records and reads.
    pub knows: &'static [&'static str],
}

pub const GO: Language = Language {
    name: "go",
    sends: &["binary", "structured", "protobuf", "batch"],
    knows: &["binary", "structured", "protobuf"],
};
pub const JAVA: Language = Language {
    name: "java",
    sends: &["binary", "structured", "protobuf"],
    knows: &["binary", "structured", "protobuf"],
};
/// Without batches and Protobuf.
pub const PYTHON: Language =
    Language { name: "python", sends: &["binary", "structured"], knows: &["binary", "structured"] };
/// Without Protobuf, and without a way to write batches.
pub const NODE: Language =
    Language { name: "node", sends: &["binary", "structured"], knows: &["binary", "structured"] };

/// Two tests want each program: what the first one fetches, the second finds.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The program of a language. It ends with this.
pub struct Judge {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Judge {
    /// The judge of `language`, or `None` after the test `test` was reported as skipped.
    pub fn of(language: Language, test: &str) -> Option<Self> {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let made = Command::new(root.join("scripts/sdk.sh")).arg(language.name).output().expect("bash");
        drop(turn);
        if !made.status.success() {
            let why = String::from_utf8_lossy(&made.stderr);
            outrigger_testkit::place::skip(&format!("sdk-{}/{test}", language.name), why.trim());
            return None;
        }
        let home = PathBuf::from(String::from_utf8(made.stdout).expect("a path is text").trim());
        let mut command = match language.name {
            "go" => Command::new(home.join("judge")),
            "java" => {
                let mut java = Command::new("java");
                // It lives for a second: the first compiler suffices.
                java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-cp"]);
                java.arg(format!("{0}/libs/*:{0}/classes", home.display())).arg("Judge");
                java
            }
            "python" => {
                let mut python = Command::new("python3");
                python.env("PYTHONPATH", home.join("lib")).arg(home.join("judge.py"));
                python
            }
            _ => {
                let mut node = Command::new("node");
                node.env("NODE_PATH", home.join("node_modules")).arg(home.join("judge.js"));
                node
            }
        };
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let to = process.stdin.take().expect("a pipe");
        let from = BufReader::new(process.stdout.take().expect("a pipe"));
        Some(Self { process, to, from })
    }

    /// Asks it; an answer with `error` is an error.
    pub fn ask(&mut self, question: &Value) -> Result<Value, String> {
        writeln!(self.to, "{question}").expect("the judge reads");
        let mut line = String::new();
        self.from.read_line(&mut line).expect("the judge answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{question}: {line:?}"));
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer),
        }
    }

    /// Has it read a message, and gives back its events.
    pub fn read(
        &mut self,
        verb: &str,
        headers: &[(String, Vec<u8>)],
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<Vec<Value>, String> {
        let packed = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let headers: Vec<Value> =
            headers.iter().map(|(name, value)| json!({"Name": name, "Value": packed(value)})).collect();
        let asked =
            json!({"Do": verb, "Headers": headers, "Key": key.map(packed), "Value": value.map(packed)});
        Ok(self.ask(&asked)?["events"].as_array().expect("events").clone())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
