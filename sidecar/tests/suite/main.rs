//! One suite over all sources, with the shipped binary: each file names a broker that is really there and what it can
//! do, and the testkit does the rest (`outrigger_testkit::suite`).
//!
//! | module | what stands there |
//! |---|---|
//! | `eventgrid` | a subscription of a fake of Event Grid, pulled |
//! | `http` | events that are posted, in the journal |
//! | `kafka` | a topic of a real Kafka |
//! | `pubsub` | a subscription of Google's in-memory Pub/Sub and of a fake, pulled |
//! | `three` | the README's file, with three brokers at once |

mod eventgrid;
mod http;
mod kafka;
mod pubsub;
mod three;

use outrigger_testkit::{
    place::workspace,
    suite::{Adapter as _, Outrigger, table},
};

/// The shipped binary.
const EXE: &str = env!("CARGO_BIN_EXE_outrigger");

fn shipped() -> Outrigger {
    Outrigger::new(EXE)
}

#[test]
fn the_testkits_readme_shows_which_scenario_runs_over_which_source() {
    let table = table(&[
        http::Http::CAPABILITIES,
        kafka::Kafka::CAPABILITIES,
        pubsub::Google::CAPABILITIES,
        pubsub::Fake::CAPABILITIES,
        eventgrid::EventGrid::CAPABILITIES,
    ]);
    let readme = std::fs::read_to_string(workspace().join("sidecar/testkit/README.md")).expect("a README");
    assert!(readme.contains(&table), "sidecar/testkit/README.md must have this:\n\n{table}");
}
