//! The shipped binary as the suite's subject: asked only by what it serves and prints.

use std::{fmt::Write as _, path::PathBuf};

use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::process::Command;

use super::{
    Letter, Routes, Setup, Sidecar, Subject,
    routes::{Rule, Target},
};
use crate::{
    Launch, free_port,
    process::{WAIT_MAX, get},
};

/// The binary at a path.
#[derive(Debug, Clone)]
pub struct Outrigger {
    exe: PathBuf,
}

impl Outrigger {
    /// The binary `exe`: `env!("CARGO_BIN_EXE_outrigger")`.
    #[must_use]
    pub fn new(exe: &str) -> Self {
        Self { exe: exe.into() }
    }
}

impl Subject for Outrigger {
    fn launch(&self, sidecar: &Sidecar, setup: &Setup) -> Launch {
        Launch::new(&self.exe, &sidecar.folder).file("outrigger.yaml", &yaml(sidecar, setup)).arg("run")
    }

    fn in_hand<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(metric(sidecar, "outrigger_window_events"))
    }

    fn discarded<'a>(&'a self, sidecar: &'a Sidecar, rule: &'a str) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(async move {
            metric(sidecar, &format!("outrigger_discarded_events_total{{rule=\"{rule}\"}}")).await
        })
    }

    fn marks<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(metric(sidecar, "outrigger_journal_marks"))
    }

    fn letters<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<Vec<Letter>, String>> {
        Box::pin(async {
            let mut command = Command::new(&self.exe);
            command.args(["dead", "list", "--json"]).current_dir(&sidecar.folder).kill_on_drop(true);
            let ended = tokio::time::timeout(WAIT_MAX, command.output()).await;
            let output = ended.map_err(|_| "dead list did not end")?.map_err(|error| error.to_string())?;
            if !output.status.success() {
                return Err(String::from_utf8_lossy(&output.stderr).into_owned());
            }
            let said: Value = serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
            let letters = said["letters"].as_array().ok_or("dead list printed no letters")?;
            Ok(letters.iter().filter_map(letter).collect())
        })
    }
}

/// The value of a metric of the running binary, its labels included in the name.
///
/// # Errors
/// It does not answer, or has no such metric.
pub async fn metric(sidecar: &Sidecar, name: &str) -> Result<usize, String> {
    let (_, text) = get(sidecar.admin, "/metrics").await.map_err(|error| error.to_string())?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).ok_or_else(|| format!("there is no metric {name}"))
}

fn letter(value: &Value) -> Option<Letter> {
    Some(Letter { id: value["event_id"].as_str()?.to_owned(), attempts: value["attempts"].as_u64()? })
}

/// The configuration: one line a setting.
fn yaml(sidecar: &Sidecar, setup: &Setup) -> String {
    let ours = [
        ("function.url", setup.function.clone()),
        ("function.concurrency", setup.concurrency.to_string()),
        ("window.events", setup.window.to_string()),
        ("delivery.attempts_max", setup.attempts_max.to_string()),
        ("delivery.backoff.initial", "5ms".to_owned()),
        ("drain.deadline", format!("{}ms", setup.drain_ms)),
        ("admin.listen", sidecar.admin.to_string()),
        // The folder may lie on a container's own layer, which a journal is right not to trust.
        ("journal.storage", "durable".to_owned()),
        ("log.level", "debug".to_owned()),
    ];
    let ours = ours.into_iter().chain(routes(&setup.routes));
    let theirs = setup.source.iter().map(|(path, value)| (path.as_str(), value.clone()));
    let mut settings: Vec<_> = ours.chain(theirs).collect();
    // It always listens, so where the source is another, let it be where nothing else does.
    let listen = "ingress.http.listen";
    if settings.iter().all(|(path, _)| *path != listen) {
        settings.push((listen, format!("127.0.0.1:{}", free_port())));
    }
    let mut yaml = String::new();
    for (path, value) in settings {
        let nested = path.rsplit('.').fold(value, |inner, name| format!("{{{name}: {inner}}}"));
        let _ = writeln!(yaml, "{}", &nested[1..nested.len() - 1]); // writing to a string cannot fail
    }
    yaml
}

/// Rules and targets, in one line each.
fn routes(routes: &Routes) -> Vec<(&'static str, String)> {
    if routes.is_empty() {
        return Vec::new();
    }
    let list = |items: Vec<String>| items.join(", ");
    let target = |Target { name, url, lane_max }: &Target| {
        let overflow =
            lane_max.map_or_else(String::new, |max| format!(", overflow: journal, lane_max: {max}"));
        format!("{name}: {{url: \"{url}\"{overflow}}}")
    };
    let rule = |Rule { name, prefix, to }: &Rule| {
        let to = if to.is_empty() { "discard: true".to_owned() } else { format!("to: [{}]", to.join(", ")) };
        format!("{{name: {name}, when: {{prefix: {{type: \"{prefix}\"}}}}, {to}}}")
    };
    let matches = if routes.matches_all { "all" } else { "first" };
    let targets = list(routes.targets.iter().map(target).collect());
    let rules = list(routes.rules.iter().map(rule).collect());
    vec![("targets", format!("{{{targets}}}")), ("routes", format!("{{match: {matches}, rules: [{rules}]}}"))]
}
