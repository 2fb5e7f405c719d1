use super::*;
use crate::{
    cli::{Cli, Command},
    dead_api::{Listed, Refused},
};
use clap::Parser as _;
use outrigger_core::{BoxFuture, Result};
use std::sync::Mutex;

const NOW_MS: u64 = 10_000_000;

fn job(args: &[&str]) -> Result<Job, Failure> {
    let Command::Dead(command) = Cli::parse_from([&["outrigger", "dead"], args].concat()).command else {
        panic!()
    };
    Job::of(&command, NOW_MS)
}

#[test]
fn a_list_takes_every_filter() {
    let args = ["list", "--id", "3", "--id", "4", "--type", "t", "--source", "/s", "--reason", "refused"];
    let more = ["--since", "1h", "--until", "1m", "--limit", "5", "--text", "x"];
    let expected = Filter {
        ids: vec![3, 4],
        ty: Some("t".to_owned()),
        source: Some("/s".to_owned()),
        reason: Some("refused".to_owned()),
        text: Some("x".to_owned()),
        since_ms: Some(NOW_MS - 3_600_000),
        until_ms: Some(NOW_MS - 60_000),
        limit: Some(5),
        ..Filter::default()
    };
    assert_eq!(job(&[&args[..], &more[..]].concat()).unwrap(), Job::List(expected));
}

#[test]
fn replay_and_drop_need_to_be_told_which() {
    for (args, expected) in [
        (
            &["replay"][..],
            "which ones? `outrigger dead replay` needs numbers, a filter such as --reason, or --all",
        ),
        (
            &["drop", "--limit", "3"],
            "which ones? `outrigger dead drop` needs numbers, a filter such as --reason, or --all",
        ),
        (&["drop", "--all", "--id", "3"], "--all and a filter contradict each other; give one"),
        (&["drop", "--all", "3"], "--all and a filter contradict each other; give one"),
        (
            &["list", "--since", "5"],
            "--since: \"5\" is not a duration with a unit, such as 250ms, 30s, 5m or 1h",
        ),
        (&["list", "--limit", "0"], "--limit: 0 letters are none; give at least 1"),
    ] {
        let Err(Failure::Wrong(line)) = job(args) else { panic!("{args:?} was taken") };
        assert_eq!(line, expected, "{args:?}");
    }
    let Err(Failure::Wrong(line)) = job(&["list", "--reason", "bored"]) else { panic!("it was taken") };
    assert!(line.starts_with("\"bored\" is no reason"), "{line}");
}

#[test]
fn letters_are_named_by_numbers_by_id_or_both() {
    for args in [&["drop", "3", "4"][..], &["drop", "--id", "3", "--id", "4"], &["drop", "3", "--id", "4"]] {
        let Job::Drop(filter) = job(args).unwrap() else { panic!("{args:?}") };
        assert_eq!((filter.ids, filter.all), (vec![3, 4], false), "{args:?}");
    }
}

#[test]
fn the_help_names_every_reason() {
    use clap::CommandFactory as _;
    let mut cli = Cli::command();
    let list = cli.find_subcommand_mut("dead").and_then(|dead| dead.find_subcommand_mut("list")).unwrap();
    let help = list.render_help().to_string();
    for code in ["malformed", "refused", "exhausted", "deadline", "timed-out", "unavailable"] {
        assert!(help.contains(code), "{code}: {help}");
    }
}

/// Has letters 1 to 2,500, of which every 1,000th stays, and gives at most 700 at once.
#[derive(Default)]
struct Many(Mutex<Vec<Filter>>);

impl Many {
    fn ids(&self, filter: &Filter) -> (Vec<u64>, Option<u64>) {
        self.0.lock().unwrap().push(filter.clone());
        let after = filter.after.unwrap_or(0);
        let limit = u64::from(filter.limit.unwrap()).min(700);
        let last = (after + limit).min(2_500);
        ((after + 1..=last).collect(), (last < 2_500).then_some(last))
    }

    fn changed(&self, filter: &Filter) -> Changed {
        let (ids, next) = self.ids(filter);
        let (stay, done): (Vec<_>, _) = ids.into_iter().partition(|id| id % 1_000 == 0);
        Changed {
            done,
            refused: stay.into_iter().map(|id| Refused { id, why: String::new() }).collect(),
            next,
        }
    }
}

impl Dead for Many {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        let (ids, next) = self.ids(&filter);
        let letter = |id| {
            serde_json::from_value(serde_json::json!({
                "id": id, "event_id": "", "source": "", "type": "", "reason": "refused", "status": null, "detail": "",
                "attempts": 1, "first_ms": 0, "last_ms": 0, "malformed": false, "origin": "", "position": "",
                "key": null, "bytes": 0,
            }))
        };
        Box::pin(async move {
            Ok(Listed { letters: ids.into_iter().map(|id| letter(id).unwrap()).collect(), next })
        })
    }

    fn get(&self, _: u64) -> BoxFuture<'_, Result<Option<Letter>>> {
        Box::pin(async { Ok(None) })
    }

    fn replay<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async move { Ok(self.changed(&filter)) })
    }

    fn drop<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async move { Ok(self.changed(&filter)) })
    }
}

#[tokio::test]
async fn a_replay_goes_through_all_pages_and_a_limit_ends_it() {
    let many = Many::default();
    let Done::Changed { changed, .. } = job(&["replay", "--all"]).unwrap().run(&many).await.unwrap() else {
        panic!()
    };
    assert_eq!((changed.done.len(), changed.refused.len(), many.0.lock().unwrap().len()), (2_498, 2, 4));
    let limited = job(&["drop", "--type", "t", "--limit", "1500"]).unwrap().run(&many).await.unwrap();
    let Done::Changed { changed, .. } = limited else { panic!() };
    assert_eq!((changed.done.len(), changed.refused.len()), (1_499, 1));
}

#[tokio::test]
async fn a_list_says_when_there_are_more() {
    let many = Many::default();
    for (limit, expected) in [("100", (100, true)), ("1000", (1_000, true)), ("9000", (2_500, false))] {
        let Done::Listed { letters, more } =
            job(&["list", "--limit", limit]).unwrap().run(&many).await.unwrap()
        else {
            panic!()
        };
        assert_eq!((letters.len(), more), expected);
    }
}
