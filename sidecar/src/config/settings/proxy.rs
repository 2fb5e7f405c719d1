//! The settings of the proxy.

use std::time::Duration;

use super::{
    Setting,
    table::{KIB, MIB, TO_A_DAY, TO_AN_HOUR, count, setting, size, span},
};
use crate::config::kind::Kind;

/// They follow those of the ingress.
pub(super) const PROXY: &[Setting] = &[
    setting(
        "proxy.listen",
        Kind::Or("off", &Kind::Listen),
        "off",
        "The address; beyond loopback it needs an auth line, if only `auth: none`.",
    ),
    setting(
        "proxy.routes",
        Kind::Routes,
        "{}",
        "What becomes of a request, such as {\"POST /events\": ingress, \"/admin/*\": refuse}: the longest path that \
         fits decides; all others go to the function.",
    ),
    setting(
        "proxy.forwarded",
        Kind::Word(&["none", "x-forwarded", "forwarded", "both"]),
        "none",
        "The headers that tell the function who asked: X-Forwarded-For, -Host and -Proto, or Forwarded.",
    ),
    setting(
        "proxy.forwarded_from",
        Kind::Word(&["nobody", "anyone"]),
        "nobody",
        "Whose own such headers pass: nobody's, as any client can write them, or anyone's, behind a proxy that \
         removes them.",
    ),
    setting(
        "proxy.wait",
        span(Duration::ZERO, Duration::from_hours(1)),
        "10s",
        "How long a request waits for the function to be ready and to have room; then 503.",
    )
    .live(),
    setting("proxy.waiting_max", count(0, 1_000_000), "1024", "The most requests that wait; beyond it 503.")
        .live(),
    setting(
        "proxy.upload_timeout",
        TO_A_DAY,
        "10m",
        "How long a request may take to arrive and be answered, however steadily its body comes.",
    )
    .live(),
    setting(
        "proxy.stream_idle_timeout",
        TO_A_DAY,
        "5m",
        "How long an answer or an upgraded connection may rest without a byte.",
    )
    .live(),
    setting(
        "proxy.upgrades_max",
        count(0, 100_000),
        "256",
        "The most upgraded connections, such as WebSockets; beyond it 503. They do not count in function.concurrency.",
    ),
    setting("proxy.headers_max", count(8, 1_000), "100", "The most headers; beyond it 431."),
    setting(
        "proxy.header_bytes_max",
        size(8 * KIB, MIB),
        "64KiB",
        "The most bytes of headers; beyond it 431.",
    ),
    setting(
        "proxy.connections_max",
        count(1, 100_000),
        "1024",
        "The most connections; then the one that has rested longest makes room, or further ones wait in the kernel's queue.",
    ),
    setting("proxy.header_timeout", TO_AN_HOUR, "10s", "How long a request's headers may take."),
    setting(
        "proxy.idle_timeout",
        TO_AN_HOUR,
        "75s",
        "How long a connection may rest between requests, or take no byte of its answer.",
    ),
];
