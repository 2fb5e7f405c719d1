//! The scenario's rules as the configuration would have them.

use crate::flaws::Flaw;
use outrigger::{
    config::{self, RouteRule, When},
    route,
};
use outrigger_testkit::sim::routes::{NAMES, Routes};

/// The rules of the scenario, or others where that is the flaw.
pub(crate) fn rules(routes: &Routes, flaw: Option<Flaw>) -> route::Routes {
    let mut rules: Vec<_> =
        routes.rules().map(|(name, when, to)| RouteRule { name, when: When::Expression(when), to }).collect();
    if flaw == Some(Flaw::Misroutes) {
        rules.reverse();
    }
    let routes = config::Routes { matches_all: routes.matches_all, rules, otherwise: routes.otherwise() };
    route::Routes::of(&routes, &NAMES[1..])
}
