//! The plugin that keeps what was done, behind the sidecar's own traits.

use super::{Kept, Series, secret};
use crate::{
    config::{Config, Conflict, Dedup as Settings, Redis},
    settle::unix_ms,
};
use outrigger_cache::{Dedup, dedup};
use outrigger_core::{Error, Kind, OnAnother, Plugin, Result};
use std::{path::Path, sync::Arc};

/// What is turned on.
pub(super) struct Cache {
    dedup: Option<Arc<Dedup>>,
}

impl Cache {
    /// None where nothing is. Connects to nobody, but reads the files that are named.
    ///
    /// # Errors
    /// When a setting is not what the plugin takes, or a file cannot be read.
    pub(super) fn open(config: &Config) -> Result<Option<Arc<Self>>> {
        let dedup = config.dedup.as_ref().map(open_dedup).transpose()?;
        Ok(dedup.is_some().then(|| Arc::new(Self { dedup })))
    }

    /// Its parts, each a plugin, in the order of the path.
    pub(super) fn plugins(&self) -> impl Iterator<Item = Arc<dyn Plugin>> {
        self.dedup.iter().map(|dedup| dedup.clone() as Arc<dyn Plugin>)
    }
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

fn authorities(file: &Path) -> Result<Vec<u8>> {
    std::fs::read(file).map_err(|error| {
        Error::new(Kind::Invalid, format!("cache.dedup.redis.ca_file: {}: {error}", file.display()))
    })
}

impl Kept for Cache {
    fn series(&self) -> Vec<Series> {
        self.dedup.as_ref().map(|dedup| of_dedup(dedup.stats())).unwrap_or_default()
    }
}

fn of_dedup(stats: dedup::Stats) -> Vec<Series> {
    let of = |name, help, is_counter, value| Series {
        name,
        help,
        labels: &[],
        is_counter,
        rows: vec![(Vec::new(), value)],
    };
    let mut series = vec![
        of("outrigger_dedup_marks", "Handled events that are known in memory", false, stats.marks),
        of("outrigger_dedup_bytes_max", "What their marks may take of memory", false, stats.bytes),
        of(
            "outrigger_dedup_forgotten_total",
            "Marks that went before their time, as there was no room; what comes again is sent again",
            true,
            stats.forgotten,
        ),
    ];
    if let Some(failures) = stats.shared_failures {
        series.push(of(
            "outrigger_dedup_redis_failures_total",
            "Questions and marks that the shared store did not take, so that events went on without it",
            true,
            failures,
        ));
        let down = u64::from(stats.shared_is_down);
        series.push(of("outrigger_dedup_redis_down", "1 while the shared store is left alone", false, down));
    }
    series
}
