//! What a fake begins with. Unknown keys and values out of the service's bounds are errors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{auth::Access, event::Schema, push::PushSettings, queue::QueueSettings};

/// The key that opens everything where no other is configured; that of the recorded requests.
pub const TEST_KEY: &str = "a2V5MTIzNDU2Nzg5MA==";

/// The bearer token that is taken where no other is configured; that of the recorded requests.
pub const TEST_TOKEN: &str = "eyJ.fake.token";

/// A fake's configuration. The default is what the README's examples and the recorded requests use.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What opens the namespace and the custom topics.
    pub access: Access,
    /// The namespace's topics: `t1`, unless said otherwise.
    pub topics: BTreeMap<String, NamespaceTopic>,
    /// Custom topics: `default`, unless said otherwise.
    pub custom_topics: BTreeMap<String, CustomTopic>,
    /// How long after its last attempt a dead letter is written. Default 300 s, as the service does.
    pub dead_letter_delay_s: u64,
    /// Events that are kept in all queues together; a publisher of more is answered 429. Default 1,000,000.
    pub events_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        let queue = BTreeMap::from([("s1".to_owned(), QueueSettings::default())]);
        Self {
            access: Access::default(),
            topics: BTreeMap::from([("t1".to_owned(), NamespaceTopic { subscriptions: queue })]),
            custom_topics: BTreeMap::from([("default".to_owned(), CustomTopic::default())]),
            dead_letter_delay_s: 300,
            events_max: 1_000_000,
        }
    }
}

/// A topic of the namespace.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamespaceTopic {
    /// Its queue subscriptions, by name.
    pub subscriptions: BTreeMap<String, QueueSettings>,
}

/// A custom topic.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomTopic {
    /// What publishers must send. Default `CloudEventSchemaV1_0`.
    pub input_schema: Schema,
    /// Its webhooks, by name.
    pub subscriptions: BTreeMap<String, PushSettings>,
}

impl Default for CustomTopic {
    fn default() -> Self {
        Self { input_schema: Schema::CloudEventSchemaV1_0, subscriptions: BTreeMap::new() }
    }
}

impl Config {
    /// Reads one from JSON.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let config: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for (name, topic) in &config.topics {
            check_name(name)?;
            for (name, settings) in &topic.subscriptions {
                check_name(name)?;
                settings.check().map_err(|why| format!("subscription {name}: {why}"))?;
            }
        }
        for (name, topic) in &config.custom_topics {
            check_name(name)?;
            for (name, settings) in &topic.subscriptions {
                check_name(name)?;
                settings.check(topic.input_schema).map_err(|why| format!("subscription {name}: {why}"))?;
            }
        }
        Ok(config)
    }
}

/// Names are letters, digits and hyphens, at most 50. (The service also wants three; the recorded requests have two.)
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if (1..=50).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    Err(format!("'{name}' is no name: letters, digits and hyphens, at most 50"))
}
