//! The whole crate, by what it says of texts and events.

#[cfg(feature = "json")]
mod filters;
mod mistakes;
mod properties;

use std::cell::RefCell;

use crate::{Attributes, ErrorKind, Evaluation, EvaluationError, Expression, Filter, Set, Type, Value};

fn expression(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{error}\n{}", error.excerpt(text)))
}

fn order() -> [(&'static str, Value<'static>); 7] {
    [
        ("specversion", "1.0".into()),
        ("id", "1".into()),
        ("source", "/shop".into()),
        ("type", "com.example.order".into()),
        ("priority", 5.into()),
        ("paid", true.into()),
        ("hop", "3".into()),
    ]
}

/// The value of an expression without attributes, and the kinds of its errors.
fn value(text: &str) -> (Value<'static>, Vec<ErrorKind>) {
    let Evaluation { value, errors } = expression(text).evaluate(&order());
    (value, errors.iter().map(EvaluationError::kind).collect())
}

fn good(value: impl Into<Value<'static>>) -> (Value<'static>, Vec<ErrorKind>) {
    (value.into(), Vec::new())
}

#[test]
fn operators_bind_as_the_specification_ranks_them() {
    for (text, brackets) in [
        ("not paid like 'x'", "(not paid) like 'x'"),
        ("-1 + 2 * 3 = 5 and true", "(((-1) + (2 * 3)) = 5) and true"),
        ("1 + 2 in (3)", "1 + (2 in (3))"),
        ("2 * '3' like '3'", "2 * ('3' like '3')"),
        ("1 - 2 - 3", "(1 - 2) - 3"),
        ("8 / 4 / 2 * 3 % 2", "(((8 / 4) / 2) * 3) % 2"),
        ("1 < 2 = true <> false", "((1 < 2) = true) <> false"),
        ("true or false and false xor true", "((true or false) and false) xor true"),
        ("not exists x and exists y", "(not (exists x)) and (exists y)"),
        ("3 not in (1, 2) = true", "(3 not in (1, 2)) = true"),
        ("'a' like 'a' in (true)", "('a' like 'a') in (true)"),
        ("4-1", "4 - 1"),
        ("hop+-1", "hop + (-1)"),
    ] {
        assert_eq!(expression(text), expression(brackets), "{text}");
    }
    assert_ne!(expression("true or false and false"), expression("true or (false and false)"));
    assert_eq!(value("true or false and false"), good(false));
}

#[test]
fn a_chain_of_one_operator_is_one_however_it_is_bracketed() {
    assert_eq!(expression("a and (b and c) and d").to_string(), "a AND b AND c AND d");
    assert_eq!(expression("a or (b and c or d)").to_string(), "a OR (b AND c) OR d");
    let long = vec!["hop = 3"; 5_000].join(" or ") + " or paid";
    assert!(expression(&long).matches(&order()));
}

#[test]
fn numbers_that_do_not_fit_are_errors_with_the_value_zero() {
    for text in ["2147483647 + 1", "-2147483648 - 1", "65536 * 65536", "-2147483648 / -1", "-(-2147483648)"] {
        assert_eq!(value(text), (0.into(), vec![ErrorKind::Math]), "{text}");
    }
    assert_eq!(value("-2147483648 % -1"), good(0));
    assert_eq!(value("-7 / 2"), good(-3));
    assert_eq!(value("-7 % 2"), good(-1));
}

#[test]
fn what_brought_an_error_counts_as_the_zero_of_its_operator() {
    for (text, expected) in [
        ("1 / 0 + 5", Value::from(0)),
        ("concat('a', 1 / 0)", "".into()),
        ("'abc' = 0", false.into()),
        ("'abc' != 0", false.into()),
        ("not (1 / 0 = 0)", false.into()),
        ("1 / 0 = 0 or true", false.into()),
        ("length(left('abc', -1))", 0.into()),
        ("not 'abc'", true.into()),
    ] {
        let (found, errors) = value(text);
        assert_eq!((found, errors.len()), (expected, 1), "{text}");
        assert!(!expression(text).matches(&order()), "{text}");
    }
}

#[test]
fn every_error_is_told_with_the_subexpression_that_raised_it() {
    let errors = expression("missing = other or 'x' + 1 > 0").evaluate(&order()).errors;
    let said: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "missing: the event has no attribute missing",
            "other: the event has no attribute other",
            "'x' + 1: 'x' cannot become an Integer",
        ]
    );
}

#[test]
fn what_decided_leaves_the_rest_alone() {
    assert_eq!(value("false and missing = 1"), good(false));
    assert_eq!(value("true or missing = 1"), good(true));
    assert_eq!(value("1 in (1, missing)"), good(true));
    assert_eq!(value("1 in (missing, 1)"), (false.into(), vec![ErrorKind::MissingAttribute]));
}

#[test]
fn attributes_keep_their_types_and_become_others_where_they_must() {
    assert_eq!(expression("paid").evaluate(&order()).value.type_of(), Type::Boolean);
    assert_eq!(expression("priority").evaluate(&order()).value.type_of(), Type::Integer);
    for text in ["priority = '5'", "hop = 3", "paid = 'true'", "PAID", "priority like '_'", "hop < priority"]
    {
        assert_eq!(value(text), good(true), "{text}");
        assert!(expression(text).matches(&order()), "{text}");
    }
}

#[test]
fn only_true_passes() {
    assert!(!expression("priority").matches(&order()));
    assert!(!expression("'true'").matches(&order()));
    assert!(expression("bool('true')").matches(&order()));
}

#[test]
fn what_is_often_misread_is_noted() {
    let notes = |text| expression(text).notes().iter().map(|note| note.offset).collect::<Vec<_>>();
    assert_eq!(notes("paid and not subject like 'x'"), [9]);
    assert_eq!(notes("a or b and c or d"), [7]);
    for plain in ["not (a = b)", "not a and b", "a not like 'x'", "a or (b and c)", "not exists a or b"] {
        assert_eq!(notes(plain), [0; 0], "{plain}");
    }
}

#[test]
fn it_says_which_attributes_it_asks_for() {
    let expression = expression("Type = 'a' AND EXISTS type OR LEFT(subject, 1) = id");
    assert_eq!(expression.attributes().collect::<Vec<_>>(), ["type", "subject", "id"]);
}

#[test]
fn an_explanation_is_a_tree_of_what_everything_came_to() {
    let text = "type like 'com.%' and (priority > 7 or tenant != 'a') and missing = 1";
    let explanation = expression(text).explain(&order());
    let expected = "\
false  type LIKE 'com.%' AND (priority > 7 OR tenant != 'a') AND missing = 1
  true   type LIKE 'com.%'
    'com.example.order'  type
  false  priority > 7 OR tenant != 'a'
    false  priority > 7
      5      priority
    false  tenant != 'a'
      absent  tenant  <- the event has no attribute tenant
  –      missing = 1
    –      missing
";
    assert_eq!(explanation.to_string(), expected);
    assert!(!explanation.holds);
}

#[test]
fn an_explanation_shows_no_control_characters() {
    let event = [("subject", Value::from("\u{1b}[31m\u{202e}red"))];
    let shown = expression("subject = 'x\n'").explain(&event).to_string();
    assert!(shown.contains("\\u{1b}[31m\\u{202e}red") && shown.contains("'x\\u{a}'"), "{shown}");
    assert_eq!(shown.lines().count(), 2);
}

/// Notes which attributes are asked for.
struct Asked(RefCell<Vec<String>>);

impl Attributes for Asked {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.borrow_mut().push(name.to_owned());
        (name != "subject").then(|| "x".into())
    }
}

#[test]
fn a_set_has_what_is_equal_once_and_asks_for_each_attribute_once() {
    let mut set = Set::default();
    assert!(set.is_empty());
    for text in ["type = 'x' AND id = 'x'", "Type='x'", "NOT (type = 'x')", "subject = 'x' OR type = 'x'"] {
        set.push(&expression(text).into());
    }
    assert_eq!(set.len(), 4);
    // type, 'x', type = 'x', id, id = 'x', AND; NOT; subject, subject = 'x', OR
    assert_eq!(set.subexpressions(), 10);
    let event = Asked(RefCell::default());
    assert_eq!(set.matches(&event).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(*event.0.borrow(), ["type", "id", "subject"]);
}

#[test]
fn a_set_evaluates_what_filters_share_once_whatever_it_gives() {
    let mut set = Set::default();
    for text in [
        "LOWER(type) = 'x'",
        "LENGTH(LOWER(type)) = 1",
        "LENGTH(LOWER(type)) + 1 = 2",
        "LOWER(subject) = 'x'",
        "LOWER(subject) = 'y'",
        "type",
        "TRUE",
    ] {
        set.push(&expression(text).into());
    }
    let event = Asked(RefCell::default());
    assert_eq!(set.matches(&event).collect::<Vec<_>>(), [0, 1, 2, 6]);
    assert_eq!(set.matches(&event).next(), Some(0));
}

#[test]
fn a_set_finds_what_it_can_by_a_text_and_numbers_are_compared_as_numbers() {
    let mut set = Set::default();
    for text in [
        "priority = '5'",
        "priority = '05'",
        "priority IN ('05', '6')",
        "paid IN ('TRUE')",
        "hop IN ('03')",
        "hop IN ('3') AND type = 'other'",
        "type = 'com.example.order' AND hop IN ('3', '3')",
        "missing = 'x'",
        "LOWER(type) = 'com.example.order'",
        "'3' = hop",
    ] {
        set.push(&expression(text).into());
    }
    assert_eq!(set.matches(&order()).collect::<Vec<_>>(), [0, 2, 3, 6, 8, 9]);
}

#[test]
fn a_set_of_thousands_grows_with_what_is_different_in_them() {
    let filters: Vec<_> = (0..2_000)
        .map(|n| Filter::from(expression(&format!("type = 'x' AND hop = '{}'", n % 500))))
        .collect();
    let set: Set = filters.iter().collect();
    assert_eq!(set.subexpressions(), 4 + 3 * 500);
    assert_eq!(set.matches(&order()).count(), 0);
}

#[test]
fn what_is_parsed_may_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    let expression = expression("paid");
    shared(&expression);
    shared(&[&Filter::from(&expression)].into_iter().collect::<Set>());
}
