//! What `outrigger check` says of targets and rules, and what it warns of.

use crate::config::{Config, FUNCTION, Storage, TargetPlace, shown};

/// What they come to, a line each; none where there are no rules.
pub(super) fn lines(config: &Config) -> Vec<String> {
    let Some(routes) = &config.routes else { return Vec::new() };
    let how = if routes.matches_all { "wherever a rule says" } else { "where the first rule says that fits" };
    let mut lines = vec![format!("  events go {how}, of {}", routes.rules.len())];
    let list = |to: &[String]| if to.is_empty() { "nowhere".to_owned() } else { to.join(", ") };
    let rules = routes.rules.iter().map(|rule| format!("    {}: to {}", rule.name, list(&rule.to)));
    lines.extend(rules);
    lines.push(format!("    otherwise: to {}", list(&routes.otherwise)));
    let place = |place: &TargetPlace| match place {
        TargetPlace::Url(at) => shown(&at.url.to_string()).into_owned(),
        TargetPlace::Kafka(topic) => format!("the topic {topic} of Kafka"),
        TargetPlace::Pubsub(topic) => format!("the topic {topic} of Pub/Sub"),
        TargetPlace::EventGrid(topic) => format!("the topic {} of Event Grid", topic.place),
        TargetPlace::Journal => "the journal, which keeps its events as long as journal.keep says".to_owned(),
    };
    let targets =
        config.targets.iter().map(|target| format!("  {} is {}", target.name, place(&target.place)));
    lines.extend(targets);
    lines
}

/// What is no mistake, and may be one all the same: the setting's name, and what.
pub(super) fn warnings(config: &Config) -> Vec<(&'static str, String)> {
    let mut warnings = Vec::new();
    let used = |name: &str| {
        config.routes.iter().any(|routes| {
            let lists = routes.rules.iter().map(|rule| &rule.to).chain([&routes.otherwise]);
            lists.flatten().any(|to| to == name)
        })
    };
    for target in config.targets.iter().filter(|target| !used(&target.name)) {
        warnings.push(("targets", format!("no rule leads to {}", target.name)));
    }
    let Some(routes) = &config.routes else { return warnings };
    let lists = routes.rules.iter().map(|rule| &rule.to).chain([&routes.otherwise]);
    let is_several = routes.matches_all || lists.into_iter().any(|to| to.len() > 1);
    let forgets = config.journal.storage == Storage::Ephemeral && !config.journal.accept_loss;
    if is_several && forgets {
        let told = "events go to several targets, and there is no journal that remembers which of them has one: what \
                    comes again, after a crash or as one target failed it, is sent to all of them again";
        warnings.push(("routes", told.to_owned()));
    }
    if !used(FUNCTION) {
        warnings
            .push(("routes", "no event goes to the function, which is waited for all the same".to_owned()));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Nothing, Purpose, read};

    const TARGETS: &str = "targets: {a: {url: \"http://127.0.0.1:1/\"}, b: {url: \"http://127.0.0.1:2/\"}}\n";

    fn warned(text: &str) -> Vec<String> {
        let config = read(&Nothing, "f", &format!("{TARGETS}{text}"), &[], Purpose::Look).unwrap();
        warnings(&config).into_iter().map(|(key, what)| format!("{key}: {what}")).collect()
    }

    #[test]
    fn an_idle_target_and_a_fan_out_that_nobody_remembers_are_told() {
        let all = "routes: {rules: [{name: x, to: [a, b]}]}\njournal: {storage: durable}\n";
        assert_eq!(warned(all), [""; 0]);
        let found = warned(&all.replace("durable", "ephemeral"));
        assert!(
            found.len() == 1 && found[0].starts_with("routes: events go to several targets"),
            "{found:?}"
        );
        assert_eq!(
            warned("routes: {rules: [{name: x, to: a}]}\njournal: {storage: ephemeral}\n"),
            ["targets: no rule leads to b"]
        );
        let found = warned("routes: {rules: [{name: x, to: a}], otherwise: b}\n");
        assert!(found.len() == 1 && found[0].contains("no event goes to the function"), "{found:?}");
    }

    #[test]
    fn rules_and_targets_are_told_in_a_line_each() {
        let text = format!(
            "{TARGETS}routes: {{rules: [{{name: x, to: [function, a]}}, {{name: y, discard: true}}], otherwise: b}}\n"
        );
        let config = read(&Nothing, "f", &text, &[], Purpose::Look).unwrap();
        let expected = [
            "  events go where the first rule says that fits, of 2",
            "    x: to function, a",
            "    y: to nowhere",
            "    otherwise: to b",
            "  a is http://127.0.0.1:1/",
            "  b is http://127.0.0.1:2/",
        ];
        assert_eq!(lines(&config), expected);
    }
}
