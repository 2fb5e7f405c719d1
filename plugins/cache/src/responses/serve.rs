//! The answer to a request out of what is kept: whole, a part, only its head, or that nothing has changed. Pure.

use super::{ask::Asked, directives::members, keep, page::Kept, told::Told};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{
        AGE, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, IF_MODIFIED_SINCE,
        IF_NONE_MATCH, LAST_MODIFIED,
    },
};
use http_body_util::{BodyExt as _, Full};
use outrigger_core::Body;
use std::convert::Infallible;
use tokio::time::Instant;

/// The answer to a request with these headers.
pub(super) fn serve(
    kept: &Kept,
    asked: &Asked,
    request: &HeaderMap,
    now: Instant,
    told: Told,
) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = kept.status;
    let mut headers = kept.headers.clone();
    headers.insert(AGE, HeaderValue::from(kept.fresh.age(now).as_secs()));
    told.say(&mut headers);
    if asked.conditional && kept.status == StatusCode::OK && is_unchanged(kept, request) {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        for name in [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING] {
            headers.remove(name);
        }
    } else if let Some(range) = asked.range.filter(|_| kept.status == StatusCode::OK && !asked.head) {
        let (status, body, told) = match range.of(&kept.body) {
            Ok((part, told)) => (StatusCode::PARTIAL_CONTENT, part, told),
            Err(told) => (StatusCode::RANGE_NOT_SATISFIABLE, Bytes::new(), told),
        };
        *answer.status_mut() = status;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if let Ok(told) = HeaderValue::try_from(told) {
            headers.insert(CONTENT_RANGE, told);
        }
        *answer.body_mut() = whole(body);
    } else if !asked.head {
        *answer.body_mut() = whole(kept.body.clone());
    }
    *answer.headers_mut() = headers;
    answer
}

/// An answer of our own, where nothing is kept and the function must not be asked.
pub(super) fn lacking(told: Told) -> Response<Body> {
    let mut answer = Response::new(Body::default());
    *answer.status_mut() = StatusCode::GATEWAY_TIMEOUT;
    told.say(answer.headers_mut());
    answer
}

fn whole(body: Bytes) -> Body {
    if body.is_empty() {
        return Body::default();
    }
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// Whether the client has this answer already (RFC 9110, section 13.2.2).
fn is_unchanged(kept: &Kept, request: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let etag = kept.headers.get(ETAG).map(|etag| weak(etag.as_bytes()));
        let mut theirs = request.get_all(IF_NONE_MATCH).iter().flat_map(|line| members(line.as_bytes()));
        return theirs.any(|tag| tag == b"*" || Some(weak(tag)) == etag);
    }
    // What does not say when it was modified was so by its date at the latest (RFC 9111, section 4.3.2).
    let name = if kept.headers.contains_key(LAST_MODIFIED) { LAST_MODIFIED } else { DATE };
    match (request.get(IF_MODIFIED_SINCE), kept.headers.get(&name)) {
        (Some(since), Some(modified)) if since == modified => true,
        (Some(_), Some(_)) => {
            let since = keep::date(request, &IF_MODIFIED_SINCE);
            since.zip(keep::date(&kept.headers, &name)).is_some_and(|(since, modified)| modified <= since)
        }
        _ => false,
    }
}

/// An entity tag, whether weak or not: both are compared alike here (RFC 9110, section 8.8.3.2).
fn weak(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::{asked, kept};
    use http::Request;
    use std::time::Duration;

    fn answer(headers: &[(&str, &str)]) -> Response<Body> {
        let mut kept = kept(60);
        for (name, value) in [("etag", "W/\"a\""), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")] {
            kept.headers.insert(name, HeaderValue::from_static(value));
        }
        let kept = kept.with_body(Bytes::from_static(b"0123456789"));
        let mut request = Request::get("/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.header("host", "x").body(()).unwrap();
        serve(
            &kept,
            &asked(&request),
            request.headers(),
            kept.fresh.came + Duration::from_secs(7),
            Told::hit(53),
        )
    }

    async fn body(answer: Response<Body>) -> Bytes {
        answer.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_has_its_age_and_all_its_bytes() {
        let answer = answer(&[]);
        assert_eq!(
            (answer.status(), &answer.headers()["age"], &answer.headers()["content-length"]),
            (StatusCode::OK, &HeaderValue::from(7), &HeaderValue::from(10))
        );
        assert_eq!(&body(answer).await[..], b"0123456789");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_it_already_hears_that_it_is_unchanged() {
        let (old, new) = ("Wed, 31 Dec 2025 23:59:59 GMT", "Thursday, 01-Jan-26 00:00:01 GMT");
        for (headers, status) in [
            (&[("if-none-match", "\"b\", \"a\"")][..], 304),
            (&[("if-none-match", "*")], 304),
            (&[("if-none-match", "\"b\"")], 200),
            (&[("if-none-match", "\"b\""), ("if-modified-since", new)], 200),
            (&[("if-modified-since", new)], 304),
            (&[("if-modified-since", old)], 200),
            (&[("if-modified-since", "yesterday")], 200),
        ] {
            let answer = answer(headers);
            assert_eq!(answer.status().as_u16(), status, "{headers:?}");
            assert_eq!(answer.headers().contains_key("content-length"), status == 200);
            assert!(answer.headers().contains_key("etag") && answer.headers().contains_key("cache-status"));
            assert_eq!(body(answer).await.is_empty(), status == 304);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_is_served_of_a_whole() {
        let part = answer(&[("range", "bytes=2-4")]);
        assert_eq!(
            (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
            (206, "bytes 2-4/10")
        );
        assert_eq!(part.headers()["content-length"], "3");
        assert_eq!(&body(part).await[..], b"234");
        let beyond = answer(&[("range", "bytes=10-")]);
        assert_eq!(
            (beyond.status().as_u16(), beyond.headers()["content-range"].to_str().unwrap()),
            (416, "bytes */10")
        );
        assert_eq!(beyond.headers()["content-length"], "0");
    }
}
