//! `outrigger routes`: which event would go where, and why, by the code that decides it in production.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Write},
};

use comfy_table::{Table, presets};
use outrigger_core::Event;
use serde_json::json;

use super::{
    Exit, Failure,
    dead::show::clean,
    event_files::{self, Reader},
};
use crate::{
    cli::RoutesArgs,
    config::{Env, FUNCTION, Purpose, load, locate},
    filter::Attributed,
    route::Routes,
    transform::{self, transformed},
};

const COLUMNS: [&str; 5] = ["event", "type", "goes to", "by rule", "why"];
/// The rows of one table: what is printed before the next events are read.
const ROWS_MAX: usize = 1_000;
/// The most characters of a cell; JSON has all of them.
const CELL_CHARS_MAX: usize = 96;

/// Prints a table of what becomes of each event, or a JSON object for each.
///
/// # Errors
/// [`Failure::Wrong`] when the configuration has mistakes, before anything is read; [`Failure::Io`] when standard output
/// cannot be written. A file or line that cannot be read is told on standard error, and the rest goes on.
pub fn run(args: &RoutesArgs, env: &dyn Env) -> Result<Exit, Failure> {
    let out = io::BufWriter::new(io::stdout().lock());
    routes(args, env, &mut io::stdin().lock(), out, io::stderr().lock())
}

fn routes(
    args: &RoutesArgs,
    env: &dyn Env,
    stdin: &mut dyn BufRead,
    out: impl Write,
    complaints: impl Write,
) -> Result<Exit, Failure> {
    let file = locate(env, args.config.as_deref());
    let config = load(env, file.as_deref(), &[], Purpose::Look)
        .map_err(|problems| Failure::Wrong(problems.to_string()))?;
    let others = config.targets.iter().map(|target| target.name.clone());
    let names = std::iter::once(FUNCTION.to_owned()).chain(others).collect();
    let (routes, counts) = (Routes::new(&config), BTreeMap::new());
    let mut work = Work {
        changes: config.transform,
        routes,
        names,
        json: args.json,
        out,
        complaints,
        rows: Vec::new(),
        counts,
        events: 0,
        unread: 0,
    };
    event_files::read(&args.events, stdin, &mut work)?;
    work.end()
}

struct Work<O, C> {
    /// What is done to each event before it is routed.
    changes: Vec<transform::Rule>,
    /// None sends all to the function.
    routes: Option<Routes>,
    /// The targets' names at their places.
    names: Vec<String>,
    json: bool,
    out: O,
    complaints: C,
    rows: Vec<[String; 5]>,
    /// How many events go to each target, and how many each rule discards.
    counts: BTreeMap<String, u64>,
    events: u64,
    unread: u64,
}

/// What becomes of one event.
struct Told {
    targets: Vec<String>,
    /// A rule on events fails on it, which makes it a dead letter.
    is_dead: bool,
    rule: Option<String>,
    why: String,
    /// Of each rule: its name, whether it fits, its words, and what went wrong.
    rules: Vec<serde_json::Value>,
}

impl<O: Write, C: Write> Reader for Work<O, C> {
    fn event(&mut self, place: &str, _: &[u8], event: &Event) -> Result<(), Failure> {
        let told = match transformed(&self.changes, "", event) {
            Ok(changed) => self.told(changed.as_ref().map_or(event, |changed| &changed.event)),
            Err(failed) => {
                let (rule, why) = (Some(failed.rule.to_owned()), failed.to_string());
                Told { targets: Vec::new(), is_dead: true, rule, why, rules: Vec::new() }
            }
        };
        self.events += 1;
        for target in &told.targets {
            *self.counts.entry(target.clone()).or_default() += 1;
        }
        if told.targets.is_empty() {
            let by = told.rule.as_deref().unwrap_or("otherwise");
            let what = if told.is_dead { "dead letters by" } else { "discarded by" };
            *self.counts.entry(format!("{what} {by}")).or_default() += 1;
        }
        let is_discarded = told.targets.is_empty() && !told.is_dead;
        if self.json {
            let object = json!({
                "place": place, "id": event.id(), "source": event.source(), "type": event.ty(),
                "rule": told.rule, "targets": told.targets, "discarded": is_discarded, "dead_letter": told.is_dead,
                "why": told.why, "rules": told.rules,
            });
            writeln!(self.out, "{object}")?;
            return Ok(());
        }
        let to = match told.targets.join(", ") {
            _ if told.is_dead => "(dead letter)".to_owned(),
            none if none.is_empty() => "(discarded)".to_owned(),
            targets => targets,
        };
        let rule = told.rule.unwrap_or_else(|| "–".to_owned());
        self.rows
            .push([event.id().to_owned(), event.ty().to_owned(), to, rule, told.why].map(|text| cell(&text)));
        if self.rows.len() == ROWS_MAX { self.table() } else { Ok(()) }
    }

    /// What was printed comes first, so that the two can be read together.
    fn unreadable(&mut self, place: &str, why: &str) -> Result<(), Failure> {
        self.unread += 1;
        self.out.flush()?;
        writeln!(self.complaints, "{place}: {why}")?;
        Ok(())
    }
}

impl<O: Write, C: Write> Work<O, C> {
    fn told(&self, event: &Event) -> Told {
        let name = |place: &usize| self.names[*place].clone();
        let Some(routes) = &self.routes else {
            let why = "there are no rules".to_owned();
            return Told { targets: vec![name(&0)], is_dead: false, rule: None, why, rules: Vec::new() };
        };
        let mut failed = Vec::new();
        let way = routes.way(event, |rule| failed.push(rule));
        let mut reasons = Vec::new();
        match way.by {
            Some(by) => reasons.push(routes.rules()[by].filter.to_string()),
            None => reasons.push("no rule fits".to_owned()),
        }
        let rules = routes.rules().iter().enumerate().map(|(place, rule)| {
            let explained = rule.filter.explain(&Attributed(event));
            let errors = errors(&explained);
            if failed.contains(&place) {
                reasons.push(format!("{}: {}", rule.name, errors.join("; ")));
            }
            json!({ "rule": &*rule.name, "fits": explained.holds, "expression": explained.expression, "errors": errors })
        });
        let rules = rules.collect();
        let rule = way.by.map(|by| routes.rules()[by].name.to_string());
        let targets = way.to.iter().map(name).collect();
        Told { targets, is_dead: false, rule, why: reasons.join("; "), rules }
    }

    fn table(&mut self) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(COLUMNS).add_rows(self.rows.drain(..));
        for line in table.to_string().lines() {
            writeln!(self.out, "{}", line.trim())?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<Exit, Failure> {
        if !self.json {
            if !self.rows.is_empty() {
                self.table()?;
            }
            let counts =
                self.counts.iter().map(|(what, count)| format!("{what} {count}")).collect::<Vec<_>>();
            writeln!(
                self.out,
                "{} events: {}",
                self.events,
                if counts.is_empty() { "-".to_owned() } else { counts.join(", ") }
            )?;
        }
        self.out.flush()?;
        Ok(if self.unread > 0 { Exit::Wrong } else { Exit::Success })
    }
}

/// What went wrong anywhere in it.
fn errors(explained: &outrigger_cesql::Explanation) -> Vec<String> {
    let own = explained.errors.iter().map(|error| error.message().to_owned());
    own.chain(explained.parts.iter().flat_map(errors)).collect()
}

/// A text on one line, of bounded length, that cannot steer a terminal.
fn cell(text: &str) -> String {
    let mut shown: String = clean(text).chars().take(CELL_CHARS_MAX).collect();
    if text.chars().nth(CELL_CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser as _;
    use std::fs;

    const CONFIG: &str = "\
kafka: {brokers: \"127.0.0.1:9092\"}
targets:
  audit: {url: \"https://audit.example.com/\"}
  copies: {kafka_topic: copies}
routes:
  rules:
    - {name: orders, when: \"type LIKE 'com.example.order.%'\", to: [function, copies]}
    - {name: noise, when: {prefix: {type: debug.}}, discard: true}
    - {name: loop, when: \"hop > 3\", to: audit}
";
    const EVENTS: &str = r#"{"specversion":"1.0","id":"1","source":"/shop","type":"com.example.order.paid"}
{"specversion":"1.0","id":"2","source":"/shop","type":"debug.tick"}

{"specversion":"1.0","id":"3","source":"/shop","type":"refund","hop":4}
{"specversion":"1.0","id":"4","source":"/shop","type":"refund"}
no JSON
"#;

    fn told(flags: &[&str], config: &str) -> (Result<Exit, String>, String, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("o.yaml");
        fs::write(&path, config).unwrap();
        let args = [&["outrigger", "routes", path.to_str().unwrap()], flags].concat();
        let Command::Routes(args) = Cli::parse_from(args).command else { panic!("another verb") };
        let (mut out, mut complaints) = (Vec::new(), Vec::new());
        let exit = routes(&args, &crate::config::Nothing, &mut EVENTS.as_bytes(), &mut out, &mut complaints);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (exit.map_err(|failure| failure.to_string()), text(out), text(complaints))
    }

    #[test]
    fn each_event_has_a_row_with_its_targets_its_rule_and_the_reason() {
        let (exit, out, complaints) = told(&[], CONFIG);
        let rows: Vec<_> =
            out.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let has = |row: &str| assert!(rows.iter().any(|found| found == row), "{row} in {out}");
        has("1 com.example.order.paid function, copies orders type LIKE 'com.example.order.%'");
        has("2 debug.tick (discarded) noise type LIKE 'debug.%'");
        has("3 refund audit loop hop > 3");
        has("4 refund function – no rule fits; loop: the event has no attribute hop");
        has("4 events: audit 1, copies 1, discarded by noise 1, function 2");
        assert!(complaints.starts_with("standard input:6: no CloudEvent: "), "{complaints}");
        assert_eq!(exit, Ok(Exit::Wrong));
    }

    #[test]
    fn json_has_a_line_for_each_event_and_what_each_rule_says() {
        let (_, out, _) = told(&["--json"], CONFIG);
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0]["targets"], json!(["function", "copies"]));
        assert_eq!((&lines[1]["discarded"], &lines[1]["rule"]), (&json!(true), &json!("noise")));
        assert_eq!(lines[3]["rule"], json!(null));
        assert_eq!(lines[3]["rules"][2]["errors"], json!(["the event has no attribute hop"]));
    }

    #[test]
    fn rules_on_events_come_first_and_one_that_fails_makes_a_dead_letter() {
        let rules = "transform:
  - {name: high, when: \"type = 'refund'\", set: {hop: {cesql: 'INT(hop) + 1'}}}
  - {name: renamed, when: \"type LIKE 'debug.%'\", set: {type: com.example.order.debugged}}
";
        let (_, out, _) = told(&[], &(CONFIG.to_owned() + rules));
        let has = |row: &str| {
            assert!(out.lines().any(|line| line.split_whitespace().eq(row.split(' '))), "{row} in {out}");
        };
        has("2 debug.tick function, copies orders type LIKE 'com.example.order.%'");
        has("3 refund audit loop hop > 3");
        has("4 events: audit 1, copies 2, dead letters by high 1, function 2");
        let (_, out, _) = told(&["--json"], &(CONFIG.to_owned() + rules));
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!((&last["dead_letter"], &last["discarded"]), (&json!(true), &json!(false)));
        assert!(last["why"].as_str().unwrap().starts_with("rule high: "), "{last}");
    }

    #[test]
    fn without_rules_all_go_to_the_function_and_mistakes_are_told_before_anything_is_read() {
        let (_, out, _) = told(&[], "");
        assert!(out.ends_with("4 events: function 4\n"), "{out}");
        let (exit, out, _) = told(&[], "routes: {rules: [{name: a, to: nowhere}]}\n");
        assert!(exit.unwrap_err().contains("routes.rules.to: found \"nowhere\""));
        assert_eq!(out, "");
    }
}
