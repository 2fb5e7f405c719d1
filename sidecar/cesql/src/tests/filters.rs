//! The dialects of the Subscriptions API.

use serde_json::json;

use super::order;
use crate::{Comparing, Filter, FilterError, Set};

fn passes(filter: &serde_json::Value) -> bool {
    let filter = Filter::from_json(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let passes = filter.matches(&order());
    assert_eq!(filter.explain(&order()).holds, passes, "{filter}");
    let set: Set = [&filter].into_iter().collect();
    assert_eq!(set.matches(&order()).count(), usize::from(passes), "{filter}");
    passes
}

#[test]
fn every_dialect_says_what_the_specification_says() {
    for (filter, expected) in [
        (json!([]), true),
        (json!({"exact": {"type": "com.example.order"}}), true),
        (json!({"exact": {"type": "com.example.order", "source": "/shop"}}), true),
        (json!({"exact": {"type": "com.example.order", "source": "/other"}}), false),
        (json!({"exact": {"type": "com.example.Order"}}), false),
        (json!({"exact": {"subject": "x"}}), false),
        (json!({"exact": {"priority": "5", "paid": "true"}}), true),
        (json!({"prefix": {"type": "com.", "source": "/"}}), true),
        (json!({"prefix": {"type": "Com."}}), false),
        (json!({"prefix": {"type": "c%"}}), false),
        (json!({"prefix": {"subject": "x"}}), false),
        (json!({"suffix": {"type": ".order"}}), true),
        (json!({"suffix": {"type": "_order"}}), false),
        (json!({"all": [{"exact": {"id": "1"}}, {"suffix": {"source": "shop"}}]}), true),
        (json!({"all": [{"exact": {"id": "1"}}, {"exact": {"id": "2"}}]}), false),
        (json!({"any": [{"exact": {"id": "2"}}, {"exact": {"id": "1"}}]}), true),
        (json!({"any": [{"exact": {"id": "2"}}, {"exact": {"id": "3"}}]}), false),
        (json!({"any": [{"sql": "missing = 1"}, {"exact": {"id": "1"}}]}), true),
        (json!({"not": {"exact": {"id": "1"}}}), false),
        (json!({"not": {"exact": {"subject": "x"}}}), true),
        (json!({"not": {"sql": "missing = 1"}}), true),
        (json!({"not": {"sql": "'no boolean'"}}), true),
        (json!({"not": {"not": {"sql": "paid"}}}), true),
        (json!({"sql": "source LIKE '/sh%' AND priority > 3"}), true),
        (json!({"sql": "priority"}), false),
        (json!({"sql": "missing = 1"}), false),
        (json!([{"exact": {"id": "1"}}, {"sql": "paid"}]), true),
        (json!([{"exact": {"id": "1"}}, {"sql": "NOT paid"}]), false),
    ] {
        assert_eq!(passes(&filter), expected, "{filter}");
    }
}

#[test]
fn a_mistake_has_its_path_in_the_document() {
    let dialects = "exact, prefix, suffix, all, any, not, sql";
    let a_filter = format!("where a filter is expected: an object with one of {dialects}");
    let deep = (0..110).fold(json!({"exact": {"id": "1"}}), |inner, _| json!({"not": inner}));
    for (filter, expected) in [
        (json!(5), format!("5 {a_filter}")),
        (json!([{"sql": "paid"}, "paid"]), format!("[1]: \"paid\" {a_filter}")),
        (json!({}), format!("an empty object {a_filter}")),
        (json!({"exact": {"id": "1"}, "sql": "paid"}), format!("an object with 2 members {a_filter}")),
        (json!([{"cel": "x"}]), format!("[0]: `cel` is no dialect that is known here: {dialects}")),
        (
            json!({"all": []}),
            "all: an empty array where an array of at least one filter is expected".to_owned(),
        ),
        (
            json!({"any": {}}),
            "any: an empty object where an array of at least one filter is expected".to_owned(),
        ),
        (json!({"not": []}), format!("not: an empty array {a_filter}")),
        (
            json!({"exact": {}}),
            "exact: an empty object where an object is expected of attributes' names and texts".to_owned(),
        ),
        (json!({"exact": {"id": 1}}), "exact.id: 1 where a text is expected".to_owned()),
        (
            json!([{"not": {"any": [{"prefix": {"id": ""}}]}}]),
            "[0].not.any[0].prefix.id: an empty text, where one to compare with is expected".to_owned(),
        ),
        (
            json!({"suffix": {"my-ext": "x"}}),
            "suffix.my-ext: `my-ext` is no attribute's name, which has letters and digits".to_owned(),
        ),
        (json!({"sql": true}), "sql: true where an expression is expected".to_owned()),
        (
            json!({"all": [{"sql": "a LIKE b"}]}),
            "all[0].sql: column 8: found `b`, expected a pattern in quotes, such as 'abc%'".to_owned(),
        ),
    ] {
        assert_eq!(Filter::from_json(&filter).unwrap_err().to_string(), expected, "{filter}");
    }
    let error = Filter::from_json(&deep).unwrap_err();
    assert_eq!(error.message(), "more than 100 levels of filters");
    assert!(error.path().starts_with("not.not.not."));
}

#[test]
fn filters_are_made_without_json_too() -> Result<(), FilterError> {
    let shop = Filter::compare(Comparing::Prefix, "Source", "/shop")?;
    let order = Filter::compare(Comparing::Suffix, "type", ".order")?;
    let both = Filter::all(&[shop.clone(), order.clone()])?;
    assert_eq!(both.to_string(), "source LIKE '/shop%' AND type LIKE '%.order'");
    assert!(both.matches(&super::order()));
    assert!(!both.negated()?.matches(&super::order()));
    assert!(Filter::any(&[shop, order.negated()?])?.matches(&super::order()));
    assert!(Filter::all(&[])?.matches(&super::order()));
    assert!(!Filter::any(&[])?.matches(&super::order()));
    let nested = (0..300).try_fold(order, |inner, _| inner.negated());
    assert_eq!(nested.unwrap_err().to_string(), "more than 100 levels of filters");
    Ok(())
}

#[test]
fn an_explanation_of_a_filter_shows_why_it_says_no() {
    let filter = Filter::from_json(
        &json!([{"prefix": {"type": "com."}}, {"not": {"sql": "tenant = 'a'"}}, {"sql": "hop + 1"}]),
    );
    let expected = "\
false  type LIKE 'com.%' AND NOT (tenant = 'a') AND hop + 1
  true   type LIKE 'com.%'
    'com.example.order'  type
  true   NOT (tenant = 'a')
    false  tenant = 'a'
      absent  tenant  <- the event has no attribute tenant
  false  hop + 1
    '3'    hop
";
    assert_eq!(filter.unwrap().explain(&order()).to_string(), expected);
}

#[test]
fn the_deepest_filter_that_is_taken_costs_no_stack() {
    let sql = format!("{}paid{}", "NOT (".repeat(40), ")".repeat(40));
    let deepest = (0..95).fold(json!({"sql": sql}), |inner, _| json!({"not": inner}));
    let filter = Filter::from_json(&deepest).unwrap();
    assert!(!filter.matches(&order()));
    assert!(filter.explain(&order()).to_string().lines().count() > 95);
    assert!(filter.to_string().starts_with("NOT NOT NOT "));
}
