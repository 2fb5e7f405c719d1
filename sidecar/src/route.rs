//! Which event goes where: the decision alone, by the rules of the configuration. `admit` acts on it, and `outrigger
//! routes` shows it.
//!
//! A rule whose expression fails on an event, as it asks for an attribute that is not there, does not fit it; that is told
//! beside the decision, to be counted.

use std::{borrow::Cow, sync::Arc};

use outrigger_cesql::{Filter, Judgement, Set};
use outrigger_core::Event;

use crate::{
    config::{self, FUNCTION, When},
    filter::Attributed,
};

/// The rules, ready for any number of events. Targets are known by their places: 0 is the function, the others follow in
/// the order of the configuration.
#[derive(Debug)]
pub struct Routes {
    set: Set,
    rules: Vec<Rule>,
    matches_all: bool,
    otherwise: Vec<usize>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name.
    pub name: Arc<str>,
    /// Which events it is for.
    pub filter: Filter,
    /// The places of the targets that they go to; empty discards them.
    pub to: Vec<usize>,
    /// Whether it can go wrong on an event: the dialects of the Subscriptions API only say no.
    pub may_fail: bool,
}

/// Where an event goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way<'r> {
    /// The places of the targets, each once; empty discards it.
    pub to: Cow<'r, [usize]>,
    /// The place of the rule that decided; of several the first. None fitted where there is none.
    pub by: Option<usize>,
}

impl Routes {
    /// The rules of the configuration; none where all events go to the function.
    #[must_use]
    pub fn new(config: &config::Config) -> Option<Self> {
        let targets: Vec<&str> = config.targets.iter().map(|target| &*target.name).collect();
        Some(Self::of(config.routes.as_ref()?, &targets))
    }

    /// These rules, where the targets besides the function have these names.
    #[must_use]
    pub fn of(routes: &config::Routes, targets: &[&str]) -> Self {
        let place = |name: &String| match targets.iter().position(|target| target == name) {
            Some(place) => place + 1,
            None if name == FUNCTION => 0,
            None => unreachable!("the configuration was checked: {name} is a target"),
        };
        let places = |names: &[String]| names.iter().map(place).collect::<Vec<_>>();
        let rule = |rule: &config::RouteRule| Rule {
            name: rule.name.as_str().into(),
            filter: rule.when.filter(),
            to: places(&rule.to),
            may_fail: matches!(rule.when, When::Expression(_)),
        };
        let rules: Vec<_> = routes.rules.iter().map(rule).collect();
        Self {
            set: rules.iter().map(|rule| &rule.filter).collect(),
            rules,
            matches_all: routes.matches_all,
            otherwise: places(&routes.otherwise),
        }
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Where `event` goes. `failed` is told the place of each rule that went wrong on the way to that.
    pub fn way(&self, event: &Event, mut failed: impl FnMut(usize)) -> Way<'_> {
        let attributes = Attributed(event);
        let judged = self.set.judgements(&attributes);
        let mut fitting = judged.filter_map(|(place, judgement)| match judgement {
            Judgement::Passes => Some(place),
            Judgement::Failed => {
                if self.rules[place].may_fail {
                    failed(place);
                }
                None
            }
        });
        let Some(first) = fitting.next() else {
            return Way { to: Cow::Borrowed(&self.otherwise), by: None };
        };
        let mut way = Way { to: Cow::Borrowed(&self.rules[first].to), by: Some(first) };
        if self.matches_all {
            for place in fitting {
                way.join(&self.rules[place].to);
            }
        }
        way
    }
}

impl<'r> Way<'r> {
    /// Goes there as well. A rule that discards takes nothing from the others.
    fn join(&mut self, to: &'r [usize]) {
        if self.to.is_empty() {
            self.to = Cow::Borrowed(to);
        }
        for place in to {
            if !self.to.contains(place) {
                self.to.to_mut().push(*place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Nothing, Purpose, read};
    use outrigger_core::Value;

    fn routes(rules: &str) -> Routes {
        let text = format!(
            "kafka: {{brokers: \"a:1\"}}\ntargets:\n  a: {{kafka_topic: a}}\n  b: {{kafka_topic: b}}\nroutes:\n{rules}"
        );
        Routes::new(&read(&Nothing, "f", &text, &[], Purpose::Look).unwrap()).unwrap()
    }

    fn event(ty: &str) -> Event {
        Event::new("1", "/s", ty).unwrap()
    }

    fn way(routes: &Routes, event: &Event) -> (Vec<usize>, Option<usize>, Vec<usize>) {
        let mut failed = Vec::new();
        let way = routes.way(event, |place| failed.push(place));
        (way.to.into_owned(), way.by, failed)
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let routes = routes(
            "  rules:\n    - {name: x, when: \"type = 'x'\", to: [function, b]}\n    - {name: any, to: a}\n  otherwise: discard\n",
        );
        assert_eq!(way(&routes, &event("x")), (vec![0, 2], Some(0), vec![]));
        assert_eq!(way(&routes, &event("y")), (vec![1], Some(1), vec![]));
    }

    #[test]
    fn with_all_an_event_goes_wherever_a_rule_says_once() {
        let routes = routes(
            "  match: all\n  rules:\n    - {name: no, when: {prefix: {type: x}}, discard: true}\n    \
             - {name: x, when: \"type LIKE 'x%'\", to: [a, function]}\n    \
             - {name: y, when: \"type LIKE '%y'\", to: [b, a]}\n",
        );
        assert_eq!(way(&routes, &event("xy")), (vec![1, 0, 2], Some(0), vec![]));
        assert_eq!(way(&routes, &event("y")), (vec![2, 1], Some(2), vec![]));
        assert_eq!(way(&routes, &event("z")), (vec![0], None, vec![]));
    }

    #[test]
    fn with_all_an_event_is_discarded_only_where_every_rule_that_fits_says_so() {
        let routes = routes(
            "  match: all\n  rules:\n    - {name: a, discard: true}\n    - {name: b, discard: true}\n",
        );
        assert_eq!(way(&routes, &event("x")), (vec![], Some(0), vec![]));
    }

    #[test]
    fn a_rule_that_goes_wrong_does_not_fit_and_is_told() {
        let routes = routes(
            "  rules:\n    - {name: hop, when: \"int(hop) < 5\", to: a}\n    - {name: not, when: {prefix: {hop: a}}, to: b}\n",
        );
        assert_eq!(way(&routes, &event("x")), (vec![0], None, vec![0]));
        let mut hopped = event("x");
        hopped.set("hop", Value::String("3")).unwrap();
        assert_eq!(way(&routes, &hopped), (vec![1], Some(0), vec![]));
    }
}
