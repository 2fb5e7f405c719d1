//! The suite is proven: over a toy broker a sidecar without a flaw keeps every scenario, and for each scenario there
//! is a flaw with which it is not kept.

mod flaws;

use std::time::Duration;

use futures_util::future::BoxFuture;
use outrigger_testkit::{
    Launch,
    process::get,
    suite::{Letter, Setup, Sidecar, Subject, toy::Toy},
};

outrigger_testkit::suite!(Toy, Flawed("none"));

/// The small sidecar of the toy broker, with this flaw.
struct Flawed(&'static str);

impl Subject for Flawed {
    fn launch(&self, sidecar: &Sidecar, setup: &Setup) -> Launch {
        let setup = serde_json::to_string(&(setup, sidecar.admin)).expect("a setup is JSON");
        let launch = Launch::new(env!("CARGO_BIN_EXE_outrigger-flawed-pull"), &sidecar.folder);
        launch.file("setup.json", &setup).arg(self.0)
    }

    fn in_hand<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(async {
            let (_, body) = get(sidecar.admin, "/in-hand").await.map_err(|error| error.to_string())?;
            body.parse().map_err(|_| format!("{body:?} is no count"))
        })
    }

    fn discarded<'a>(&'a self, sidecar: &'a Sidecar, _: &'a str) -> BoxFuture<'a, Result<usize, String>> {
        lines(sidecar, "discarded")
    }

    fn marks<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        lines(sidecar, "marks")
    }

    fn letters<'a>(&'a self, sidecar: &'a Sidecar) -> BoxFuture<'a, Result<Vec<Letter>, String>> {
        let lines = std::fs::read_to_string(sidecar.path("letters")).unwrap_or_default(); // there may be none yet
        let letters = lines.lines().map(|line| serde_json::from_str(line).map_err(|error| error.to_string()));
        Box::pin(std::future::ready(letters.collect()))
    }

    fn patience(&self) -> Duration {
        // What a flaw withholds is waited for in vain.
        if self.0 == "none" { Duration::from_secs(20) } else { Duration::from_secs(4) }
    }
}

/// How many lines a file has; none where it is not there yet.
fn lines<'a>(sidecar: &Sidecar, name: &str) -> BoxFuture<'a, Result<usize, String>> {
    let lines = std::fs::read_to_string(sidecar.path(name)).unwrap_or_default();
    Box::pin(std::future::ready(Ok(lines.lines().count())))
}
