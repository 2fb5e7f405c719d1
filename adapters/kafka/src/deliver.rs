//! A record as a delivery: the same for the live source and for a replay.

use crate::{
    Config, Order,
    client::Headers,
    decode::{self, Record},
};
use outrigger_core::{Delivery, Event, Key, Malformed, Origin, Position, Receipt, Timeline};
use std::{borrow::Cow, sync::Arc};

/// What is read of a record.
pub(crate) struct Read<K> {
    /// The event.
    pub(crate) item: Result<Event, Malformed>,
    /// Its ordering key.
    pub(crate) key: Option<K>,
    /// The headers of its hop that are kept.
    pub(crate) hop: Vec<(String, String)>,
}

/// The event of a record, its ordering key, and what is kept of its headers.
pub(crate) fn read<'a>(record: &Record<'a, Headers<'a>>, config: &Config) -> Read<Cow<'a, [u8]>> {
    // The client library reads headers anew at each look, so one look tells both.
    let (mut headers, mut has_hop) = (0, false);
    for (name, value) in record.headers.clone() {
        headers += name.len() + value.map_or(0, <[u8]>::len);
        has_hop |= config.hop.contains(&name);
    }
    let bytes = headers + record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
    let item = if bytes > config.record_bytes_max {
        let why = format!(
            "the record has {bytes} bytes; ingress.kafka.record_bytes_max allows {}",
            config.record_bytes_max
        );
        Err(decode::malformed(record, &why))
    } else {
        decode::decode(record, &config.plain)
    };
    let key = match &config.order {
        Order::Key(attributes) => record.key.map(Cow::Borrowed).or_else(|| attribute(&item, attributes)),
        Order::Partition => Some(record.partition.to_be_bytes().to_vec().into()),
        Order::None => None,
    };
    let hop = if has_hop { hop(record, config.hop) } else { Vec::new() };
    Read { item, key, hop }
}

fn hop<'a>(record: &Record<'a, Headers<'a>>, names: &[&str]) -> Vec<(String, String)> {
    let kept = record.headers.clone().filter(|(name, _)| names.contains(name));
    let text = |value: Option<&[u8]>| Some(str::from_utf8(value?).ok()?.to_owned());
    kept.filter_map(|(name, value)| Some((name.to_owned(), text(value)?))).collect()
}

fn attribute<'a>(item: &Result<Event, Malformed>, names: &[String]) -> Option<Cow<'a, [u8]>> {
    let event = item.as_ref().ok()?;
    let text = names.iter().find_map(|name| event.text(name))?;
    Some(text.into_owned().into_bytes().into())
}

/// The scope of a topic's ordering keys: its keys are the same in each of its partitions.
pub(crate) fn scope(topic: &str) -> String {
    format!("kafka/{topic}")
}

/// What a record's place is, beside the record itself.
pub(crate) struct Place<'a> {
    /// Of its topic; see [`scope`].
    pub(crate) scope: &'a str,
    /// `topic/partition`.
    pub(crate) name: &'a Arc<str>,
    /// Its offset.
    pub(crate) offset: i64,
}

/// The delivery of a record.
pub(crate) fn delivery(
    config: &Config,
    place: &Place<'_>,
    Read { item, key, hop }: Read<impl AsRef<[u8]>>,
    now_ms: u64,
    receipt: Receipt,
) -> Delivery {
    let position = Position::Offset(place.name.clone(), place.offset);
    Delivery {
        item,
        key: key.map(|key| Key::new(place.scope, key.as_ref())),
        origin: Origin { source: config.name.clone(), position, headers: hop },
        received_ms: now_ms,
        attempts: 0,
        once: None,
        timeline: Timeline::off(),
        receipt,
    }
}

/// The token of a record's receipt.
pub(crate) fn token(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
}
