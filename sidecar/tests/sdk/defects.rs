//! What the SDKs are known to do wrong.

use crate::{Found, judge::Language};

/// One defect: whose, over what, which way (`to us`, `from us`), in which modes, of which cases (several with a space between
/// them, `*` is each), and a part of what is then found.
struct Defect(&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

/// The defects, as the README tells them.
#[rustfmt::skip]
const DEFECTS: &[Defect] = &[
    // Headers of HTTP are neither percent-encoded nor decoded (HTTP binding, 3.1.3.2). What is in ASCII and has no percent
    // sign passes on the way to us; Go sends other characters bare, as UTF-8, which passes as well.
    Defect("go", "http", "to us", "binary", "percent", "400"),
    Defect("java", "http", "to us", "binary", "percent", "400"),
    Defect("java", "http", "to us", "binary", "unicode key", "invalid header value"),
    Defect("node", "http", "to us", "binary", "percent", "400"),
    Defect("node", "http", "to us", "binary", "unicode key", "Invalid character in header content"),
    Defect("go", "http", "from us", "binary", "unicode percent quotes text-extensions", "%2"),
    Defect("go", "http", "from us", "binary", "key", "%E2%82%AC"),
    Defect("java", "http", "from us", "binary", "unicode percent quotes text-extensions", "%2"),
    Defect("java", "http", "from us", "binary", "key", "%E2%82%AC"),
    Defect("node", "http", "from us", "binary", "unicode percent quotes text-extensions", "%2"),
    Defect("node", "http", "from us", "binary", "key", "%E2%82%AC"),
    // An event without a time gets one when it is sent (Go's client by default) or made, read ones too.
    Defect("go", "http", "to us", "binary structured protobuf", "no-time", "time is new"),
    Defect("python", "*", "*", "*", "no-time", "time is new"),
    Defect("node", "http", "*", "*", "no-time", "time is new"),
    Defect("node", "kafka", "*", "binary", "no-time", "time is new"),
    Defect("node", "kafka", "to us", "structured", "no-time", "time is new"),
    Defect("node", "kafka", "from us", "structured", "no-time", "Invalid time value"),
    // A time loses what is below a millisecond, but in a binary record that is written.
    Defect("node", "http", "*", "*", "offset", "15:31:00.123Z"),
    Defect("node", "kafka", "to us", "structured", "offset", "15:31:00.123Z"),
    Defect("node", "kafka", "from us", "*", "offset", "15:31:00.123Z"),
    // JSON is read into numbers of 53 bits and written anew.
    Defect("node", "*", "*", "*", "large-number", "12345678901234567000"),
    // JSON that is no object is not written as JSON in the binary mode.
    Defect("node", "http", "to us", "binary", "json-scalar", "Received type number"),
    Defect("node", "*", "to us", "binary", "json-text", "a \\\"text"),
    Defect("python", "*", "to us", "binary", "json-array", "'zwei', None"),
    Defect("python", "*", "to us", "binary", "json-text", "a \\\"text"),
    // A body of digits is kept as text.
    Defect("node", "http", "from us", "binary", "json-scalar", "42"),
    // No data is sent with a content type, the SDK's or the client's default.
    Defect("node", "http", "to us", "binary", "no-data", "datacontenttype is new"),
    Defect("python", "http", "to us", "binary", "no-data", "datacontenttype is new"),
    // Booleans are written as Python writes them.
    Defect("python", "*", "to us", "binary", "flags", "\"False\""),
    // A record without a value, which an event without data is, cannot be read.
    Defect("node", "kafka", "from us", "binary", "no-data", "Value is null"),
    // Data that is a message of Protobuf is taken for, and given as, the `Any` around it.
    Defect("java", "*", "to us", "protobuf", "message", "typeurl is new"),
    Defect("java", "*", "from us", "protobuf", "message", "type.googleapis.com/google.protobuf.StringValue\\u{12}"),
    // The place of a record is added to its event.
    Defect("go", "kafka", "from us", "binary", "*", "is new"),
];

impl Defect {
    fn is(&self, language: Language, over: &str, way: &str, mode: &str, case: &str) -> bool {
        let fits = |pattern: &str, text: &str| pattern == "*" || pattern.split(' ').any(|one| one == text);
        self.0 == language.name
            && fits(self.1, over)
            && (self.2 == "*" || self.2 == way)
            && fits(self.3, mode)
            && fits(self.4, case)
    }
}

/// Every defect must be seen as it is told, and nothing else may be wrong.
///
/// # Panics
/// With everything that is otherwise.
pub(crate) fn judge(language: Language, over: &str, found: Found) {
    let mut surprises = Vec::new();
    for (way, mode, case, outcome) in found {
        let known: Vec<&Defect> =
            DEFECTS.iter().filter(|defect| defect.is(language, over, way, mode, case)).collect();
        match outcome {
            Ok(()) if known.is_empty() => {}
            Ok(()) => {
                surprises.push(format!("{way}, {mode}, {case}: right, though {:?} was known", known[0].5));
            }
            Err(why) if known.iter().any(|defect| why.contains(defect.5)) => {}
            Err(why) => surprises.push(format!("{way}, {mode}, {case}: {why}")),
        }
    }
    let count = surprises.len();
    assert!(surprises.is_empty(), "{} over {over}, {count} cells:\n{}", language.name, surprises.join("\n"));
}
