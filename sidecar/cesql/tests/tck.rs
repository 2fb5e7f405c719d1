//! The specification's own test kit, read from the shared data; it is not copied here.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use outrigger_cesql::{Attributes, ErrorKind, EvaluationError, Expression, Filter, Set, Value};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

const NAME: &str = "every_case_of_the_test_kit_comes_to_its_value_and_its_error";
const CASES: usize = 275;

#[derive(Deserialize)]
struct Kit {
    tests: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    name: String,
    expression: String,
    result: Option<Json>,
    error: Option<String>,
    event: Option<Map<String, Json>>,
    #[serde(default)]
    event_overrides: Map<String, Json>,
}

/// An event in JSON.
struct Event(Map<String, Json>);

impl Attributes for Event {
    fn attribute(&self, name: &str) -> Option<Value<'_>> {
        Some(value(self.0.get(name)?))
    }
}

fn value(json: &Json) -> Value<'_> {
    match json {
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => {
            Value::Integer(number.as_i64().and_then(|n| n.try_into().ok()).expect("32 bits"))
        }
        Json::String(text) => text.as_str().into(),
        other => panic!("{other} is no value of CESQL"),
    }
}

impl Case {
    fn event(&self) -> Event {
        let any = || [("specversion", "1.0"), ("id", "an-id"), ("source", "/a/source"), ("type", "a.type")];
        let any = || any().map(|(name, text)| (name.to_owned(), Json::from(text))).into_iter().collect();
        let mut event: Map<_, _> = self.event.clone().unwrap_or_else(any);
        event.extend(self.event_overrides.clone());
        Event(event)
    }

    /// What the case comes to. A text that cannot be parsed counts as `false`, as the kit has it.
    fn outcome(&self) -> (Value<'static>, Vec<ErrorKind>) {
        match Expression::parse(&self.expression) {
            Err(error) => (Value::Boolean(false), vec![error.kind()]),
            Ok(expression) => {
                let evaluation = expression.evaluate(&self.event());
                (evaluation.value, evaluation.errors.iter().map(EvaluationError::kind).collect())
            }
        }
    }

    fn check(&self, place: &str) {
        let place = format!("{place}, {:?}: {}", self.name, self.expression);
        let (found, errors) = self.outcome();
        if let Some(result) = &self.result {
            assert_eq!(found, value(result), "{place} ({errors:?})");
        }
        let errors: Vec<_> = errors.iter().map(|kind| kind.name()).collect();
        assert_eq!(errors, self.error.iter().map(String::as_str).collect::<Vec<_>>(), "{place}");
        let Ok(expression) = Expression::parse(&self.expression) else { return };
        let printed = expression.to_string();
        assert_eq!(Expression::parse(&printed).as_ref(), Ok(&expression), "{place} is printed as {printed}");
        let passes = self.error.is_none() && found == Value::Boolean(true);
        let event = self.event();
        assert_eq!(expression.matches(&event), passes, "{place}");
        assert_eq!(expression.explain(&event).holds, passes, "{place}");
    }
}

/// The files of the kit, or none after it was said that they are absent.
fn kits() -> Option<Vec<(String, Kit)>> {
    #[expect(clippy::disallowed_methods, reason = "where the shared data lie is said by the environment")]
    let named = std::env::var_os("OUTRIGGER_SHARED").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let folder = named.unwrap_or(beside).join("data/cloudevents/cesql");
    if !folder.exists() {
        skip(&format!("{} is absent", folder.display()));
        return None;
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a file of the kit");
        let kit = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path.file_name().expect("a name").to_string_lossy().into_owned(), kit)
    };
    let files = fs::read_dir(folder).expect("the kit").map(|entry| entry.expect("an entry").path());
    Some(files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).map(read).collect())
}

/// In the form that continuous integration reads.
fn skip(why: &str) {
    let line = format!("SKIPPED {NAME}: {why}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    #[expect(clippy::disallowed_methods, reason = "where skips are noted is said by the environment")]
    let Some(file) = std::env::var_os("OUTRIGGER_SKIPS_FILE").filter(|name| !name.is_empty()) else { return };
    let noted = fs::File::options().create(true).append(true).open(file);
    noted.and_then(|mut file| file.write_all(line.as_bytes())).expect("a skip is noted");
}

#[test]
fn every_case_of_the_test_kit_comes_to_its_value_and_its_error() {
    let Some(kits) = kits() else { return };
    let mut seen = 0;
    for (file, kit) in &kits {
        for case in &kit.tests {
            case.check(file);
            seen += 1;
        }
    }
    assert_eq!(seen, CASES, "cases in {} files", kits.len());
    together(&kits);
}

/// All expressions of the kit in one set say of each event what each alone says.
fn together(kits: &[(String, Kit)]) {
    let cases: Vec<_> = kits.iter().flat_map(|(_, kit)| &kit.tests).collect();
    let expressions: Vec<_> =
        cases.iter().filter_map(|case| Expression::parse(&case.expression).ok()).collect();
    let set: Set = expressions.iter().map(Filter::from).collect::<Vec<_>>().iter().collect();
    assert!(expressions.len() > CASES - 5);
    for case in cases {
        let event = case.event();
        let alone: Vec<_> =
            (0..expressions.len()).filter(|place| expressions[*place].matches(&event)).collect();
        assert_eq!(set.matches(&event).collect::<Vec<_>>(), alone, "{}", case.name);
    }
}
