//! Which events a subscription wants: types, the subject's beginning and end, and the advanced operators, with the
//! bounds and the meaning that the service documents. Pure.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Event, Schema};

/// Advanced filters of a subscription.
const ADVANCED_MAX: usize = 25;
/// Values of all its advanced filters together.
const VALUES_MAX: usize = 25;
/// Characters of a string among them.
const TEXT_MAX: usize = 512;

/// A subscription's filter. An event must pass each of its parts; the default lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Only these types; empty: all.
    pub included_event_types: Vec<String>,
    /// The subject begins with this.
    pub subject_begins_with: String,
    /// The subject ends with this.
    pub subject_ends_with: String,
    /// Whether those two see a difference between `a` and `A`. Default: they do not.
    pub is_subject_case_sensitive: bool,
    /// All of these hold.
    pub advanced_filters: Vec<Advanced>,
    /// What a key that is a list means: any of its members passes, instead of never.
    pub enable_advanced_filtering_on_arrays: bool,
}

/// One advanced filter.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Advanced {
    /// What is compared.
    pub operator_type: Operator,
    /// With what in the event: an attribute, or `data.a.b`.
    pub key: String,
    /// One value, for the operators that take one.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
    /// Several values, of which one must fit (or, for a negated operator, none).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// The operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[expect(missing_docs, reason = "the service's own names, which say it")]
pub enum Operator {
    NumberIn,
    NumberNotIn,
    NumberLessThan,
    NumberLessThanOrEquals,
    NumberGreaterThan,
    NumberGreaterThanOrEquals,
    NumberInRange,
    NumberNotInRange,
    BoolEquals,
    StringIn,
    StringNotIn,
    StringContains,
    StringNotContains,
    StringBeginsWith,
    StringNotBeginsWith,
    StringEndsWith,
    StringNotEndsWith,
    IsNullOrUndefined,
    IsNotNull,
}

/// What an operator takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Bool,
    Number,
    Numbers,
    Ranges,
    Strings,
}

impl Operator {
    fn takes(self) -> Takes {
        use Operator as O;
        match self {
            O::IsNullOrUndefined | O::IsNotNull => Takes::Nothing,
            O::BoolEquals => Takes::Bool,
            O::NumberLessThan
            | O::NumberLessThanOrEquals
            | O::NumberGreaterThan
            | O::NumberGreaterThanOrEquals => Takes::Number,
            O::NumberIn | O::NumberNotIn => Takes::Numbers,
            O::NumberInRange | O::NumberNotInRange => Takes::Ranges,
            _ => Takes::Strings,
        }
    }

    /// Those that hold where no value fits, also where the key is absent.
    fn negated(self) -> bool {
        use Operator as O;
        matches!(
            self,
            O::NumberNotIn
                | O::NumberNotInRange
                | O::StringNotIn
                | O::StringNotContains
                | O::StringNotBeginsWith
                | O::StringNotEndsWith
        )
    }
}

impl Filter {
    /// Whether the service would take it.
    ///
    /// # Errors
    /// What is out of its bounds.
    pub fn check(&self) -> Result<(), String> {
        if self.advanced_filters.len() > ADVANCED_MAX {
            return Err(format!("a subscription has at most {ADVANCED_MAX} advanced filters"));
        }
        if self.advanced_filters.iter().map(|filter| filter.values.len().max(1)).sum::<usize>() > VALUES_MAX {
            return Err(format!("the advanced filters have at most {VALUES_MAX} values together"));
        }
        self.advanced_filters.iter().try_for_each(Advanced::check)
    }

    /// Whether the event passes.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let kind = event.kind();
        let subject = event.text("subject").unwrap_or_default();
        let fold =
            |text: &str| if self.is_subject_case_sensitive { text.to_owned() } else { text.to_lowercase() };
        (self.included_event_types.is_empty()
            || self.included_event_types.iter().any(|named| named.eq_ignore_ascii_case(kind)))
            && fold(subject).starts_with(&fold(&self.subject_begins_with))
            && fold(subject).ends_with(&fold(&self.subject_ends_with))
            && self
                .advanced_filters
                .iter()
                .all(|filter| filter.wants(event, self.enable_advanced_filtering_on_arrays))
    }
}

impl Advanced {
    fn check(&self) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{:?} on '{}' takes {what}", self.operator_type, self.key));
        if self.key.is_empty() || self.key.split('.').count() > 3 {
            return Err(format!("the key '{}' must have one to three parts", self.key));
        }
        let single = self.values.is_empty();
        match self.operator_type.takes() {
            Takes::Nothing if !(single && self.value.is_null()) => wrong("no value"),
            Takes::Bool if !(single && self.value.is_boolean()) => wrong("one boolean as 'value'"),
            Takes::Number if !(single && self.value.is_number()) => wrong("one number as 'value'"),
            Takes::Numbers if single || !self.values.iter().all(Value::is_number) => {
                wrong("numbers as 'values'")
            }
            Takes::Ranges if single || !self.values.iter().all(|value| range(value).is_some()) => {
                wrong("pairs of numbers as 'values'")
            }
            Takes::Strings
                if single
                    || !self
                        .values
                        .iter()
                        .all(|value| value.as_str().is_some_and(|text| text.chars().count() <= TEXT_MAX)) =>
            {
                wrong("strings of at most 512 characters as 'values'")
            }
            _ => Ok(()),
        }
    }

    fn wants(&self, event: &Event, on_arrays: bool) -> bool {
        let found = look_up(event, &self.key);
        match self.operator_type {
            Operator::IsNullOrUndefined => return found.is_none_or(Value::is_null),
            Operator::IsNotNull => return found.is_some_and(|value| !value.is_null()),
            _ => {}
        }
        let keys: &[Value] = match found {
            None => &[],
            Some(Value::Array(keys)) if on_arrays => keys,
            Some(key) => std::slice::from_ref(key),
        };
        let any = keys.iter().any(|key| self.fits(key));
        any != self.operator_type.negated()
    }

    fn fits(&self, key: &Value) -> bool {
        use Operator as O;
        let number = key.as_f64();
        let than = self.value.as_f64();
        let both = |compare: fn(&f64, &f64) -> bool| match (&number, &than) {
            (Some(number), Some(than)) => compare(number, than),
            _ => false,
        };
        let texts = |compare: fn(&str, &str) -> bool| {
            let Some(key) = key.as_str().map(str::to_lowercase) else { return false };
            self.values.iter().filter_map(Value::as_str).any(|value| compare(&key, &value.to_lowercase()))
        };
        match self.operator_type {
            O::NumberLessThan => both(f64::lt),
            O::NumberLessThanOrEquals => both(f64::le),
            O::NumberGreaterThan => both(f64::gt),
            O::NumberGreaterThanOrEquals => both(f64::ge),
            O::NumberIn | O::NumberNotIn => {
                number.is_some() && self.values.iter().any(|value| value.as_f64() == number)
            }
            O::NumberInRange | O::NumberNotInRange => number.is_some_and(|number| {
                self.values.iter().filter_map(range).any(|(low, high)| (low..=high).contains(&number))
            }),
            O::BoolEquals => key.is_boolean() && *key == self.value,
            O::StringIn | O::StringNotIn => texts(|key, value| key == value),
            O::StringContains | O::StringNotContains => texts(|key, value| key.contains(value)),
            O::StringBeginsWith | O::StringNotBeginsWith => texts(|key, value| key.starts_with(value)),
            O::StringEndsWith | O::StringNotEndsWith => texts(|key, value| key.ends_with(value)),
            O::IsNullOrUndefined | O::IsNotNull => false,
        }
    }
}

fn range(value: &Value) -> Option<(f64, f64)> {
    match value.as_array()?.as_slice() {
        [low, high] => Some((low.as_f64()?, high.as_f64()?)),
        _ => None,
    }
}

/// What the key names: an attribute whatever its case (and Event Grid's names for those of a `CloudEvent`), or a
/// field of the data.
fn look_up<'a>(event: &'a Event, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = parts.next()?;
    let first = match (event.schema, first.to_ascii_lowercase().as_str()) {
        (Schema::CloudEventSchemaV1_0, "eventid") => "id".to_owned(),
        (Schema::CloudEventSchemaV1_0, "eventtype") => "type".to_owned(),
        (_, lower) => lower.to_owned(),
    };
    let fields = event.value.as_object()?;
    let (_, top) = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(&first))?;
    parts.try_fold(top, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use serde_json::{json, value::to_raw_value};

    use super::*;

    fn event() -> Event {
        let event = json!({
            "specversion": "1.0", "id": "1", "source": "/s", "type": "Made", "subject": "/blue/Sky.JPG",
            "ext1": "Value", "data": {"n": 5, "yes": true, "text": "Hello", "list": ["a", "b"], "in": {"n": 1}},
        });
        Event::cloud(&to_raw_value(&event).unwrap()).unwrap()
    }

    fn advanced(operator: &str, key: &str, value: Value) -> Filter {
        let name = if value.is_array() { "values" } else { "value" };
        let mut filter = json!({"operatorType": operator, "key": key});
        if !value.is_null() {
            filter[name] = value;
        }
        serde_json::from_value(json!({"advancedFilters": [filter]})).unwrap()
    }

    #[test]
    fn types_and_subjects_are_compared_without_case_unless_it_is_asked_for() {
        let wants = |filter: Value| serde_json::from_value::<Filter>(filter).unwrap().wants(&event());
        assert!(wants(json!({})));
        assert!(wants(json!({"includedEventTypes": ["other", "made"]})));
        assert!(!wants(json!({"includedEventTypes": ["other"]})));
        assert!(wants(json!({"subjectBeginsWith": "/BLUE", "subjectEndsWith": ".jpg"})));
        assert!(!wants(json!({"subjectBeginsWith": "/BLUE", "isSubjectCaseSensitive": true})));
        assert!(!wants(json!({"subjectEndsWith": ".png"})));
    }

    #[test]
    fn each_operator_means_what_the_service_documents() {
        for (operator, key, value, expected) in [
            ("NumberIn", "data.n", json!([4, 5]), true),
            ("NumberIn", "data.n", json!([4]), false),
            ("NumberNotIn", "data.n", json!([4]), true),
            ("NumberNotIn", "data.n", json!([5]), false),
            ("NumberLessThan", "data.n", json!(5), false),
            ("NumberLessThanOrEquals", "data.n", json!(5), true),
            ("NumberGreaterThan", "data.n", json!(4.5), true),
            ("NumberGreaterThanOrEquals", "data.n", json!(6), false),
            ("NumberInRange", "data.n", json!([[1, 2], [5, 9]]), true),
            ("NumberNotInRange", "data.n", json!([[1, 2], [5, 9]]), false),
            ("BoolEquals", "data.yes", json!(true), true),
            ("BoolEquals", "data.yes", json!(false), false),
            ("StringIn", "data.text", json!(["hello"]), true),
            ("StringNotIn", "data.text", json!(["HELLO"]), false),
            ("StringContains", "Subject", json!(["sky"]), true),
            ("StringNotContains", "Subject", json!(["sea"]), true),
            ("StringBeginsWith", "EventType", json!(["ma"]), true),
            ("StringNotBeginsWith", "type", json!(["ma"]), false),
            ("StringEndsWith", "source", json!(["/s"]), true),
            ("StringNotEndsWith", "source", json!(["/t"]), true),
            ("IsNotNull", "ext1", Value::Null, true),
            ("IsNullOrUndefined", "ext2", Value::Null, true),
            ("IsNullOrUndefined", "EventId", Value::Null, false),
            ("NumberGreaterThan", "data.in.n", json!(0), true),
        ] {
            let filter = advanced(operator, key, value.clone());
            filter.check().unwrap();
            assert_eq!(filter.wants(&event()), expected, "{operator} {key} {value}");
        }
    }

    #[test]
    fn where_the_key_is_absent_or_of_another_kind_only_negations_hold() {
        for (operator, value, expected) in [
            ("NumberIn", json!([1]), false),
            ("NumberNotIn", json!([1]), true),
            ("NumberLessThan", json!(1), false),
            ("BoolEquals", json!(true), false),
            ("StringContains", json!(["x"]), false),
            ("StringNotContains", json!(["x"]), true),
        ] {
            assert_eq!(
                advanced(operator, "data.gone", value.clone()).wants(&event()),
                expected,
                "{operator}"
            );
            let other = if operator.starts_with("String") { "data.n" } else { "data.text" };
            assert_eq!(advanced(operator, other, value).wants(&event()), expected, "{operator}");
        }
    }

    #[test]
    fn a_list_passes_by_any_of_its_members_only_where_that_is_enabled() {
        let mut filter = advanced("StringIn", "data.list", json!(["b"]));
        assert!(!filter.wants(&event()));
        filter.enable_advanced_filtering_on_arrays = true;
        assert!(filter.wants(&event()));
    }

    #[test]
    fn what_is_out_of_the_services_bounds_is_refused() {
        let refused = |filter: &Filter, why: &str| {
            let error = filter.check().unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        let mut many = advanced("IsNotNull", "id", Value::Null);
        many.advanced_filters = vec![many.advanced_filters[0].clone(); 26];
        refused(&many, "25 advanced filters");
        refused(&advanced("NumberIn", "id", json!(vec![1; 26])), "25 values");
        refused(&advanced("StringIn", "id", json!(["x".repeat(513)])), "512");
        refused(&advanced("StringIn", "data.a.b.c", json!(["x"])), "three parts");
        refused(&advanced("StringIn", "id", json!("x")), "StringIn");
        refused(&advanced("NumberIn", "id", json!(["x"])), "numbers");
        refused(&advanced("NumberLessThan", "id", json!([1])), "one number");
        refused(&advanced("NumberInRange", "id", json!([1])), "pairs");
        refused(&advanced("BoolEquals", "id", json!(1)), "boolean");
        refused(&advanced("IsNotNull", "id", json!(1)), "no value");
    }
}
