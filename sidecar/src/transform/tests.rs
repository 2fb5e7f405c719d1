use super::*;
use bytes::Bytes;
use proptest::prelude::*;

fn event(data: &'static str) -> Event {
    let mut event = Event::new("1", "/shop/de", "order").unwrap();
    event.set("hop", Value::Integer(1)).unwrap();
    event.set("old", Value::String("o")).unwrap();
    event.with_data("application/json", Bytes::from_static(data.as_bytes())).unwrap()
}

fn rule(name: &str) -> Rule {
    Rule { name: name.to_owned(), ..Rule::default() }
}

fn cesql(text: &str) -> Expression {
    Expression::parse(text).unwrap()
}

fn pointer(text: &str) -> Source {
    Source::Pointer(Pointer::parse(text).unwrap())
}

fn pair(a: &str, b: &str) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn once(rule: Rule, event: &Event) -> Result<Option<Changed>, String> {
    transformed(&[rule], "http", event).map_err(|failed| failed.to_string())
}

#[test]
fn a_rule_sets_copies_renames_and_drops_in_its_order() {
    let text = |text: &str| Source::Literal(Literal::Text(text.to_owned()));
    let all = Rule {
        copy: vec![pair("old", "kept")],
        rename: vec![pair("old", "new"), pair("hop", "hops")],
        drop: vec!["absent".to_owned(), "kept".to_owned()],
        set: vec![
            ("tenant".to_owned(), text("acme")),
            ("urgent".to_owned(), Source::Literal(Literal::Boolean(true))),
            ("hops".to_owned(), Source::Cesql(cesql("hops + 1"))),
            ("type".to_owned(), Source::Cesql(cesql("CONCAT('shop.', type)"))),
            ("time".to_owned(), text("2026-01-31T12:00:00Z")),
            ("total".to_owned(), pointer("/total")),
        ],
        ..rule("all")
    };
    let before = event(r#"{"total": 12.50}"#);
    let after = once(all, &before).unwrap().unwrap().event;
    let values: Vec<_> = after.attributes().skip(2).collect();
    assert_eq!(
        values,
        [
            ("type", Value::String("shop.order")),
            ("datacontenttype", Value::String("application/json")),
            ("new", Value::String("o")),
            ("hops", Value::Integer(2)),
            ("tenant", Value::String("acme")),
            ("urgent", Value::Boolean(true)),
            ("time", Value::Timestamp("2026-01-31T12:00:00Z")),
            ("total", Value::String("12.50")),
        ]
    );
    assert_eq!(after.data(), before.data());
}

#[test]
fn key_and_subject_come_from_the_data() {
    let chosen = Rule {
        subject: Some(pointer("/lines/1/a~1b")),
        key: Some(pointer("/customer/id")),
        ..rule("by-customer")
    };
    let event = event(r#"{"lines":[{}, {"a/b":"\u00e9"}], "customer":{"x":[1,{"id":0}],"id":42,"id":43}}"#);
    let changed = once(chosen, &event).unwrap().unwrap();
    assert_eq!(changed.event.subject(), Some("é"));
    assert_eq!(changed.key, Some(Key::new("http", b"43")), "of a member that is there twice the last counts");
}

#[test]
fn a_rule_is_for_the_events_of_its_expression_and_sees_what_those_before_it_left() {
    let rules = [
        Rule {
            when: Some(cesql("source LIKE '/shop/%'")),
            set: vec![("tenant".to_owned(), Source::Literal(Literal::Text("acme".to_owned())))],
            ..rule("tenant")
        },
        Rule { when: Some(cesql("tenant = 'acme'")), rename: vec![pair("tenant", "owner")], ..rule("owner") },
        Rule { when: Some(cesql("absent > 5")), rename: vec![pair("absent", "x")], ..rule("never") },
    ];
    let changed = transformed(&rules, "http", &event("{}")).unwrap().unwrap();
    assert_eq!(changed.event.text("owner").as_deref(), Some("acme"));
    assert_eq!(changed.event.get("tenant"), None);
    let other = Event::new("1", "/other", "t").unwrap();
    assert_eq!(transformed(&rules, "http", &other), Ok(None));
}

#[test]
fn what_fails_names_its_rule_and_says_why() {
    let data = r#"{"a":null,"b":{},"c":[],"t":"two\nlines"}"#;
    let set = |name: &str, source| Rule { set: vec![(name.to_owned(), source)], ..rule("r") };
    for (rule, why) in [
        (Rule { copy: vec![pair("absent", "x")], ..rule("r") }, "rule r: the event has no attribute absent"),
        (
            Rule { rename: vec![pair("absent", "x")], ..rule("r") },
            "rule r: the event has no attribute absent",
        ),
        (
            set("x", Source::Cesql(cesql("absent + 1"))),
            "rule r: absent + 1: absent: the event has no attribute",
        ),
        (set("x", pointer("/none")), r#"rule r: nothing stands at "/none" in the data"#),
        (set("x", pointer("/a")), r#"rule r: null stands at "/a""#),
        (set("x", pointer("/b")), r#"rule r: an object stands at "/b""#),
        (set("x", pointer("/c")), r#"rule r: an array stands at "/c""#),
        (set("x", pointer("/t")), "rule r: x: "),
        (set("time", Source::Cesql(cesql("'lunchtime'"))), "rule r: time: "),
        (set("id", Source::Cesql(cesql("''"))), "rule r: id: "),
        (set("type", Source::Cesql(cesql("'io.outrigger.x'"))), "rule r: type: io.outrigger.*"),
    ] {
        let said = once(rule, &event(data)).unwrap_err();
        assert!(said.starts_with(why), "{said}");
        assert!(!said.contains('\n'), "{said:?}");
    }
    let broken = once(set("x", pointer("/a")), &event("{\"a\": tru")).unwrap_err();
    assert!(broken.starts_with("rule r: the data is no JSON"), "{broken}");
    let none = Event::new("1", "/s", "t").unwrap();
    let said = once(set("x", pointer("/a")), &none).unwrap_err();
    assert_eq!(said, r#"rule r: the event has no data for "/a""#);
}

#[test]
fn pointers_are_those_of_the_rfc() {
    let document = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"m~n":8,"01":"x","~1":9}"#.as_bytes();
    for (text, expected) in [
        ("/foo/0", Some("bar")),
        ("/foo/1", Some("baz")),
        ("/", Some("0")),
        ("/a~1b", Some("1")),
        ("/c%d", Some("2")),
        ("/m~0n", Some("8")),
        ("/~01", Some("9")),
        ("/01", Some("x")),
        ("/foo/00", None),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/0/x", None),
        ("/FOO", None),
    ] {
        let found = Pointer::parse(text).unwrap().find(Some(document)).ok();
        let found = found.map(|scalar| match scalar {
            Scalar::Text(text) => text.into_owned(),
            Scalar::Number(text) => text.to_owned(),
            Scalar::Boolean(truth) => truth.to_string(),
        });
        assert_eq!(found.as_deref(), expected, "{text}");
    }
    assert_eq!(Pointer::parse("").unwrap().find(Some(b" true ")), Ok(Scalar::Boolean(true)));
    let long = "/a".repeat(pointer::STEPS_MAX + 1);
    for wrong in ["foo", "foo/bar", "/~", "/~2", "/a~", &*long] {
        assert_eq!(Pointer::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn deep_data_beside_and_on_the_way_is_bounded() {
    let deep = format!(r#"{{"deep":{}{},"id":7}}"#, "[".repeat(500_000), "]".repeat(500_000));
    let find = |text: &str| Pointer::parse(text).unwrap().find(Some(deep.as_bytes())).map(|_| ());
    assert_eq!(find("/id"), Ok(()), "what lies beside the way is passed over without recursion");
    assert!(find("/deep/0/0/0").is_err());
}

proptest! {
    #[test]
    fn a_pointer_finds_what_a_tree_has_there(
        json in r#"(\{("[ab]":(\{"[ab]":([0-9]|"[a-z]"|true|null),"c":\[[0-9],[0-9]\]\}|\[[0-9],"x"\]|-1)(,"[ab]":[0-9])?)\}|[0-9])"#,
        text in "(/([abc]|[0-2]|)){0,3}",
    ) {
        let tree: serde_json::Value = serde_json::from_str(&json).unwrap();
        let found = Pointer::parse(&text).unwrap().find(Some(json.as_bytes())).ok();
        let expected = tree.pointer(&text).and_then(|value| match value {
            serde_json::Value::Bool(truth) => Some(Scalar::Boolean(*truth)),
            serde_json::Value::String(text) => Some(Scalar::Text(Cow::Owned(text.clone()))),
            _ => None,
        });
        let number = tree.pointer(&text).filter(|value| value.is_number()).map(ToString::to_string);
        if let (Some(Scalar::Number(text)), Some(number)) = (&found, number) {
            prop_assert_eq!(*text, number);
        } else {
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn no_data_makes_it_panic(data in proptest::collection::vec(any::<u8>(), 0..60), text in "(/[a01]){0,3}") {
        let _ = Pointer::parse(&text).unwrap().find(Some(&data));
    }
}
