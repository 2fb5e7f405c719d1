use super::*;

fn read(kind: &Kind, text: &str) -> Result<Value, Vec<Problem>> {
    kind.read("k", &node_of_flag("--k", text))
}

#[test]
fn bounds_include_their_ends() {
    let kind = Kind::Count { min: 1, max: 10 };
    assert_eq!(read(&kind, "1"), Ok(Value::Count(1)));
    assert_eq!(read(&kind, "10"), Ok(Value::Count(10)));
    assert!(read(&kind, "0").is_err());
    assert!(read(&kind, "11").is_err());
    let span = Kind::Span { min: Duration::from_secs(1), max: Duration::from_secs(2) };
    assert!(read(&span, "999ms").is_err());
    assert!(read(&span, "2s").is_ok());
    assert!(read(&span, "2001ms").is_err());
    let number = Kind::Number { min: 0.0, max: 1.0 };
    assert!(read(&number, "NaN").is_err());
}

#[test]
fn a_url_is_http_or_https_with_a_host() {
    for (text, good) in [
        ("http://127.0.0.1:8081/", true),
        ("http://function.default.svc.cluster.local", true),
        ("http://[::1]:8081/a?b=c", true),
        ("https://example.com/", true),
        ("http://user:secret@example.com/", false),
        ("http:///path", false),
        ("http://127.0.0.1:0/", false),
        ("127.0.0.1:8081", false),
        ("/path", false),
        ("", false),
    ] {
        assert_eq!(read(&Kind::Url, text).is_ok(), good, "{text:?}");
    }
}

#[test]
fn statuses_are_numbers_or_classes() {
    for (text, good) in
        [("404", true), ("5xx", true), ("1xx", true), ("6xx", false), ("600", false), ("4x", false)]
    {
        assert_eq!(is_status(text), good, "{text:?}");
    }
}

#[test]
fn the_word_for_absence_is_told_with_the_rest() {
    const RATE: Kind = Kind::Rate { max: 10.0 };
    let kind = Kind::Or("none", &RATE);
    assert_eq!(read(&kind, "none"), Ok(Value::Absent));
    assert_eq!(read(&kind, "5/s"), Ok(Value::Rate(5.0)));
    let problems = read(&kind, "11/s").unwrap_err();
    assert_eq!(problems[0].expected, format!("{}, at most 10/s, or none", units::A_RATE));
}
