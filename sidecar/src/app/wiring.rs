//! From the configuration to what the path is made of: the function's address, its settings, the storage.

use super::{problem, wrong};
use crate::{
    cmd::Failure,
    config::{Config, Delivery, Meaning, OnPoison, Target, TargetPlace},
    dispatch,
    registry::{self, Storage},
    supervise,
};
use http::Uri;
use outrigger_core::{
    Error, Kind,
    decide::{
        backoff::Backoff,
        breaker,
        step::Policy,
        verdict::{Statuses, Verdict},
    },
};
use std::collections::BTreeMap;
use tokio::sync::oneshot;

/// The port that a COMMAND is told, and the URL that is called.
pub(super) fn address_of(config: &Config, starts: bool) -> Result<(u16, Uri), Failure> {
    let configured = config.function.port.or_else(|| config.function.url.as_ref().and_then(Uri::port_u16));
    let port = match configured {
        Some(port) => port,
        None if starts => supervise::free_port()
            .map_err(|error| Failure::Problem(format!("there is no free port for the function: {error}")))?,
        None => 80,
    };
    let url = match &config.function.url {
        Some(url) => url.clone(),
        None => format!("http://127.0.0.1:{port}/").parse().expect("an address and a port are a URL"),
    };
    Ok((port, url))
}

/// Opens the journal, unless what is written there would die with the pod and nobody accepted that.
pub(super) fn open_storage(
    config: &Config,
    fatal: oneshot::Sender<Error>,
) -> Result<Option<Storage>, Failure> {
    let journal = &config.journal;
    if journal.storage == crate::config::Storage::Ephemeral && !journal.accept_loss {
        tracing::info!(
            "the journal's storage is ephemeral, so events are not kept: senders wait for the outcome"
        );
        std::mem::forget(fatal); // nobody will report a fault; dropping it would look like one
        return Ok(None);
    }
    let opened = registry::journal(journal, move |error| drop(fatal.send(error)));
    opened.map(Some).map_err(|error| match error.kind() {
        Kind::Invalid => wrong(error),
        _ => problem(&error),
    })
}

/// How the function is treated.
pub(super) fn settings(config: &Config) -> dispatch::Settings {
    let function = &config.function;
    dispatch::Settings {
        statuses: statuses(&function.statuses),
        concurrency: function.concurrency,
        per_second: function.rate,
        hops_max: config.replies.hops_max,
        ..by_delivery(&config.delivery)
    }
}

/// How another target is treated: as the function, but for what is its own.
pub(super) fn target_settings(delivery: &Delivery, target: &Target) -> dispatch::Settings {
    let of = by_delivery(delivery);
    let backoff_max = target.backoff_max.unwrap_or(delivery.backoff.max);
    dispatch::Settings {
        policy: Policy {
            attempts_max: target.attempts_max.unwrap_or(delivery.attempts_max),
            deadline: target.deadline.unwrap_or(delivery.deadline),
            backoff: Backoff { initial: delivery.backoff.initial.min(backoff_max), max: backoff_max },
        },
        statuses: match &target.place {
            TargetPlace::Url(at) => statuses(&at.statuses),
            _ => Statuses::default(),
        },
        on_poison: target.on_poison.map_or(of.on_poison, on_poison),
        concurrency: target.concurrency,
        per_second: target.rate,
        ..of
    }
}

fn statuses(overruled: &BTreeMap<String, Meaning>) -> Statuses {
    let mut statuses = Statuses::default();
    for (status, meaning) in overruled {
        let verdict = match meaning {
            Meaning::Delivered => Verdict::Delivered,
            Meaning::Retry => Verdict::Retry,
            Meaning::Refused => Verdict::Refused,
        };
        match status.parse() {
            Ok(status) => statuses.overrule(status, verdict),
            Err(_) => statuses.overrule_class(u16::from(status.as_bytes()[0] - b'0'), verdict),
        }
    }
    statuses
}

fn on_poison(on_poison: OnPoison) -> dispatch::OnPoison {
    match on_poison {
        OnPoison::Skip => dispatch::OnPoison::Skip,
        OnPoison::Park => dispatch::OnPoison::Park,
    }
}

/// What one event at a time, without a bound on its rate, is treated like.
fn by_delivery(delivery: &Delivery) -> dispatch::Settings {
    dispatch::Settings {
        policy: Policy {
            attempts_max: delivery.attempts_max,
            deadline: delivery.deadline,
            backoff: Backoff { initial: delivery.backoff.initial, max: delivery.backoff.max },
        },
        statuses: Statuses::default(),
        on_poison: on_poison(delivery.on_poison),
        concurrency: 1,
        per_second: None,
        hops_max: u32::MAX, // others have no replies
        retry_budget: (
            delivery.retry_budget.ratio,
            delivery.retry_budget.per_second_min,
            delivery.retry_budget.burst,
        ),
        breaker: breaker::Settings {
            failures: delivery.breaker.failures,
            open: delivery.breaker.open,
            open_max: delivery.breaker.open_max,
        },
    }
}
