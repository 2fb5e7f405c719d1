//! Where replies and dead letters go: to one place each, and dead letters to one that outlives the pod.

use super::{
    checked::{Config, Storage},
    rules::Rules,
};

/// The places that a section may name, each with whether it does.
pub(super) type Named = [(&'static str, bool); 4];

/// Checks those that could be read.
pub(super) fn check(rules: &mut Rules<'_>) {
    for named in [replies(rules.config), dead_letters(rules.config)] {
        let mut given = named.iter().filter(|(_, is_given)| *is_given).map(|(topic, _)| *topic);
        if let (Some(one), Some(other)) = (given.next(), given.next())
            && rules.are_read(&[one, other])
        {
            rules.wrong(other, format!("a place beside {one}"), "one of both");
        }
    }
    outlives_the_pod(rules);
}

pub(super) fn replies(config: &Config) -> Named {
    let replies = &config.replies;
    [
        ("replies.kafka_topic", replies.kafka_topic.is_some()),
        ("replies.pubsub_topic", replies.pubsub_topic.is_some()),
        ("replies.eventgrid_topic", replies.eventgrid.is_some()),
        ("replies.url", replies.url.is_some()),
    ]
}

fn dead_letters(config: &Config) -> Named {
    let dead = &config.dead_letters;
    [
        ("dead_letters.kafka_topic", dead.kafka_topic.is_some()),
        ("dead_letters.pubsub_topic", dead.pubsub_topic.is_some()),
        ("dead_letters.eventgrid_topic", dead.eventgrid.is_some()),
        ("dead_letters.url", dead.url.is_some()),
    ]
}

/// What a broker no longer has is nowhere else, so the journal must outlive the pod if it alone keeps it.
fn outlives_the_pod(rules: &mut Rules<'_>) {
    let (ingress, journal) = (&rules.config.ingress, &rules.config.journal);
    let pulled = [ingress.kafka.is_some(), ingress.pubsub.is_some(), ingress.eventgrid.is_some()];
    let homes = dead_letters(rules.config);
    let Some(first) = pulled.iter().position(|is_pulled| *is_pulled) else { return };
    let is_lost = journal.storage == Storage::Ephemeral && !journal.accept_loss;
    if is_lost && !homes.iter().any(|(_, is_given)| *is_given) && rules.are_read(&["journal", "dead_letters"])
    {
        rules.wrong(
            homes[first].0,
            "no place for dead letters that outlives the pod",
            "a topic for them; or journal.storage: durable where the file outlives the pod; or journal.ephemeral: \
             accept-loss",
        );
    }
}
