//! The plugin that keeps what was done, behind the sidecar's own traits.

use super::{Kept, Series, secret};
use crate::{
    cache_api::Forget,
    config::{self, Config, Conflict, Dedup as Settings, Redis},
    settle::unix_ms,
};
use outrigger_cache::{Cache, Dedup, Invalidate, Results, dedup, responses, results};
use outrigger_core::{Error, Kind, OnAnother, Result};
use serde_json::{Value, json};
use std::{path::Path, sync::Arc};

/// The plugin with the parts that are turned on; none where no part is. Connects to nobody, but reads the files that are
/// named.
///
/// # Errors
/// When a setting is not what the plugin takes, or a file cannot be read.
pub(super) fn open(config: &Config) -> Result<Option<Arc<Cache>>> {
    let cache = Cache {
        dedup: config.dedup.as_ref().map(open_dedup).transpose()?,
        results: config.results.as_ref().map(open_results),
        responses: super::responses::responses(config)?,
    };
    Ok(cache.is_on().then(|| Arc::new(cache)))
}

fn open_results(settings: &config::Results) -> Arc<Results> {
    Results::new(results::Settings {
        key: settings.key.clone(),
        ttl: settings.ttl,
        bytes_max: settings.bytes_max,
        keep_empty: settings.keep_empty,
        tags: settings.tags.clone(),
    })
}

fn open_dedup(settings: &Settings) -> Result<Arc<Dedup>> {
    let settings = dedup::Settings {
        window: settings.window,
        bytes_max: settings.bytes_max,
        on_another: match settings.conflict {
            Conflict::Deliver => OnAnother::Deliver,
            Conflict::Reject => OnAnother::Bury,
            Conflict::Drop => OnAnother::Drop,
        },
        shared: settings.redis.as_ref().map(shared).transpose()?,
    };
    Dedup::open(settings, unix_ms())
}

fn shared(redis: &Redis) -> Result<dedup::SharedSettings> {
    let password = redis.password_file.as_ref();
    let password = password.map(|file| secret::read("cache.dedup.redis.password_file", file)).transpose()?;
    Ok(dedup::SharedSettings {
        url: redis.url.clone(),
        username: redis.username.clone(),
        password,
        authorities: redis.ca.as_deref().map(authorities).transpose()?,
        timeout: redis.timeout,
        prefix: redis.prefix.clone(),
    })
}

/// What the file holds. The client takes one without a certificate for none that is trusted, and says nothing.
fn authorities(file: &Path) -> Result<Vec<u8>> {
    let wrong = |why: String| {
        Error::new(Kind::Invalid, format!("cache.dedup.redis.ca_file: {}: {why}", file.display()))
    };
    let found = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if !found.windows(begin.len()).any(|window| window == begin) {
        return Err(wrong("there is no certificate in it (PEM is wanted)".to_owned()));
    }
    Ok(found)
}

impl Kept for Cache {
    fn series(&self) -> Vec<Series> {
        let dedup = self.dedup.iter().flat_map(|dedup| of_dedup(dedup.stats()));
        let results = self.results.iter().flat_map(|results| of_results(results.stats()));
        let responses = self.responses.iter().flat_map(|responses| of_responses(responses.stats()));
        dedup.chain(results).chain(responses).collect()
    }

    fn stats(&self) -> Value {
        let mut parts = json!({});
        if let Some(dedup::Stats { marks, bytes, forgotten, shared_failures, shared_is_down }) =
            self.dedup.as_ref().map(|dedup| dedup.stats())
        {
            parts["dedup"] = json!({"marks": marks, "bytes_max": bytes, "forgotten_for_room": forgotten});
            if let Some(failures) = shared_failures {
                parts["dedup"]["redis_failures"] = failures.into();
                parts["dedup"]["redis_is_down"] = shared_is_down.into();
            }
        }
        if let Some(results::Stats { hits, misses, passed, entries, bytes }) =
            self.results.as_ref().map(|results| results.stats())
        {
            parts["results"] = json!({"hits": hits, "misses": misses, "without_key": passed, "kept": entries, "bytes": bytes});
        }
        if let Some(responses) = &self.responses {
            let responses::Stats { hits, stale, collapsed, validated, misses, passed, kept, bytes } =
                responses.stats();
            parts["responses"] = json!({
                "hits": hits, "stale": stale, "collapsed": collapsed, "validated": validated, "misses": misses,
                "passed": passed, "kept": kept, "bytes": bytes,
            });
        }
        parts
    }

    fn forget(&self, what: &Forget) -> u64 {
        self.invalidate(&match what {
            Forget::Key(key) => Invalidate::Key(key.clone()),
            Forget::Tag(tag) => Invalidate::Tag(tag.clone()),
            Forget::Prefix(prefix) => Invalidate::Prefix(prefix.clone()),
            Forget::All => Invalidate::All,
        })
    }
}

/// One number without labels.
fn one(name: &'static str, help: &'static str, is_counter: bool, value: u64) -> Series {
    Series { name, help, labels: &[], is_counter, rows: vec![(Vec::new(), value)] }
}

fn of_results(stats: results::Stats) -> Vec<Series> {
    let asked = [("hit", stats.hits), ("miss", stats.misses), ("passed", stats.passed)];
    vec![
        Series {
            name: "outrigger_results_total",
            help: "Events whose result was there, was not, or that have no key",
            labels: &["outcome"],
            is_counter: true,
            rows: asked.map(|(outcome, count)| (vec![outcome.to_owned()], count)).to_vec(),
        },
        one("outrigger_results_kept", "Results that are kept", false, stats.entries),
        one("outrigger_results_bytes", "What they take of memory", false, stats.bytes),
    ]
}

fn of_responses(stats: responses::Stats) -> Vec<Series> {
    let asked = [
        ("hit", stats.hits),
        ("stale", stats.stale),
        ("collapsed", stats.collapsed),
        ("validated", stats.validated),
        ("miss", stats.misses),
        ("passed", stats.passed),
    ];
    vec![
        Series {
            name: "outrigger_responses_total",
            help: "Requests that pass through, by what became of them among answers that are kept",
            labels: &["outcome"],
            is_counter: true,
            rows: asked.map(|(outcome, count)| (vec![outcome.to_owned()], count)).to_vec(),
        },
        one("outrigger_responses_kept", "URLs of which answers are kept", false, stats.kept),
        one("outrigger_responses_bytes", "What they take of memory", false, stats.bytes),
    ]
}

fn of_dedup(stats: dedup::Stats) -> Vec<Series> {
    let mut series = vec![
        one("outrigger_dedup_marks", "Handled events that are known in memory", false, stats.marks),
        one("outrigger_dedup_bytes_max", "What their marks may take of memory", false, stats.bytes),
        one(
            "outrigger_dedup_forgotten_total",
            "Marks that went before their time, as there was no room; what comes again is sent again",
            true,
            stats.forgotten,
        ),
    ];
    if let Some(failures) = stats.shared_failures {
        series.push(one(
            "outrigger_dedup_redis_failures_total",
            "Questions and marks that the shared store did not take, so that events went on without it",
            true,
            failures,
        ));
        let down = u64::from(stats.shared_is_down);
        series.push(one("outrigger_dedup_redis_down", "1 while the shared store is left alone", false, down));
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_at_least_one_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ca.pem");
        std::fs::write(&file, "root:x:0:0:root:/root:/bin/sh\n").unwrap();
        let told = authorities(&file).unwrap_err().to_string();
        assert!(
            told.contains("cache.dedup.redis.ca_file") && told.contains("no certificate in it"),
            "{told}"
        );
        std::fs::write(&file, "# ours\n-----BEGIN CERTIFICATE-----\n").unwrap();
        assert!(authorities(&file).is_ok());
    }
}
