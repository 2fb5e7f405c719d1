//! Rules and targets of a scenario: what the sidecar is told, and what is owed to each target.

use outrigger_function::{Function, Program};
use serde::{Deserialize, Serialize};

use super::Stage;
use crate::{Oracle, Outgoing};

/// The function's name among the targets.
pub const FUNCTION: &str = "function";

/// Which events go where, as a sidecar is told. Without rules all go to the function.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routes {
    /// Whether an event goes wherever a rule says; else the first that fits decides.
    pub matches_all: bool,
    /// The rules, in their order. What fits none goes to the function.
    pub rules: Vec<Rule>,
    /// The targets besides the function.
    pub targets: Vec<Target>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// It is for events whose type begins so.
    pub prefix: String,
    /// Where they go; nowhere discards them.
    pub to: Vec<String>,
}

/// One target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// Where it overflows: how many events wait for it in memory, while the others wait on the disk.
    pub lane_max: Option<usize>,
}

impl Routes {
    /// Whether all events go to the function.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The targets of events of this type, each once.
    #[must_use]
    pub fn to(&self, ty: &str) -> Vec<&str> {
        let mut fitting = self.rules.iter().filter(|rule| ty.starts_with(&rule.prefix)).peekable();
        if fitting.peek().is_none() {
            return vec![FUNCTION];
        }
        let count = if self.matches_all { usize::MAX } else { 1 };
        let mut to: Vec<&str> = fitting.take(count).flat_map(|rule| &rule.to).map(String::as_str).collect();
        to.sort_unstable();
        to.dedup();
        to
    }
}

/// A target besides the function, as it is in the scenario.
pub struct Other {
    /// Its name.
    pub name: &'static str,
    /// It.
    pub function: Function,
    /// The judge of what it is owed.
    pub oracle: Oracle,
}

impl Stage {
    /// One more target, which answers everything with 200; its place among the others.
    pub fn target(&mut self, name: &'static str, lane_max: Option<usize>) -> usize {
        let function = Function::start(Program::default());
        let target = Target { name: name.to_owned(), url: function.url(), lane_max };
        self.setup.routes.targets.push(target);
        self.others.push(Other { name, function, oracle: self.new_oracle() });
        self.others.len() - 1
    }

    /// One more rule, behind the others: events whose type begins with `prefix` go `to` these.
    pub fn rule(&mut self, name: &str, prefix: &str, to: &[&str]) {
        let to = to.iter().map(|target| (*target).to_owned()).collect();
        self.setup.routes.rules.push(Rule { name: name.to_owned(), prefix: prefix.to_owned(), to });
    }

    /// The judges of the targets that the event is for.
    pub(super) fn owed_to(&self, event: &Outgoing) -> Vec<&Oracle> {
        let to = self.setup.routes.to(&event.ty);
        let others = self.others.iter().filter(|other| to.contains(&other.name)).map(|other| &other.oracle);
        others.chain(to.contains(&FUNCTION).then_some(&self.oracle)).collect()
    }

    /// Each target with the judge of what it is owed, the function first.
    pub(super) fn judged(&self) -> impl Iterator<Item = (&str, &Function, &Oracle)> {
        let others = self.others.iter().map(|other| (other.name, &other.function, &other.oracle));
        std::iter::once((FUNCTION, &self.function, &self.oracle)).chain(others)
    }
}

/// These events with another type.
#[must_use]
pub fn typed(ty: &str, mut events: Vec<Outgoing>) -> Vec<Outgoing> {
    for event in &mut events {
        ty.clone_into(&mut event.ty);
    }
    events
}
