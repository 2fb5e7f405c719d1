//! From the configuration to what the path is made of: the function's address, its settings, the storage.

use super::{problem, wrong};
use crate::{
    cmd::Failure,
    config::{Config, Meaning, OnPoison},
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
    let (delivery, function) = (&config.delivery, &config.function);
    let mut statuses = Statuses::default();
    for (status, meaning) in &function.statuses {
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
    dispatch::Settings {
        policy: Policy {
            attempts_max: delivery.attempts_max,
            deadline: delivery.deadline,
            backoff: Backoff { initial: delivery.backoff.initial, max: delivery.backoff.max },
        },
        statuses,
        on_poison: match delivery.on_poison {
            OnPoison::Skip => dispatch::OnPoison::Skip,
            OnPoison::Park => dispatch::OnPoison::Park,
        },
        concurrency: function.concurrency,
        per_second: function.rate,
        hops_max: config.replies.hops_max,
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
