use super::*;

fn status(chooser: &mut Chooser, n: u64, id: &str, attempt: u32) -> u16 {
    let headers = HeaderMap::from_iter([("ce-type".parse().unwrap(), "t".parse().unwrap())]);
    let asked = Asked { n, attempt, id: Some(id), key: None, path: "/", method: "POST", headers: &headers };
    chooser.choose(&asked).status.unwrap_or(200)
}

#[test]
fn the_first_rule_that_fits_is_followed_and_the_default_where_none_does() {
    let json = r#"{"rules": [{"match": {"id": "a"}, "do": {"status": 400}},
                             {"match": {"header": {"ce-type": "t"}, "nth": 3}, "do": {"status": 500}}],
                   "default": {"status": 204}}"#;
    let mut chooser = Chooser::new(Program::parse(json).unwrap());
    assert_eq!([1, 2, 3].map(|n| status(&mut chooser, n, "b", 1)), [204, 204, 500]);
    assert_eq!(status(&mut chooser, 3, "a", 1), 400);
}

#[test]
fn a_rule_may_serve_the_first_attempts_of_each_event_only() {
    let fails_twice = Rule::new(Match::any(), Action::status(503)).until(2);
    let mut chooser = Chooser::new(Program::default().rule(fails_twice));
    assert_eq!([1, 2, 3].map(|attempt| status(&mut chooser, 9, "a", attempt)), [503, 503, 200]);
    assert_eq!(status(&mut chooser, 10, "b", 1), 503);
}

#[test]
fn a_rule_may_serve_a_number_of_requests_only() {
    let mut chooser = Chooser::new(Program::parse(r#"[{"times": 2, "do": {"status": 500}}]"#).unwrap());
    assert_eq!([1, 2, 3].map(|n| status(&mut chooser, n, "a", 1)), [500, 500, 200]);
}

#[test]
fn a_percentage_is_met_about_and_is_the_same_in_each_run() {
    let run = || {
        let mut chooser =
            Chooser::new(Program::parse(r#"[{"match": {"percent": 10}, "do": {"status": 500}}]"#).unwrap());
        (0..2_000).filter(|n| status(&mut chooser, *n, &format!("event-{n}"), 1) == 500).collect::<Vec<_>>()
    };
    assert!((150..250).contains(&run().len()), "{}", run().len());
    assert_eq!(run(), run());
}

#[test]
fn a_misspelt_key_is_an_error_that_names_it() {
    let error = Program::parse(r#"[{"do": {"stauts": 500}}]"#).unwrap_err();
    assert!(error.contains("stauts") && error.contains("status"), "{error}");
    assert!(Program::parse(r#"[{"do": {"fault": "reset"}}]"#).is_err());
    assert!(Program::parse(r#"[{"match": {}}]"#).is_err());
}
