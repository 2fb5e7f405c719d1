//! Answers that are kept, as the plugin takes them.

use crate::config;
use outrigger_cache::{
    Responses,
    responses::{Settings, Tenant},
};
use outrigger_core::{Error, Kind, Result};
use std::sync::Arc;

/// What keeps answers to requests that pass through; none where that is off.
///
/// # Errors
/// When a setting is not what it takes.
pub(super) fn responses(config: &config::Config) -> Result<Option<Arc<Responses>>> {
    let Some(responses) = &config.responses else { return Ok(None) };
    let invalid = |error| Error::new(Kind::Invalid, format!("cache.responses.tags: {error}"));
    let tags = responses.tags.iter().map(|name| name.parse::<http::HeaderName>()).collect::<Result<_, _>>();
    Ok(Some(Arc::new(Responses::new(Settings {
        bytes_max: responses.bytes_max,
        object_bytes_max: responses.object_bytes_max,
        variants_max: responses.variants_max,
        fresh_default: responses.fresh_default,
        heuristic_max: responses.heuristic_max,
        coalesce_wait: responses.coalesce_wait,
        pass_for: responses.pass_for,
        tags: tags.map_err(invalid)?,
        tenant: match &responses.tenant {
            config::Tenant::Host => Tenant::Host,
            config::Tenant::Subject => Tenant::Subject,
            config::Tenant::Header(name) => Tenant::Header(name.clone()),
        },
        cookies_are_credentials: responses.cookies_are_credentials,
        keeps_cookies: responses.keeps_cookies,
        heeds_clients: responses.heeds_clients,
    }))))
}
