use crate::config::{Config, Problems, Purpose, env::Nothing, read};

fn look(text: &str) -> Result<Config, Problems> {
    read(&Nothing, "f", text, &[], Purpose::Look)
}

fn lines(text: &str) -> Vec<String> {
    look(text).err().map(|problems| problems.lines().collect()).unwrap_or_default()
}

#[test]
fn targets_and_rules_are_read_in_their_order() {
    let text = "\
targets:
  audit: {url: \"https://audit.example.com/\", concurrency: 3, attempts_max: 9, on_poison: park}
  copies: {kafka_topic: copies, mode: structured}
kafka: {brokers: \"a:1\"}
routes:
  match: all
  rules:
    - {name: orders, when: \"type LIKE 'order.%'\", to: [function, copies]}
    - {name: noise, when: {prefix: {type: debug.}}, discard: true}
  otherwise: audit
";
    let config = look(text).unwrap();
    let names: Vec<_> = config.targets.iter().map(|target| target.name.as_str()).collect();
    assert_eq!(names, ["audit", "copies"]);
    assert_eq!((config.targets[0].concurrency, config.targets[0].attempts_max), (3, Some(9)));
    assert_eq!(config.targets[1].attempts_max, None);
    let routes = config.routes.unwrap();
    assert!(routes.matches_all);
    assert_eq!(routes.rules[0].to, ["function", "copies"]);
    assert_eq!((routes.rules[1].name.as_str(), routes.rules[1].to.len()), ("noise", 0));
    assert_eq!(routes.otherwise, ["audit"]);
}

#[test]
fn without_rules_there_are_no_routes() {
    for text in ["", "targets:\n", "routes:\n", "routes: {match: all}\n", "routes: {otherwise: function}\n"] {
        assert_eq!(look(text).unwrap().routes, None, "{text}");
    }
    assert_eq!(look("routes: {otherwise: discard}\n").unwrap().routes.unwrap().otherwise, [""; 0]);
}

#[test]
fn a_mistake_in_an_expression_is_told_with_its_place_in_the_file_and_within() {
    let text = "routes:\n  rules:\n    - {name: a, when: \"type LIKE 5\", to: function}\n";
    assert_eq!(
        lines(text),
        [
            "f:3:23: routes.rules.when: found `5` at character 11 of the expression, expected a pattern in quotes, \
          such as 'abc%'"
        ]
    );
    let text = "routes:\n  rules:\n    - {name: a, when: {prefx: {type: a}}, to: function}\n";
    let found = lines(text);
    assert!(
        found.len() == 1 && found[0].starts_with("f:3:23: routes.rules.when: found no filter ("),
        "{found:?}"
    );
}

#[test]
fn an_unknown_target_is_told_with_the_one_that_was_meant() {
    let text = "\
targets:
  copies: {kafka_topic: copies}
kafka: {brokers: \"a:1\"}
routes:
  rules:
    - name: a
      to: [function, copeis]
  otherwise: nowhere
";
    assert_eq!(
        lines(text),
        [
            "f:7:22: routes.rules.to: found \"copeis\", expected function, or one of targets (copies); did you mean \
             \"copies\"?",
            "f:8:14: routes.otherwise: found \"nowhere\", expected function, or one of targets (copies)",
        ]
    );
}

#[test]
fn a_rule_has_a_name_of_its_own_and_leads_somewhere() {
    for (rule, told) in [
        ("{to: function}", "routes.rules.name: found a rule without a name"),
        ("{name: a}", "routes.rules.to: found a rule that leads nowhere"),
        ("{name: a, to: function, discard: true}", "routes.rules.discard: found a rule with routes.rules.to"),
        ("{name: a b, to: function}", "routes.rules.name: found \"a b\""),
        (
            "{name: a, to: function}\n    - {name: a, to: function}",
            "routes.rules.name: found the name \"a\" twice",
        ),
        ("{name: a, to: function, whne: x}", "routes.rules.whne: found an unknown key"),
    ] {
        let found = lines(&format!("routes:\n  rules:\n    - {rule}\n"));
        assert!(found.len() == 1 && found[0].contains(told), "{rule}: {found:?}");
    }
}

#[test]
fn a_target_has_one_place_and_only_settings_that_belong_to_it() {
    for (target, told) in [
        ("a: {}", "targets.a: found a target without a place"),
        ("a:", "targets.a: found a target without a place"),
        ("a: {url: \"http://b/\", kafka_topic: c}", "targets.a.kafka_topic: found a place beside url"),
        ("a: {pubsub_topic: c, timeout: 1s}", "targets.a.timeout: found a value that nothing uses"),
        ("function: {url: \"http://b/\"}", "targets.function: found a target named function"),
        ("A: {url: \"http://b/\"}", "targets.A: found \"A\""),
        ("a: {url: nonsense}", "targets.a.url: found \"nonsense\""),
        ("a: {urll: \"http://b/\"}", "targets.a.urll: found an unknown key"),
        ("a: {url: \"http://b/\", bearer_file: /t}", "targets.a.url: found http to another machine"),
        ("a: {url: \"http://b/\"}\n  a: {url: \"http://b/\"}", "targets.a: found the same name twice"),
        ("a: {url: \"http://b/\", webhook: \"a b\"}", "targets.a.webhook: found \"a b\""),
        ("a: {url: \"http://b/\", lane_max: 3}", "targets.a.lane_max: found a value that nothing uses"),
        ("a: {kafka_topic: c}", "kafka.brokers: found no broker"),
        ("a: {journal: true, url: \"http://b/\"}", "targets.a.journal: found a place beside url"),
        ("a: {journal: true, overflow: journal}", "targets.a.overflow: found a queue in the journal"),
        ("a: {journal: false}", "targets.a: found a target without a place"),
    ] {
        let found = lines(&format!("targets:\n  {target}\n"));
        assert!(found.iter().any(|line| line.contains(told)), "{target}: {found:?}");
        assert!(found.len() <= 2, "{target}: {found:?}");
    }
}

#[test]
fn a_target_overflows_only_into_a_journal_that_outlives_the_pod() {
    let text = "targets: {a: {url: \"http://b/\", overflow: journal, lane_max: 3}}\n";
    let config = look(&format!("{text}journal: {{storage: durable}}\n")).unwrap();
    assert_eq!(config.targets[0].overflows_at, Some(3));
    let found = lines(&format!("{text}journal: {{storage: ephemeral}}\n"));
    assert!(
        found.len() == 1 && found[0].contains("targets.a.overflow: found a journal that does not outlive"),
        "{found:?}"
    );
}

#[test]
fn the_journal_is_a_target_where_it_outlives_the_pod() {
    let text = "targets: {a: {journal: true}}\n";
    let config = look(&format!("{text}journal: {{storage: durable}}\n")).unwrap();
    assert_eq!(config.targets[0].place, crate::config::TargetPlace::Journal);
    let found = lines(&format!("{text}journal: {{storage: ephemeral}}\n"));
    assert!(
        found.len() == 1 && found[0].contains("targets.a.journal: found a journal that does not outlive"),
        "{found:?}"
    );
}

#[test]
fn settled_events_are_kept_where_the_journal_outlives_the_pod() {
    let text =
        "journal: {keep: {settled: true, age_max: 1h, bytes_max: 2MiB}, audit_max: 200, storage: durable}\n";
    let journal = look(text).unwrap().journal;
    assert_eq!((journal.keep_settled, journal.keep_age_max.as_secs()), (true, 3_600));
    assert_eq!((journal.keep_bytes_max, journal.audit_max), (2 << 20, 200));
    let found = lines(&text.replace("durable", "ephemeral"));
    assert!(
        found.len() == 1 && found[0].contains("journal.keep.settled: found true on a journal"),
        "{found:?}"
    );
}

#[test]
fn what_overflows_has_room_for_the_largest_event() {
    let text = "targets: {a: {url: \"http://b/\", overflow: journal}}\nwindow: {bytes: 8MiB}\n";
    assert_eq!(lines(text), [""; 0]);
    let told = lines(&format!("{text}journal: {{overflow_bytes_max: 4MiB}}"));
    let expected = "room for copies of 4MiB, expected at least window.bytes, which is 8MiB";
    assert!(told.len() == 1 && told[0].contains(expected), "{told:?}");
    assert_eq!(lines("journal: {overflow_bytes_max: 4MiB}"), [""; 0], "nothing overflows");
}
