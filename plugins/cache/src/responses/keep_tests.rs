use super::*;
use crate::responses::tests::{asked, map, settings};

fn judged(
    status: u16,
    request: &[(&'static str, &'static str)],
    answer: &[(&'static str, &'static str)],
) -> Verdict {
    let mut asks = Request::get("/").header("host", "x").body(()).unwrap();
    asks.headers_mut().extend(map(request).into_iter().map(|(name, value)| (name.unwrap(), value)));
    let (now, headers) = (Instant::now(), map(answer));
    let status = StatusCode::from_u16(status).unwrap();
    let came = Came { status, headers: &headers, asked: now, at: now, date: SystemTime::now() };
    judge(&settings(), &asked(&asks), asks.headers(), came)
}

fn lifetime(answer: &[(&'static str, &'static str)]) -> u64 {
    let answer: Vec<_> = answer.iter().copied().chain([("etag", "\"a\"")]).collect(); // kept also when stale
    judged(200, &[], &answer).unwrap().fresh.lifetime.as_secs()
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");
const PUBLIC: (&str, &str) = ("cache-control", "max-age=60, public");

#[test]
fn what_failed_is_never_kept_however_fresh_it_says_it_is() {
    for status in [500, 501, 502, 503, 504, 599] {
        assert_eq!(judged(status, &[], &[PUBLIC]).unwrap_err(), "failed", "{status}");
    }
}

#[test]
fn what_somebody_with_credentials_got_is_kept_only_where_it_is_public() {
    for request in [("authorization", "Bearer x"), ("cookie", "a=b")] {
        for answer in ["max-age=60", "max-age=60, must-revalidate", "s-maxage=60"] {
            assert_eq!(judged(200, &[request], &[("cache-control", answer)]).unwrap_err(), "credentials");
        }
        assert!(judged(200, &[request], &[PUBLIC]).unwrap().public);
    }
}

#[test]
fn what_the_function_forbids_is_not_kept() {
    for answer in ["no-store, max-age=60", "private, max-age=60", "max-age=60, PRIVATE=\"x\"", "No-Store"] {
        assert_eq!(judged(200, &[], &[("cache-control", answer)]).unwrap_err(), "directive", "{answer}");
    }
    for vary in ["*", "*, *", ", *", "accept, *", "*, accept"] {
        assert_eq!(judged(200, &[], &[FRESH, ("vary", vary)]).unwrap_err(), "vary", "{vary}");
    }
}

#[test]
fn each_source_of_freshness_has_its_rank() {
    let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
    let expires = ("expires", "Thu, 01 Jan 2026 01:00:00 GMT");
    assert_eq!(lifetime(&[("cache-control", "max-age=60, s-maxage=9"), expires, date]), 9);
    assert_eq!(lifetime(&[FRESH, expires, date]), 60);
    assert_eq!(lifetime(&[expires, date]), 3_600);
    assert_eq!(lifetime(&[("expires", "Thursday, 01-Jan-26 01:00:00 GMT"), date]), 3_600);
    for past in ["0", "soon", "Wed, 31 Dec 2025 23:00:00 GMT"] {
        assert_eq!(lifetime(&[("expires", past), date]), 0, "{past}");
    }
    let surrogate = ("surrogate-control", "max-age=7");
    assert_eq!(lifetime(&[surrogate, ("cache-control", "no-store"), expires]), 7);
    assert_eq!(lifetime(&[("surrogate-control", "max-age=8;other, max-age=7;outrigger"), FRESH]), 7);
    assert_eq!(lifetime(&[("surrogate-control", "max-age=7;other"), FRESH]), 60);
}

#[test]
fn an_answer_that_only_says_when_it_was_changed_is_fresh_for_a_tenth_of_that() {
    let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(lifetime(&[date, ("last-modified", "Wed, 31 Dec 2025 23:50:00 GMT")]), 60);
    assert_eq!(lifetime(&[date, ("last-modified", "Wed, 31 Dec 2014 23:50:00 GMT")]), 3_600, "the bound");
    assert_eq!(judged(200, &[], &[date]).unwrap_err(), "stale");
    let old = ("last-modified", "Wed, 31 Dec 2014 23:50:00 GMT");
    for status in [201, 202, 302, 403] {
        assert_eq!(judged(status, &[], &[date, old]).unwrap_err(), "status", "{status}");
    }
    assert_eq!(judged(200, &[], &[date, old, ("set-cookie", "a=b")]).unwrap_err(), "cookie");
}

#[test]
fn a_cookie_is_kept_only_with_what_is_public() {
    let with_cookie =
        |control| judged(200, &[], &[("cache-control", control), ("set-cookie", "sid=1"), ("a", "1")]);
    assert_eq!(with_cookie("max-age=60").unwrap_err(), "cookie");
    let shared = with_cookie("s-maxage=60").unwrap();
    assert!(!shared.headers.contains_key("set-cookie") && shared.headers.contains_key("a"));
    for public in ["public, max-age=60", "public, s-maxage=60"] {
        assert_eq!(with_cookie(public).unwrap().headers["set-cookie"], "sid=1", "{public}");
    }
    let date = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");
    let expires = ("expires", "Thu, 01 Jan 2026 01:00:00 GMT");
    assert_eq!(
        judged(200, &[], &[date, expires, ("etag", "\"a\""), ("set-cookie2", "sid=1")]).unwrap_err(),
        "cookie"
    );
    let ours = judged(200, &[], &[("surrogate-control", "max-age=60"), ("set-cookie", "sid=1")]).unwrap();
    assert!(!ours.headers.contains_key("set-cookie"));
}

#[test]
fn what_is_about_how_one_client_asked_is_not_kept_for_others() {
    for status in [206, 304, 408, 412, 416, 417, 421, 425, 428, 429, 431] {
        assert_eq!(judged(status, &[], &[PUBLIC]).unwrap_err(), "status", "{status}");
    }
    let part = [("range", "bytes=99-")];
    for status in [400, 404, 403, 302] {
        assert_eq!(judged(status, &part, &[PUBLIC]).unwrap_err(), "range", "{status}");
    }
    assert_eq!(judged(200, &part, &[PUBLIC, ("content-range", "bytes */5")]).unwrap_err(), "range");
    assert!(judged(200, &part, &[PUBLIC]).is_ok());
}

#[test]
fn what_is_written_wrongly_but_forbids_is_heeded() {
    let (etag, date) = (("etag", "\"a\""), ("last-modified", "Wed, 31 Dec 2025 23:50:00 GMT"));
    for answer in [
        "private; max-age=60",
        "private;",
        "no-store;",
        "no-cache;no-store",
        "private:1",
        "max-age=60; private",
    ] {
        assert_eq!(
            judged(200, &[], &[("cache-control", answer), etag, date]).unwrap_err(),
            "directive",
            "{answer}"
        );
    }
}

#[test]
fn an_age_that_nobody_can_read_is_too_old() {
    let age = |lines: &[&'static str]| {
        let mut answer = vec![FRESH, ("etag", "\"a\"")];
        answer.extend(lines.iter().map(|line| ("age", *line)));
        judged(200, &[], &answer).unwrap().fresh.age.as_secs()
    };
    assert_eq!((age(&[]), age(&["7"]), age(&["7,0"]), age(&["0,7"])), (0, 7, 7, 0));
    for odd in [&["abc"][..], &["-1"], &["7.0"], &["7;a=b"], &["0, 0"], &["0", "7"], &["7, 7"], &[""]] {
        assert!(age(odd) > 1 << 31, "{odd:?}");
    }
}

#[test]
fn an_answer_is_as_old_as_its_date_says_and_as_long_as_it_took() {
    let (asked_at, headers) = (Instant::now(), map(&[FRESH, ("age", "3")]));
    let request = Request::get("/").header("host", "x").body(()).unwrap();
    let at = asked_at + Duration::from_secs(2);
    let mut came =
        Came { status: StatusCode::OK, headers: &headers, asked: asked_at, at, date: SystemTime::now() };
    let age =
        |came| judge(&settings(), &asked(&request), request.headers(), came).unwrap().fresh.age.as_secs();
    assert_eq!(age(came), 5);
    let headers = map(&[FRESH, ("date", "Thu, 01 Jan 2026 00:00:00 GMT")]);
    let date = httpdate::parse_http_date("Thu, 01 Jan 2026 00:00:30 GMT").unwrap();
    came = Came { headers: &headers, date, ..came };
    assert_eq!(age(came), 30);
}

#[test]
fn what_cannot_be_used_again_is_not_kept() {
    assert_eq!(judged(200, &[], &[("cache-control", "max-age=0")]).unwrap_err(), "stale");
    assert_eq!(judged(200, &[], &[FRESH, ("age", "60")]).unwrap_err(), "stale");
    for used in [("etag", "\"a\""), ("last-modified", "Wed, 31 Dec 2025 23:50:00 GMT")] {
        assert!(judged(200, &[], &[("cache-control", "no-cache"), used]).unwrap().fresh.validate);
    }
    let stale = ("cache-control", "max-age=0, stale-while-revalidate=9");
    assert_eq!(judged(200, &[], &[stale]).unwrap().fresh.while_revalidate.as_secs(), 9);
}

#[test]
fn what_must_be_asked_about_when_stale_is_never_served_stale() {
    for strict in ["max-age=1, must-revalidate", "max-age=1, proxy-revalidate", "s-maxage=1"] {
        assert!(judged(200, &[], &[("cache-control", strict)]).unwrap().fresh.strict, "{strict}");
    }
    assert_eq!(lifetime(&[("cache-control", "max-age=60, proxy-revalidate")]), 60);
}

#[test]
fn what_is_kept_has_a_date_and_neither_an_age_nor_what_is_of_the_hop() {
    let kept =
        judged(200, &[], &[FRESH, ("age", "1"), ("proxy-authentication-info", "x"), ("a", "1"), ("a", "2")])
            .unwrap();
    assert!(kept.headers.contains_key("date"));
    assert_eq!(kept.headers.get_all("a").iter().count(), 2);
    for gone in ["age", "proxy-authentication-info"] {
        assert!(!kept.headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn an_answer_has_the_tags_that_it_bears() {
    let kept = judged(200, &[], &[FRESH, ("cache-tag", "a, b c"), ("cache-tag", "d")]).unwrap();
    let tags: Vec<_> = kept.tags.iter().map(|tag| &**tag).collect();
    assert_eq!(tags, ["a", "b", "c", "d"]);
    let mut headers = map(&[FRESH]);
    headers.insert("cache-tag", HeaderValue::from_bytes(b"a,\xe9,b").unwrap());
    let request = Request::get("/").header("host", "x").body(()).unwrap();
    let now = Instant::now();
    let came =
        Came { status: StatusCode::OK, headers: &headers, asked: now, at: now, date: SystemTime::now() };
    let kept = judge(&settings(), &asked(&request), request.headers(), came).unwrap();
    assert_eq!((&*kept.tags[0], &*kept.tags[2]), ("a", "b"), "one that is no text spoils no other");
}
