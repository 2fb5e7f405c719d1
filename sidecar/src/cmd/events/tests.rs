use super::*;
use crate::{
    cli::{Cli, Command},
    config::{Nothing, Purpose, read},
    events_api::{Audited, Listed},
};
use clap::Parser as _;
use outrigger_core::{BoxFuture, Result};
use std::sync::Mutex;

const NOW_MS: u64 = 10_000_000;

fn job(args: &[&str]) -> Result<Job, Failure> {
    let Command::Events(command) = Cli::parse_from([&["outrigger", "events"], args].concat()).command else {
        panic!()
    };
    Job::of(&command, NOW_MS)
}

#[test]
fn a_list_takes_every_filter() {
    let args = ["list", "--id", "e", "--type", "t", "--source", "/s", "--subject", "u", "--key", "k"];
    let more = ["--outcome", "delivered", "--target", "a", "--since", "1h", "--until", "1m", "--limit", "5"];
    let text = |text: &str| Some(text.to_owned());
    let expected = Filter {
        id: text("e"),
        ty: text("t"),
        source: text("/s"),
        subject: text("u"),
        key: text("k"),
        outcome: text("delivered"),
        target: text("a"),
        since_ms: Some(NOW_MS - 3_600_000),
        until_ms: Some(NOW_MS - 60_000),
        after: Some(9),
        limit: Some(5),
        ..Filter::default()
    };
    assert_eq!(job(&[&args[..], &more, &["--after", "9"]].concat()).unwrap(), Job::List(expected));
}

#[test]
fn what_cannot_be_meant_is_told() {
    for (args, expected) in [
        (&["replay"][..], "which ones? `outrigger events replay` needs numbers"),
        (&["replay", "--limit", "3"], "which ones? `outrigger events replay` needs numbers"),
        (&["replay", "--all", "3"], "--all and a filter contradict each other"),
        (&["list", "--since", "5"], "--since: \"5\" is not a duration"),
        (&["list", "--limit", "0"], "--limit: 0 are none"),
        (&["audit", "--limit", "0"], "--limit: 0 are none"),
        (&["list", "--outcome", "lost"], "\"lost\" is no outcome; there are waiting, delivered"),
    ] {
        let Err(Failure::Wrong(line)) = job(args) else { panic!("{args:?} was taken") };
        assert!(line.starts_with(expected), "{args:?}: {line}");
    }
    let config = read(&Nothing, "f", "targets: {a: {url: \"http://127.0.0.1:1/\"}}\n", &[], Purpose::Look);
    let config = config.unwrap();
    for (to, known) in [("a", true), ("function", true), ("b", false)] {
        assert_eq!(job(&["replay", "--all", "--to", to]).unwrap().check(&config).is_ok(), known, "{to}");
    }
}

/// Has kept events 1 to 2,500, and gives at most 700 at once.
#[derive(Default)]
struct Many(Mutex<Vec<Replay>>);

impl Many {
    fn page(after: Option<u64>, limit: Option<u32>) -> (Vec<u64>, Option<u64>) {
        let after = after.unwrap_or(0);
        let last = (after + u64::from(limit.unwrap()).min(700)).min(2_500);
        ((after + 1..=last).collect(), (last < 2_500).then_some(last))
    }
}

impl Events for Many {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        let (seqs, next) = Self::page(filter.after, filter.limit);
        let events = seqs.into_iter().map(|seq| Summary { seq, ..Summary::default() }).collect();
        Box::pin(async move { Ok(Listed { events, next }) })
    }

    fn show<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Shown>>> {
        Box::pin(async { Ok(None) })
    }

    fn replay<'a>(&'a self, replay: Replay, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        let (done, next) = Self::page(replay.filter.after, replay.filter.limit);
        self.0.lock().unwrap().push(replay);
        Box::pin(async move { Ok(Changed { done, refused: Vec::new(), next }) })
    }

    fn audit(&self, _: AuditPage) -> BoxFuture<'_, Result<Audited>> {
        Box::pin(async { Ok(Audited::default()) })
    }
}

#[tokio::test]
async fn a_list_goes_on_where_the_last_ended_and_says_where_it_ends() {
    let many = Many::default();
    let listed = job(&["list", "--limit", "900", "--after", "100"]).unwrap().run(&many).await.unwrap();
    let Done::Listed { events, next } = listed else { panic!() };
    assert_eq!((events.len(), events[0].seq, next), (900, 101, Some(1_000)));
    let listed = job(&["list", "--limit", "9000"]).unwrap().run(&many).await.unwrap();
    let Done::Listed { events, next } = listed else { panic!() };
    assert_eq!((events.len(), next), (2_500, None));
}

#[tokio::test]
async fn a_replay_goes_through_all_pages_with_the_same_words() {
    let many = Many::default();
    let args = ["replay", "--type", "t", "--to", "a", "--dry-run"];
    let done = job(&args).unwrap().run(&many).await.unwrap();
    let Done::Replayed { changed, dry_run: true } = done else { panic!() };
    assert_eq!(changed.done.len(), 2_500);
    let asked = many.0.lock().unwrap();
    assert_eq!(asked.len(), 4);
    for replay in asked.iter() {
        assert!(replay.dry_run && replay.to.as_deref() == Some("a"));
        assert_eq!((replay.filter.ty.as_deref(), replay.filter.until_ms), (Some("t"), Some(NOW_MS + 1)));
    }
}
