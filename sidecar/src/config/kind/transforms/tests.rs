use super::*;
use crate::config::{problems::Problems, raw};

fn read(yaml: &str) -> Result<Vec<Rule>, Vec<String>> {
    let node = raw::parse(yaml).unwrap();
    match transforms("transform", &node) {
        Ok(Value::Transforms(rules)) => Ok(rules),
        Ok(other) => panic!("rules are read as {other:?}"),
        Err(problems) => Err(problems
            .into_iter()
            .map(|problem| Problems { file: "f".to_owned(), list: vec![problem] }.to_string())
            .collect()),
    }
}

#[test]
fn rules_are_read_with_all_their_parts() {
    let rules = read(
        "- {name: tenant, when: \"source LIKE '/shop/%'\", set: {tenant: acme, urgent: true, level: 5, share: 1.5}}
- {name: by-customer, key: {pointer: /customer/id}, subject: {cesql: \"CONCAT(type, id)\"}}
- {name: t, rename: {oldattr: newattr}, drop: [x, y], copy: {from: to}, set: {hop: {cesql: hop + 1}, n: {pointer: ''}}}
",
    )
    .unwrap();
    assert_eq!(rules.len(), 3);
    assert_eq!(rules[0].when.as_ref().unwrap().to_string(), "source LIKE '/shop/%'");
    let literals: Vec<_> = rules[0].set.iter().map(|(_, source)| source.clone()).collect();
    let text = |text: &str| Source::Literal(Literal::Text(text.to_owned()));
    assert_eq!(
        literals,
        [
            text("acme"),
            Source::Literal(Literal::Boolean(true)),
            Source::Literal(Literal::Integer(5)),
            text("1.5")
        ]
    );
    assert_eq!(rules[1].key, Pointer::parse("/customer/id").map(Source::Pointer));
    assert!(matches!(rules[1].subject, Some(Source::Cesql(_))));
    assert_eq!(rules[2].rename, [("oldattr".to_owned(), "newattr".to_owned())]);
    assert_eq!(rules[2].drop, ["x", "y"]);
}

#[test]
fn every_mistake_is_told_with_its_place_and_what_may_stand_there() {
    for (yaml, expected) in [
        ("[]", r"transform: found an empty list, expected a list of at most 100 rules"),
        ("- {set: {a: b}}", "1:3: transform.1.name: found nothing, expected a name"),
        ("- {name: a}", "1:3: transform.1: found a rule that does nothing, expected"),
        ("- {name: A, drop: x}", r#"transform.1.name: found "A", expected a name of a-z"#),
        ("- {name: a, drop: x}\n- {name: a, drop: x}", "2:3: transform.2: found the name a twice"),
        (
            "- {name: a, when: type LIKE 5, drop: x}",
            "transform.1.when: found \"type LIKE 5\", expected an expression of CESQL; column 11: found `5`",
        ),
        (
            "- {name: a, set: {x: {cesql: '1 +'}}}",
            "transform.1.set.x.cesql: found \"1 +\", expected an expression of CESQL; column",
        ),
        (
            "- {name: a, set: {x: {pointer: a/b}}}",
            "transform.1.set.x.pointer: found \"a/b\", expected a JSON Pointer",
        ),
        (
            "- {name: a, set: {x: {pointer: /a, cesql: b}}}",
            "transform.1.set.x: found a map, expected one of cesql and pointer",
        ),
        (
            "- {name: a, set: {x: [1]}}",
            "transform.1.set.x: found a list, expected a value without control characters, {cesql",
        ),
        ("- {name: a, set: {Upper: 1}}", "transform.1.set.Upper: found Upper, expected the name"),
        ("- {name: a, set: {specversion: 1}}", "transform.1.set.specversion: found specversion, expected"),
        (
            "- {name: a, set: {outriggerclass: 1}}",
            "expected the name of a CloudEvents attribute (a-z, 0-9) other than specversion and outrigger's own",
        ),
        (
            "- {name: a, set: {type: io.outrigger.feedback}}",
            "transform.1.set.type: found \"io.outrigger.feedback\", expected a type that does not begin",
        ),
        ("- {name: a, drop: id}", "transform.1.drop: found \"id\", expected"),
        ("- {name: a, rename: {source: x}}", "transform.1.rename.source: found source, expected"),
        ("- {name: a, copy: {x: Y}}", "transform.1.copy.x: found \"Y\", expected"),
        (
            "- {name: a, key: /customer/id}",
            "transform.1.key: found \"/customer/id\", expected {pointer: /a/b}",
        ),
        ("- {name: a, subjekt: {pointer: /a}}", "did you mean \"subject\"?"),
        ("- {name: a, drop: x, drop: y}", "transform.1.drop: found the same key twice"),
    ] {
        let said = read(yaml).unwrap_err().join("\n");
        assert!(said.contains(expected), "{yaml}\n{said}");
    }
}

#[test]
fn all_mistakes_of_all_rules_are_told() {
    let said = read("- {name: a, when: '(', set: {X: 1}}\n- {drop: id}").unwrap_err();
    assert_eq!(said.len(), 4, "{said:?}");
}
