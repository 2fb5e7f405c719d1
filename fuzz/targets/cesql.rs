//! An expression of CESQL, or a filter in JSON where it begins as one; after an empty line the attributes of an event, a
//! `name: value` a line. Nothing panics, every expression has a value, what is printed is read as the same, and the ways to
//! ask agree.
#![no_main]

use std::collections::HashMap;

use outrigger_cesql::{Attributes, Expression, Filter, Set, Value};

struct Event<'d>(HashMap<&'d str, Value<'d>>);

impl Attributes for Event<'_> {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        self.0.get(name).map(Value::borrowed)
    }
}

fn value(text: &str) -> Value<'_> {
    match (text.parse(), text.parse()) {
        (Ok(number), _) => Value::Integer(number),
        (_, Ok(truth)) => Value::Boolean(truth),
        _ => text.into(),
    }
}

/// Of bounded length, whatever the input was.
fn one_line(text: &str) {
    assert!(!text.contains('\n') && text.chars().count() < 10_000, "{text:?}");
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (asked, attributes) = text.split_once("\n\n").unwrap_or((text, ""));
    let event = Event(
        attributes.lines().filter_map(|line| line.split_once(": ")).map(|(n, v)| (n, value(v))).collect(),
    );
    let filter = if asked.starts_with(['{', '[']) {
        let Ok(document) = serde_json::from_str(asked) else { return };
        match Filter::from_json(&document) {
            Ok(filter) => filter,
            Err(error) => return one_line(&error.to_string()),
        }
    } else {
        match Expression::parse(asked) {
            Ok(expression) => {
                let evaluation = expression.evaluate(&event);
                let passes = evaluation.errors.is_empty() && evaluation.value == Value::Boolean(true);
                assert_eq!(expression.matches(&event), passes);
                let printed = expression.to_string();
                assert_eq!(Expression::parse(&printed).as_ref(), Ok(&expression), "{printed}");
                expression.into()
            }
            Err(error) => {
                one_line(&error.to_string());
                assert!(asked.is_char_boundary(error.offset()) && error.excerpt(asked).lines().count() <= 2);
                return;
            }
        }
    };
    let passes = filter.matches(&event);
    let explanation = filter.explain(&event);
    assert_eq!(explanation.holds, passes);
    explanation.to_string().lines().for_each(one_line);
    let Ok(negated) = filter.negated() else { return };
    let set: Set = [&filter, &negated, &filter].into_iter().collect();
    let expected: &[usize] = if passes { &[0, 2] } else { &[1] };
    assert_eq!(set.matches(&event).collect::<Vec<_>>(), expected);
});
