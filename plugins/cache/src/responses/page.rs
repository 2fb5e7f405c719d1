//! What is kept of one URL: one answer, or several that differ by `Vary`. Pure.

use super::{
    directives::{Directives, Word, members, span},
    keep,
    settings::Settings,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, DATE, ETAG, LAST_MODIFIED},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// What a shared value takes beside itself: its two counts.
const SHARED_BYTES: usize = 2 * size_of::<usize>();
/// What a header takes beside its name and value: its place in the map, and in the map's index.
const HEADER_BYTES: usize = 112;

/// An answer of the function.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) status: StatusCode,
    /// As they are sent, but for `Age` and `Cache-Status`.
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) fresh: Freshness,
    /// Also for those who say who they are.
    pub(super) public: bool,
    /// What a request must have in these headers to be served by it.
    pub(super) vary: Vec<(HeaderName, Option<Vec<u8>>)>,
    pub(super) tags: Vec<Box<str>>,
}

/// How long an answer may be used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Freshness {
    /// When it came.
    pub(super) came: Instant,
    /// How old it was then.
    pub(super) age: Duration,
    pub(super) lifetime: Duration,
    /// Never without asking the function (`no-cache`).
    pub(super) validate: bool,
    /// Never stale, whatever anybody says (`must-revalidate` and what implies it).
    pub(super) strict: bool,
    /// How stale it may be while it is fetched anew.
    pub(super) while_revalidate: Duration,
    /// How stale it may be where that fails.
    pub(super) if_error: Duration,
}

impl Freshness {
    pub(super) fn age(&self, now: Instant) -> Duration {
        self.age + now.saturating_duration_since(self.came)
    }

    /// How long it is fresh still.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.lifetime.saturating_sub(self.age(now))
    }

    /// How long it is stale already.
    pub(super) fn stale_for(&self, now: Instant) -> Duration {
        self.age(now).saturating_sub(self.lifetime)
    }

    /// Whole seconds for which it is fresh, or by less than 0 stale.
    pub(super) fn ttl(&self, now: Instant) -> i64 {
        let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        seconds(self.left(now)) - seconds(self.stale_for(now))
    }

    /// What it may serve of a request that says this of itself.
    pub(super) fn serves(&self, said: &Directives, now: Instant) -> Serves {
        let age = self.age(now);
        let too_old = said.max_age.is_some_and(|most| age > Duration::from_secs(most));
        let too_stale = said.min_fresh.is_some() && self.left(now) < span(said.min_fresh);
        if said.says(Word::NoCache) || too_old || too_stale {
            return Serves::Asked;
        }
        if self.validate {
            return Serves::Not;
        }
        if age < self.lifetime {
            return Serves::Fresh;
        }
        if self.strict {
            return Serves::Not;
        }
        let stale_for = self.stale_for(now);
        if said.max_stale.is_some_and(|most| stale_for <= Duration::from_secs(most)) {
            return Serves::Fresh;
        }
        if stale_for < self.while_revalidate { Serves::Meanwhile } else { Serves::Not }
    }

    /// Whether it may serve where the function could not be asked.
    pub(super) fn serves_on_error(&self, now: Instant) -> bool {
        !self.validate && !self.strict && self.stale_for(now) < self.if_error
    }

    /// Whether each request has to ask the function again, so that none gains by waiting for another.
    pub(super) fn is_never_fresh(&self) -> bool {
        self.validate || self.lifetime <= self.age
    }
}

/// How an answer may serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serves {
    /// As it is.
    Fresh,
    /// As it is, while it is fetched anew.
    Meanwhile,
    /// Once the function has said that it still holds.
    Not,
    /// The same, because the client wants it so.
    Asked,
}

impl Kept {
    /// The same with its body.
    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        if ![StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT].contains(&self.status) {
            self.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        }
        self.body = body;
        self
    }

    /// Whether the function can be asked if it still holds.
    pub(super) fn has_validator(&self) -> bool {
        self.headers.contains_key(ETAG) || self.headers.contains_key(LAST_MODIFIED)
    }

    fn is_for(&self, request: &HeaderMap) -> bool {
        self.vary.iter().all(|(name, value)| selecting(request, name) == *value)
    }

    fn weight(&self) -> usize {
        let headers =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES);
        let vary = self
            .vary
            .iter()
            .map(|(name, value)| name.as_str().len() + value.as_ref().map_or(0, Vec::len) + HEADER_BYTES);
        let tags = self.tags.iter().map(|tag| tag.len() + size_of::<Box<str>>());
        size_of::<Self>() + self.body.len() + headers.chain(vary).chain(tags).sum::<usize>()
    }
}

/// A request's value in a header that `Vary` names: its members, however they are written.
pub(super) fn selecting(request: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = request.get_all(name).iter().peekable();
    lines.peek()?;
    let mut value = Vec::new();
    for member in lines.flat_map(|line| members(line.as_bytes())) {
        if !value.is_empty() {
            value.push(b',');
        }
        value.extend_from_slice(member);
    }
    Some(value)
}

/// The answers of one URL, the newest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Page(Vec<Arc<Kept>>);

impl Page {
    /// The one that is for such a request.
    pub(super) fn of(&self, request: &HeaderMap) -> Option<&Arc<Kept>> {
        self.0.iter().find(|kept| kept.is_for(request))
    }

    /// The same page with an answer that came, in place of one for the same requests. The oldest go where there are too many,
    /// or where they are half of what may be kept of everything.
    pub(super) fn with(&self, kept: Arc<Kept>, settings: &Settings) -> Self {
        let others = self.0.iter().filter(|other| other.vary != kept.vary).cloned();
        let others: Vec<_> = others.collect();
        let mut page = Self(std::iter::once(kept).chain(others).take(settings.variants_max).collect());
        while page.0.len() > 1 && page.weight() > settings.bytes_max / 2 {
            page.0.pop();
        }
        page
    }

    /// Whether it has one for the same requests that came after the function was asked for `kept`, and that the function
    /// made later.
    pub(super) fn has_newer(&self, kept: &Kept, asked: Instant) -> bool {
        let other = self.0.iter().find(|other| other.vary == kept.vary && other.fresh.came >= asked);
        let date = |kept: &Kept| keep::date(&kept.headers, &DATE);
        other.is_some_and(|other| date(other) > date(kept))
    }

    /// Which of its answers serves a request, so that those for another do not wait for it.
    pub(super) fn variant(&self, request: &HeaderMap) -> String {
        let mut variant = String::new();
        for (name, _) in self.0.first().iter().flat_map(|newest| &newest.vary) {
            variant.push('\n');
            if let Some(value) = selecting(request, name) {
                variant.push('=');
                variant.push_str(&String::from_utf8_lossy(&value));
            }
        }
        variant
    }

    /// The tags of all of its answers.
    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|kept| kept.tags.iter().map(|tag| &**tag))
    }

    /// What it takes on the heap.
    pub(super) fn weight(&self) -> u64 {
        let answers = self.0.iter().map(|kept| size_of::<Arc<Kept>>() + SHARED_BYTES + kept.weight());
        (SHARED_BYTES + size_of::<Self>() + answers.sum::<usize>()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::responses::tests::{kept, settings};
    use http::header::ACCEPT_LANGUAGE;

    fn fresh(lifetime: u64) -> Freshness {
        kept(lifetime).fresh
    }

    fn said(text: &'static str) -> Directives {
        Directives::read(&[HeaderValue::from_static(text)])
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_serves_until_its_lifetime_ends_and_its_age_counts() {
        let old = Freshness { age: Duration::from_secs(6), ..fresh(10) };
        let none = Directives::default();
        assert_eq!(old.serves(&none, old.came + Duration::from_millis(3_999)), Serves::Fresh);
        assert_eq!(old.serves(&none, old.came + Duration::from_secs(4)), Serves::Not);
        assert_eq!((old.ttl(old.came), old.ttl(old.came + Duration::from_secs(9))), (4, -5));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_client_says_of_freshness_counts() {
        let fresh = Freshness { age: Duration::from_secs(5), ..fresh(10) };
        let (now, late) = (fresh.came, fresh.came + Duration::from_secs(8));
        for (text, at, serves) in [
            ("no-cache", now, Serves::Asked),
            ("max-age=4", now, Serves::Asked),
            ("max-age=5", now, Serves::Fresh),
            ("min-fresh=6", now, Serves::Asked),
            ("min-fresh=5", now, Serves::Fresh),
            ("max-stale", late, Serves::Fresh),
            ("max-stale=3", late, Serves::Fresh),
            ("max-stale=2", late, Serves::Not),
        ] {
            assert_eq!(fresh.serves(&said(text), at), serves, "{text}");
        }
        let strict = Freshness { strict: true, ..fresh };
        assert_eq!(strict.serves(&said("max-stale"), late), Serves::Not);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stale_answer_serves_only_as_long_and_as_the_function_allows() {
        let seconds = Duration::from_secs;
        let stale = Freshness { while_revalidate: seconds(5), if_error: seconds(9), ..fresh(10) };
        let (none, at) = (Directives::default(), |after| stale.came + seconds(after));
        assert_eq!(stale.serves(&none, at(14)), Serves::Meanwhile);
        assert_eq!(stale.serves(&none, at(15)), Serves::Not);
        assert!(stale.serves_on_error(at(18)) && !stale.serves_on_error(at(19)));
        for never in [Freshness { validate: true, ..stale }, Freshness { strict: true, ..stale }] {
            assert_eq!(never.serves(&none, at(14)), Serves::Not);
            assert!(!never.serves_on_error(at(14)));
        }
    }

    fn request(languages: &[&'static str]) -> HeaderMap {
        languages.iter().map(|language| (ACCEPT_LANGUAGE, HeaderValue::from_static(language))).collect()
    }

    fn of_language(language: &'static str) -> Arc<Kept> {
        let value = selecting(&request(&[language]), &ACCEPT_LANGUAGE);
        Arc::new(Kept { vary: vec![(ACCEPT_LANGUAGE, value)], ..kept(10) })
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_served_by_the_answer_to_one_like_it_however_it_is_written() {
        let page =
            Page::default().with(of_language("de, en"), &settings()).with(of_language("fr"), &settings());
        for languages in [&["de, en"][..], &["de,en"], &[" de ,  en "], &["de", "en"]] {
            let found = page.of(&request(languages)).unwrap();
            assert_eq!(found.vary[0].1.as_deref(), Some(&b"de,en"[..]), "{languages:?}");
        }
        for languages in [&["en, de"][..], &[], &[""]] {
            assert!(page.of(&request(languages)).is_none(), "{languages:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_of_too_many_answers_goes() {
        let settings = Settings { variants_max: 2, ..settings() };
        let page = ["de", "fr", "de", "it"]
            .iter()
            .fold(Page::default(), |page, language| page.with(of_language(language), &settings));
        assert!(page.of(&request(&["fr"])).is_none());
        assert!(page.of(&request(&["de"])).is_some() && page.of(&request(&["it"])).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn answers_of_one_url_leave_room_for_others_and_the_newest_stays() {
        let settings = Settings { bytes_max: 10_000, ..settings() };
        let large = |language| {
            let kept = Kept::clone(&of_language(language));
            Arc::new(kept.with_body(Bytes::from_static(&[0; 1_500])))
        };
        let page = ["a", "b", "c", "d"]
            .into_iter()
            .fold(Page::default(), |page, language| page.with(large(language), &settings));
        assert!(page.weight() <= 5_000, "{}", page.weight());
        assert!(page.of(&request(&["d"])).is_some() && page.of(&request(&["a"])).is_none());
        let alone = Kept::clone(&of_language("e")).with_body(Bytes::from_static(&[0; 8_000]));
        let page = page.with(Arc::new(alone), &settings);
        assert!(page.of(&request(&["e"])).is_some() && page.0.len() == 1);
    }

    #[tokio::test(start_paused = true)]
    async fn headers_and_body_are_weighed() {
        let page = |body: &'static [u8]| {
            Page::default().with(Arc::new(kept(1).with_body(Bytes::from_static(body))), &settings())
        };
        let (empty, some) = (page(b""), page(&[0; 1_000]));
        assert_eq!(some.weight() - empty.weight(), 1_003, "a body, and three digits of its length more");
        let headers = kept(1).headers;
        let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        assert!(empty.weight() > (bytes + size_of::<Kept>()) as u64);
    }
}
