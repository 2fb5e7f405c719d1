//! An answer that the function says still holds (RFC 9111, sections 4.3.1 and 4.3.4). Pure.

use super::{keep::sets_cookie, page::Kept};
use http::{
    HeaderMap, HeaderName,
    header::{
        CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH,
        LAST_MODIFIED, TRANSFER_ENCODING,
    },
};

/// What is about the body, which stays as it is.
const OF_THE_BODY: [HeaderName; 6] = [
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_RANGE,
    ETAG,
    TRANSFER_ENCODING,
    HeaderName::from_static("content-md5"),
];

/// Has a request ask whether `kept` still holds, in place of what the client wanted to know.
pub(super) fn ask_about(kept: &Kept, request: &mut HeaderMap) {
    for (condition, validator) in [(IF_NONE_MATCH, ETAG), (IF_MODIFIED_SINCE, LAST_MODIFIED)] {
        request.remove(&condition);
        if let Some(value) = kept.headers.get(validator) {
            request.insert(condition, value.clone());
        }
    }
}

/// The headers of an answer that still holds, with what the 304 says anew. Its validator is the one that was asked about,
/// whatever it names. A cookie is of whoever asked now, unless they are kept.
pub(super) fn updated(kept: &HeaderMap, unchanged: &HeaderMap, keeps_cookies: bool) -> HeaderMap {
    let mut headers = kept.clone();
    headers.remove(DATE); // one that says none is of now, not as old as what is kept
    let is_taken = |name: &&HeaderName| !OF_THE_BODY.contains(name) && (keeps_cookies || !sets_cookie(name));
    for name in unchanged.keys().filter(is_taken) {
        headers.remove(name);
        for value in unchanged.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::{kept, map};

    #[test]
    fn what_a_304_says_goes_before_but_not_of_the_body() {
        let kept = map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("set-cookie", "a=b"),
            ("x-old", "1"),
            ("date", "then"),
        ]);
        let unchanged = map(&[
            ("etag", "\"b\""),
            ("content-length", "10"),
            ("set-cookie", "c=d"),
            ("set-cookie", "e=f"),
            ("date", "now"),
        ]);
        let all = map(&[
            ("etag", "\"a\""),
            ("content-length", "5"),
            ("set-cookie", "c=d"),
            ("set-cookie", "e=f"),
            ("x-old", "1"),
            ("date", "now"),
        ]);
        assert_eq!(updated(&kept, &unchanged, true), all);
        assert_eq!(updated(&kept, &unchanged, false)["set-cookie"], "a=b", "not of whoever asked now");
        assert!(!updated(&kept, &map(&[]), true).contains_key("date"), "an old date would make it old");
    }

    #[tokio::test(start_paused = true)]
    async fn the_function_is_asked_about_what_is_kept_not_about_what_the_client_has() {
        let mut kept = kept(1);
        kept.headers = map(&[("etag", "\"ours\"")]);
        let mut request =
            map(&[("if-none-match", "\"theirs\""), ("if-modified-since", "then"), ("accept", "a/b")]);
        ask_about(&kept, &mut request);
        assert_eq!(request, map(&[("if-none-match", "\"ours\""), ("accept", "a/b")]));
    }
}
