use proptest::prelude::*;

use super::*;

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#;
const BINARY: [(&str, &str); 4] =
    [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")];

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| (name.parse().unwrap(), value.parse().unwrap());
    pairs.iter().map(pair).collect::<Vec<(http::HeaderName, HeaderValue)>>().into_iter().collect()
}

fn structured(content_type: &str) -> HeaderMap {
    headers(&[("content-type", content_type)])
}

#[test]
fn an_event_is_recognised_in_both_modes() {
    let binary = reply(200, headers(&BINARY), Bytes::from_static(b"data")).unwrap();
    assert_eq!(binary.event.unwrap().data().unwrap(), "data");
    assert!(binary.body.is_empty());
    let json = reply(201, structured("application/CloudEvents+json; charset=utf-8"), EVENT.into()).unwrap();
    assert_eq!(json.event.unwrap().id(), "1");
}

#[test]
fn a_binary_event_may_have_no_data() {
    assert!(reply(200, headers(&BINARY), Bytes::new()).unwrap().event.is_some());
}

#[test]
fn an_ordinary_answer_is_no_event_and_no_failure() {
    for content_type in ["text/plain", "application/json", "application/cloud"] {
        let answer = reply(200, structured(content_type), EVENT.into()).unwrap();
        assert_eq!((answer.event.is_none(), &answer.body[..]), (true, EVENT.as_bytes()));
    }
    let nothing = reply(200, HeaderMap::new(), Bytes::new()).unwrap();
    assert!(nothing.event.is_none() && nothing.body.is_empty());
}

#[test]
fn an_answer_that_only_promises_work_is_never_a_reply() {
    for status in [202, 204] {
        let answer = reply(status, headers(&BINARY), Bytes::new()).unwrap();
        assert!(answer.event.is_none(), "{status}");
    }
}

#[test]
fn a_reply_that_claims_to_be_an_event_and_is_none_fails_with_its_reason() {
    for (headers, body, why) in [
        (headers(&BINARY[..3]), "", "type"),
        (structured("application/cloudevents+json"), "{}", "specversion"),
        (structured("application/cloudevents-batch+json"), "[]", "a batch"),
        (structured("application/cloudevents+xml"), "<event/>", "cloudevents+xml"),
    ] {
        let error = reply(200, headers, body.into()).unwrap_err();
        assert_eq!(error.kind(), Kind::BadAnswer);
        assert!(error.message().starts_with("status 200, ") && error.message().contains(why), "{error}");
    }
}

#[test]
fn row_13_retry_after_is_seconds_or_a_date() {
    let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    let in_a_minute = "Sun, 06 Nov 1994 08:50:37 GMT";
    for (value, seconds) in [
        ("0", Some(0)),
        ("120", Some(120)),
        (" 7 ", Some(7)),
        (in_a_minute, Some(60)),
        ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("99999999999999999999", Some(u32::MAX.into())),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("", None),
    ] {
        let waits = retry_after(&headers(&[("retry-after", value)]), now);
        assert_eq!(waits, seconds.map(Duration::from_secs), "{value:?}");
    }
    assert_eq!(retry_after(&HeaderMap::new(), now), None);
}

#[test]
fn row_24_a_date_counts_by_the_functions_own_clock() {
    let ours_is_an_hour_late = httpdate::parse_http_date("Sun, 06 Nov 1994 07:49:37 GMT").unwrap();
    let answer = headers(&[
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT"),
    ]);
    assert_eq!(retry_after(&answer, ours_is_an_hour_late), Some(Duration::from_secs(10)));
}

#[test]
fn a_detail_is_one_line_without_control_characters() {
    assert_eq!(detail(b"{\r\n  \"error\":\t\"no\x1b[31m room\"\n}\n"), "{ \"error\": \"no [31m room\" }");
    assert_eq!(detail(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    assert_eq!(detail(b" \n "), "");
}

#[test]
fn a_redirect_is_told_with_its_target_and_without_the_query() {
    let told = redirect(&headers(&[("location", "http://other/place?sig=geheim")]));
    assert!(told.contains("leads to http://other/place;"), "{told}");
    assert!(redirect(&HeaderMap::new()).contains("leads to nowhere;"));
}

proptest! {
    #[test]
    fn no_answer_panics(
        status in 200_u16..300,
        names in proptest::collection::vec("(ce-[a-z]{0,8}|ce-specversion|content-type|date)", 0..6),
        value in "[ -~]{0,40}",
        body in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        let _ = retry_after(&headers, SystemTime::UNIX_EPOCH);
        prop_assert!(!detail(&body).contains(char::is_control));
        if let Ok(reply) = reply(status, headers, body.into()) {
            prop_assert!(reply.event.is_none() || reply.body.is_empty());
        }
    }
}
