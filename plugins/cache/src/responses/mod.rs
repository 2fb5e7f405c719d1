//! The function's answers to GET and HEAD that pass through, kept after RFC 9111.
//!
//! A map, in reading order:
//!
//! | file | what |
//! |---|---|
//! | [`settings`] | what is kept for how long, and whose it is |
//! | `directives` | `Cache-Control`, read strictly |
//! | `ask` | what a request asks: its key, and how fresh an answer must be |
//! | `keep` | what of an answer is kept |
//! | `page` | what is kept of one URL, and whether it may serve |
//! | `range`, `serve`, `told` | the answer out of what is kept, and its `Cache-Status` |
//! | `update` | an answer that the function says still holds |
//! | `underway`, `flights` | what was forgotten meanwhile; equal requests at once |
//! | `ways` | by which ways requests for a URL came, so that all of it is forgotten |
//! | `filling` | a body that is kept while it passes |
//! | [`Stats`] | what became of requests |
//! | `front`, `watch` | where all of that is done: before the turns, and where methods are seen that change something |
//!
//! Not here: partial answers, answers to other methods, and anything on disk.

pub mod settings;

mod ask;
mod counts;
mod directives;
mod filling;
mod flights;
mod front;
mod keep;
mod page;
mod range;
mod serve;
#[cfg(test)]
mod tests;
mod told;
mod underway;
mod update;
mod watch;
mod ways;

pub use counts::Stats;
pub use settings::{Settings, Tenant};

use crate::{Invalidate, store::Store};
use ask::{Ask, Asked};
use counts::Counts;
use flights::{Flights, Lead, Outcome};
use front::Front;
use http::{HeaderMap, Request, Response};
use outrigger_core::{Body, Exchange};
use page::{Kept, Page, Serves};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use told::Told;
use underway::{Fetching, Underway};
use watch::Watch;
use ways::Ways;

/// Answers that are kept. One for a process; it needs a runtime only where it fetches.
pub struct Responses {
    settings: Settings,
    pages: Store<Arc<Page>>,
    /// Until when requests do not wait for one another, as the last answer was for nobody else.
    passed: Store<Instant>,
    flights: Arc<Flights>,
    underway: Arc<Underway>,
    counts: Counts,
    /// Held by whoever changes a page, so that none is lost and none is kept that was forgotten meanwhile.
    changing: Mutex<Ways>,
}

/// Of the bytes that it may take, the part for remembering whose answers are for nobody else: one in so many.
const PASSED_PART: u64 = 32;

/// What there is for a request.
enum Found {
    /// It is served by this.
    Fresh(Arc<Kept>),
    /// The same, while it is fetched anew.
    Meanwhile(Arc<Kept>),
    /// This would serve if the function says that it still holds; the reason for asking.
    Stale(Arc<Kept>, &'static str),
    /// Nothing; the reason for asking.
    Nothing(&'static str),
}

/// A name that no flight has: those begin with a host.
fn resting(flight: &str) -> String {
    format!("\n{flight}")
}

/// What a page has for a request.
fn found(page: Option<Arc<Page>>, asked: &Asked, request: &HeaderMap, now: Instant) -> Found {
    let Some(page) = page else { return Found::Nothing("uri-miss") };
    let Some(kept) = page.of(request) else { return Found::Nothing("vary-miss") };
    if asked.credentials && !kept.public {
        return Found::Nothing("bypass");
    }
    match kept.fresh.serves(&asked.said, now) {
        Serves::Fresh => Found::Fresh(kept.clone()),
        Serves::Meanwhile => Found::Meanwhile(kept.clone()),
        Serves::Not => Found::Stale(kept.clone(), "stale"),
        Serves::Asked => Found::Stale(kept.clone(), "request"),
    }
}

impl Responses {
    /// An empty one.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            pages: Store::new(settings.bytes_max - settings.bytes_max / PASSED_PART),
            passed: Store::new(settings.bytes_max / PASSED_PART),
            flights: Arc::default(),
            underway: Arc::default(),
            counts: Counts::default(),
            changing: Mutex::default(),
            settings,
        }
    }

    /// Stands before the turns of requests that pass through: what is kept needs none.
    #[must_use]
    pub fn before(self: Arc<Self>, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        Arc::new(Front::new(self, inner))
    }

    /// Sees which requests change something, so that what they change is forgotten.
    #[must_use]
    pub fn watch(self: Arc<Self>, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        Arc::new(Watch::new(self, inner))
    }

    /// The answer to a request without a body that is kept and fresh, ready to be sent. Asks nobody.
    pub fn hit<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        match ask::ask(&self.settings, request) {
            Ask::Look(asked) => self.served(&asked, request.headers(), Instant::now()).ok(),
            Ask::Past(_) | Ask::Lacks => None,
        }
    }

    /// The answer, where it is kept and fresh; else what there is. It is the one look of a request that counts as a use.
    fn served(&self, asked: &Asked, request: &HeaderMap, now: Instant) -> Result<Response<Body>, Found> {
        match found(self.pages.get(&asked.key), asked, request, now) {
            Found::Fresh(kept) => {
                self.counts.one(counts::Outcome::Hit);
                Ok(serve::serve(&kept, asked, request, now, Told::hit(kept.fresh.ttl(now))))
            }
            other => Err(other),
        }
    }

    /// What there is by now, for a request that has looked before.
    fn found_again(&self, asked: &Asked, request: &HeaderMap, now: Instant) -> Found {
        found(self.page(&asked.key), asked, request, now)
    }

    /// Forgets what is asked for. Gives back how many URLs that were, of each host and tenant. What is on its way meanwhile
    /// is not kept where it is meant.
    pub fn invalidate(&self, what: &Invalidate) -> u64 {
        let _changing = self.changing();
        self.underway.forgets_all_of(what);
        self.pages.retain(|key, page| !what.means(ask::path(key), page.tags()))
    }

    /// What became of requests, and what is kept now.
    pub fn stats(&self) -> Stats {
        self.counts.stats(self.len() as u64, self.bytes())
    }

    /// The bytes of all that is kept.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pages.bytes() + self.passed.bytes()
    }

    /// How many URLs it has answers of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pages.len()
    }

    /// Whether nothing is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn page(&self, key: &str) -> Option<Arc<Page>> {
        self.pages.peek(key)
    }

    /// What equal requests wait for.
    fn flight(&self, asked: &Asked, request: &HeaderMap) -> String {
        let variant = self.page(&asked.key).map(|page| page.variant(request)).unwrap_or_default();
        format!("{}{variant}", asked.key)
    }

    /// Nobody waits for what this one went for, for a while.
    fn pass(&self, lead: Option<Lead>) {
        let Some(lead) = lead else { return };
        let until = Instant::now() + self.settings.pass_for;
        self.passed.insert(lead.key().to_owned(), until, 0);
        lead.end(Outcome::Alone);
    }

    /// What failed to be fetched anew beside the path is not tried again for a while.
    fn rest(&self, flight: &str) {
        self.passed.insert(resting(flight), Instant::now() + self.settings.pass_for, 0);
    }

    fn is_resting(&self, flight: &str, now: Instant) -> bool {
        self.is_passed(&resting(flight), now)
    }

    fn is_passed(&self, flight: &str, now: Instant) -> bool {
        self.passed.peek(flight).is_some_and(|until| now < until)
    }

    /// Whether a body of so many bytes is kept.
    fn takes(&self, bytes: u64) -> bool {
        bytes <= self.settings.object_bytes_max as u64
    }

    /// Keeps an answer, or a newer one that came meanwhile (RFC 9111, section 4). Whether it does: not where its URL was
    /// forgotten since the function was asked.
    fn commit(&self, fetching: &Fetching, kept: Kept) -> bool {
        let mut ways = self.changing();
        if !fetching.is_current(&kept.tags) {
            return false;
        }
        let key = fetching.key();
        let page = self.page(key).unwrap_or_default();
        if page.has_newer(&kept, fetching.began()) {
            return true;
        }
        let page = page.with(Arc::new(kept), &self.settings);
        let weight = page.weight() + Ways::weight(key);
        self.pages.insert(key.to_owned(), Arc::new(page), weight);
        ways.note(key);
        ways.tidy(self.pages.len(), |key| self.pages.peek(key).is_some());
        true
    }

    /// Forgets what is kept of a key.
    fn forget(&self, key: &str) {
        let _changing = self.changing();
        self.underway.forgets(key);
        self.pages.remove(key);
    }

    /// Forgets the URL of a key, of its tenant, whichever way requests for it come.
    fn forget_url(&self, key: &str) {
        let mut ways = self.changing();
        self.underway.forgets(key);
        for key in ways.take(key) {
            self.pages.remove(&key);
        }
    }

    fn changing(&self) -> std::sync::MutexGuard<'_, Ways> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
