//! The scenarios as a table, and the one place where it is decided whether one runs.

use std::{
    io::{self, Write as _},
    sync::Arc,
    time::Instant,
};

use futures_util::future::BoxFuture;

use super::{Adapter, Capabilities, Stage, Subject, Way, scenarios};

/// A scenario: what is done and what is owed.
pub struct Scenario {
    /// Its name, which is that of its test.
    pub name: &'static str,
    /// What a source must have for it.
    pub need: Need,
    play: fn(Stage) -> BoxFuture<'static, ()>,
}

/// What a source must have for a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: every source owes it.
    Nothing,
    /// [`Capabilities::order`].
    Order,
    /// [`Capabilities::duplicates`].
    Duplicates,
    /// [`Capabilities::lease`].
    Lease,
    /// [`Capabilities::reconnect`].
    Reconnect,
}

/// Names every scenario, once: hands their names to another macro, after what that is given besides.
#[doc(hidden)]
#[macro_export]
macro_rules! each_scenario {
    ([$($macro:tt)*] $($given:tt)*) => {
        $($macro)*! {
            [$($given)*]
            redelivery crash drain backpressure poison routes shares marks overflow
            duplicates order slow_function reconnect
        }
    };
}

/// The tests of every scenario over one source: `suite!(Kafka, Outrigger::new(…))` names the
/// [`Adapter`](crate::suite::Adapter) and makes the [`Subject`](crate::suite::Subject).
#[macro_export]
macro_rules! suite {
    ($adapter:ty, $subject:expr) => {
        $crate::each_scenario!([$crate::suite_tests] $adapter, $subject);
    };
}

/// What [`suite!`](crate::suite!) makes of the names.
#[doc(hidden)]
#[macro_export]
macro_rules! suite_tests {
    ([$adapter:ty, $subject:expr] $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let subject = ::std::sync::Arc::new($subject);
                $crate::suite::run::<$adapter>($crate::suite::scenario(stringify!($name)), subject).await;
            }
        )*
    };
}

macro_rules! all {
    ([] $($name:ident)*) => {
        /// All of them, those first that every source owes.
        pub static ALL: &[Scenario] = &[$(
            Scenario {
                name: stringify!($name),
                need: scenarios::$name::NEED,
                play: |stage| Box::pin(scenarios::$name::play(stage)),
            }
        ),*];
    };
}

crate::each_scenario!([all]);

impl Scenario {
    /// Why it does not apply to such a source, if so.
    #[must_use]
    pub fn why_not(&self, capabilities: &Capabilities) -> Option<&'static str> {
        match self.need {
            Need::Nothing => None,
            Need::Order => capabilities.order.why_not(),
            Need::Duplicates => capabilities.duplicates.why_not(),
            Need::Lease => capabilities.lease.why_not(),
            Need::Reconnect => capabilities.reconnect.why_not(),
        }
    }

    /// Plays it on this stage.
    #[must_use]
    pub fn play(&self, stage: Stage) -> BoxFuture<'static, ()> {
        (self.play)(stage)
    }
}

/// The scenario of this name.
///
/// # Panics
/// There is none.
#[must_use]
pub fn scenario(name: &str) -> &'static Scenario {
    ALL.iter()
        .find(|scenario| scenario.name == name)
        .unwrap_or_else(|| panic!("no scenario is called {name}"))
}

/// Plays a scenario over a source, or says why it does not apply.
///
/// # Panics
/// The sidecar does not do what it owes.
pub async fn run<A: Adapter>(scenario: &'static Scenario, subject: Arc<dyn Subject>) {
    let (name, capabilities) = (scenario.name, A::CAPABILITIES);
    if let Some(why) = scenario.why_not(&capabilities) {
        say(&format!("NOT APPLICABLE suite/{}/{name}: {why}", capabilities.source));
        return;
    }
    let way = if scenario.need == Need::Reconnect { Way::Proxied } else { Way::Direct };
    let place = format!("suite-{}", name.replace('_', "-"));
    let Some(source) = A::place(&place, way).await else { return };
    let began = Instant::now();
    scenario.play(Stage::new(capabilities, Box::new(source), subject)).await;
    say(&format!("suite/{}/{name}: kept, in {:.1?}", capabilities.source, began.elapsed()));
}

/// Which scenario runs over which source, as a table in Markdown; below it the reasons why not.
#[must_use]
pub fn table(sources: &[Capabilities]) -> String {
    let row = |first: &str, cells: Vec<&str>| format!("| {first} | {} |\n", cells.join(" | "));
    let mut rows = vec![row("scenario", sources.iter().map(|source| source.source).collect())];
    rows.push(format!("|---|{}\n", "---|".repeat(sources.len())));
    let mut reasons = Vec::new();
    for scenario in ALL {
        let name = scenario.name.replace('_', " ");
        let why_not: Vec<_> = sources.iter().map(|source| scenario.why_not(source)).collect();
        rows.push(row(&name, why_not.iter().map(|why| if why.is_none() { "yes" } else { "-" }).collect()));
        let lacking = sources.iter().zip(why_not).filter_map(|(source, why)| Some((source.source, why?)));
        reasons.extend(lacking.map(|(source, why)| format!("- No {name} over {source}: {why}.\n")));
    }
    [rows.concat(), reasons.concat()].join("\n").trim_end().to_owned() + "\n"
}

/// Prints a line, also for a test that passes: the harness shows no captured output then.
pub(super) fn say(what: &str) {
    let _ = io::stderr().write_all(format!("{what}\n").as_bytes()); // only for people
}
