//! What is written to where it is read from: each event would bring the next.

use crate::config::{Config, TargetPlace};

/// What leads back into a source: the setting's name, and what. A reply may be meant to, as long as some answer none.
pub(super) fn warnings(config: &Config) -> Vec<(&'static str, String)> {
    let (replies, dead) = (&config.replies, &config.dead_letters);
    let topics = [
        ("replies.kafka_topic", Broker::Kafka, replies.kafka_topic.as_deref()),
        ("replies.pubsub_topic", Broker::Pubsub, replies.pubsub_topic.as_deref()),
        ("replies.eventgrid_topic", Broker::EventGrid, replies.eventgrid.as_ref().map(|topic| &*topic.place)),
        ("dead_letters.kafka_topic", Broker::Kafka, dead.kafka_topic.as_deref()),
        ("dead_letters.pubsub_topic", Broker::Pubsub, dead.pubsub_topic.as_deref()),
        (
            "dead_letters.eventgrid_topic",
            Broker::EventGrid,
            dead.eventgrid.as_ref().map(|topic| &*topic.place),
        ),
    ];
    let written = topics.into_iter().filter_map(|(key, broker, topic)| Some((key, broker, topic?)));
    let routed = config.targets.iter().filter_map(|target| match &target.place {
        TargetPlace::Url(_) | TargetPlace::Journal => None,
        TargetPlace::Kafka(topic) => Some(("targets", Broker::Kafka, topic.as_str())),
        TargetPlace::Pubsub(topic) => Some(("targets", Broker::Pubsub, topic.as_str())),
        TargetPlace::EventGrid(topic) => Some(("targets", Broker::EventGrid, &*topic.place)),
    });
    written
        .chain(routed)
        .filter_map(|(key, broker, topic)| {
            let by = read_by(config, broker, topic)?;
            let what = match key.split('.').next() {
                Some("replies") => "reply",
                Some("targets") => "event that is routed there",
                _ => "dead letter",
            };
            Some((key, format!("each {what} comes back in as an event by {by}, and may bring the next; name another topic")))
        })
        .collect()
}

#[derive(Debug, Clone, Copy)]
enum Broker {
    Kafka,
    Pubsub,
    EventGrid,
}

/// The setting by which the topic is read, as far as the configuration tells: a subscription of Pub/Sub does not.
fn read_by(config: &Config, broker: Broker, topic: &str) -> Option<&'static str> {
    let ingress = &config.ingress;
    let whole = |topic: &str| match &config.pubsub.project {
        Some(project) if !topic.contains('/') => format!("projects/{project}/topics/{topic}"),
        _ => topic.to_owned(),
    };
    let is_it = |other: Option<&String>| other.is_some_and(|other| whole(other) == whole(topic));
    match broker {
        Broker::Kafka => {
            let is_read = ingress.kafka.as_ref()?.topics.iter().any(|read| read == topic);
            is_read.then_some("ingress.kafka.topics")
        }
        Broker::Pubsub if is_it(ingress.pubsub.as_ref().and_then(|pubsub| pubsub.topic.as_ref())) => {
            Some("ingress.pubsub.topic")
        }
        Broker::Pubsub => {
            is_it(ingress.pubsub_push.as_ref().map(|push| &push.topic)).then_some("ingress.pubsub_push.topic")
        }
        Broker::EventGrid => {
            let is_read = ingress.eventgrid.as_ref()?.topic.as_deref() == Some(topic);
            is_read.then_some("ingress.eventgrid.topic")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Process, Purpose, load};

    fn warned(text: &str) -> Vec<&'static str> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("outrigger.yaml");
        std::fs::write(&file, text).unwrap();
        let config = load(&Process, Some(file.as_path()), &[], Purpose::Look).unwrap();
        let found = warnings(&config);
        assert!(
            found.iter().all(|(_, what)| what.contains("comes back in as an event by ingress.")),
            "{found:?}"
        );
        found.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn what_is_written_where_it_is_read_is_warned_of() {
        let grid = "eventgrid: {endpoint: \"https://a.example\", key_file: k}\n\
                    ingress: {eventgrid: {topic: orders, subscription: s}}\n";
        let with = |text: &str| warned(&format!("{grid}{text}"));
        assert_eq!(with("replies: {eventgrid_topic: orders}"), ["replies.eventgrid_topic"]);
        assert_eq!(with("dead_letters: {eventgrid_topic: orders}"), ["dead_letters.eventgrid_topic"]);
        assert_eq!(with("replies: {eventgrid_topic: answers}"), [""; 0]);

        let pubsub = "pubsub: {project: p}\ningress: {pubsub: {subscription: s1s, topic: orders}}\n";
        let with = |topic: &str| warned(&format!("{pubsub}replies: {{pubsub_topic: {topic}}}"));
        assert_eq!(with("orders"), ["replies.pubsub_topic"]);
        assert_eq!(with("projects/p/topics/orders"), ["replies.pubsub_topic"]);
        assert_eq!(with("projects/other/topics/orders"), [""; 0]);
        let pushed = "ingress: {pubsub_push: {path: /p, auth: none, topic: projects/p/topics/t}}\n";
        let replies = "replies: {pubsub_topic: projects/p/topics/t}\n";
        assert_eq!(warned(&format!("{pushed}{replies}")), ["replies.pubsub_topic"]);

        let kafka = "kafka: {brokers: \"a:1\"}\ningress: {kafka: {topics: [a, b], group: g}}\n";
        assert_eq!(warned(&format!("{kafka}replies: {{kafka_topic: b}}")), ["replies.kafka_topic"]);
        assert_eq!(warned(&format!("{kafka}replies: {{kafka_topic: c}}")), [""; 0]);
    }
}
