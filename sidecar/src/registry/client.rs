//! The function client over HTTP.

use super::{Function, Tune};
use crate::config;
use http::Uri;
use outrigger_core::{Call, Exchange, Plugin, Result};
use outrigger_net::tls::ClientTls;
use std::sync::Arc;

/// The function client. `tls` is needed where the URL says https; `replies` says whether a caller waits for what the
/// function answers to an event.
///
/// # Errors
/// When the URL or a setting is not what the adapter takes.
pub fn function(
    config: &config::Function,
    url: &Uri,
    tls: Option<Arc<ClientTls>>,
    replies: bool,
    plugins: &[Arc<dyn Plugin>],
) -> Result<Function> {
    let settings = client_settings(config, url, replies)?;
    let client = outrigger_http::Client::new(&settings);
    let tuning = client.tuning();
    let client = match tls {
        Some(tls) => client.secured(tls),
        None => client,
    };
    let mut exchange: Arc<dyn Exchange> = Arc::new(client);
    for plugin in plugins {
        exchange = plugin.around_exchange(exchange);
    }
    let alone = outrigger_http::FunctionCall::new(&settings, exchange.clone());
    let mut call: Arc<dyn Call> = match config.batch {
        None => Arc::new(alone),
        Some(config::Batch { events_max, bytes_max, wait }) => {
            let limits = outrigger_http::Limits { events_max, bytes_max, wait };
            Arc::new(outrigger_http::BatchCall::new(alone, limits))
        }
    };
    for plugin in plugins {
        call = plugin.around_call(call);
    }
    let url = url.clone();
    let tune: Tune = Box::new(move |config| match client_settings(config, &url, replies) {
        Ok(settings) => tuning.set(&settings),
        Err(error) => tracing::error!(%error, "the function is called as before"),
    });
    Ok(Function { call, exchange, tune })
}

fn client_settings(config: &config::Function, url: &Uri, replies: bool) -> Result<outrigger_http::Config> {
    Ok(outrigger_http::Config {
        mode: match config.mode {
            config::FunctionMode::Event(config::Mode::Binary) => outrigger_http::Mode::Binary,
            config::FunctionMode::Event(config::Mode::Structured) => outrigger_http::Mode::Structured,
            config::FunctionMode::Event(config::Mode::Protobuf) => outrigger_http::Mode::Protobuf,
            config::FunctionMode::Raw => outrigger_http::Mode::Raw,
        },
        protocol: match config.protocol {
            config::Protocol::Http1 => outrigger_http::Protocol::Http1,
            config::Protocol::H2c => outrigger_http::Protocol::H2c,
        },
        connect_timeout: config.connect_timeout,
        idle_timeout: config.idle_timeout,
        timeout: config.timeout,
        idle_connections_max: config.concurrency,
        replies: if replies { outrigger_http::Replies::Used } else { outrigger_http::Replies::Ignored },
        reply_bytes_max: config.reply_bytes_max,
        ..outrigger_http::Config::new(url.clone())?
    })
}
