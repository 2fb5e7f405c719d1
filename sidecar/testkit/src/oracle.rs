//! The judge: what was acknowledged is owed, and the function's record shows whether it was paid.
//!
//! A test tells the oracle each event before it sends it, in the order of sending within a key, and what the
//! answer was. At the end [`Oracle::judge`] compares that with what the function saw:
//!
//! - every acknowledged event was delivered with a 2xx, unless the test accounts for it (a dead letter);
//! - its payload and names are the ones that were sent, byte for byte;
//! - events of a key start in the order of sending, each after the one before it was settled;
//! - what was delivered again after a 2xx is counted, for the test to bound.
//!
//! It cannot see whether an acknowledgement came before the event was durable. For that a test cuts the power
//! ([`crate::shim`], `cut`), and what was acknowledged too early is then lost.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use outrigger_function::{Function, Outcome, Record, identity::Mode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Outgoing;

/// How many findings of a kind are shown.
const SHOWN: usize = 8;

/// What was sent and what came of it. One for all producers of a test.
#[derive(Debug, Default)]
pub struct Oracle {
    state: Mutex<State>,
    /// The events of a key are owed one at a time, in any order.
    is_unordered: bool,
}

#[derive(Debug, Default)]
struct State {
    sent: Vec<Sent>,
    by_id: HashMap<String, usize>,
    /// What was sent of each key, in order.
    by_key: HashMap<String, Vec<usize>>,
}

#[derive(Debug)]
struct Sent {
    event: Outgoing,
    /// Its place among what was sent of its key.
    place: usize,
    acknowledged: bool,
    accounted: bool,
}

/// What the oracle found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Events that were told to the oracle.
    pub sent: usize,
    /// Those of them that were acknowledged.
    pub acknowledged: usize,
    /// Events that the function answered with a 2xx.
    pub delivered: usize,
    /// Deliveries that started after the same event had been answered with a 2xx.
    pub duplicates: usize,
    /// Acknowledged, neither delivered nor accounted for: ids.
    pub lost: BTreeSet<String>,
    /// Delivered with other bytes or names than were sent: id and what differs.
    pub altered: BTreeSet<String>,
    /// Delivered though never sent: ids.
    pub foreign: BTreeSet<String>,
    /// Started out of order, or before the one before it was settled: what happened.
    pub disordered: BTreeSet<String>,
    /// Why the record proves nothing, if so.
    pub blind: Option<String>,
}

impl Oracle {
    /// One that owes no order, for a source that keeps none: the events of a key still run one at a time.
    #[must_use]
    pub fn unordered() -> Self {
        Self { is_unordered: true, ..Self::default() }
    }

    /// This event is about to be sent. Within a key, the order of these calls is the order that is owed.
    /// An event that is sent again (the same source and id) is told once.
    ///
    /// # Panics
    /// The id was told before: ids must be unique within a test.
    pub fn sending(&self, event: &Outgoing) {
        let mut state = self.lock();
        let index = state.sent.len();
        let before = state.by_id.insert(event.id.clone(), index);
        assert!(before.is_none(), "the id {} was told to the oracle twice", event.id);
        let mut place = 0;
        if let Some(key) = &event.key {
            let of_key = state.by_key.entry(key.clone()).or_default();
            place = of_key.len();
            of_key.push(index);
        }
        state.sent.push(Sent { event: event.clone(), place, acknowledged: false, accounted: false });
    }

    /// The event was answered with a 2xx: it is owed from now on.
    ///
    /// # Panics
    /// It was never told to be sent.
    pub fn acknowledged(&self, id: &str) {
        self.mark(id, |sent| sent.acknowledged = true);
    }

    /// The event needs no delivery, because something else shows where it is: a dead letter, a discard that
    /// a rule names, a place in the journal. It also no longer holds up its key.
    ///
    /// # Panics
    /// It was never told to be sent.
    pub fn accounted(&self, id: &str) {
        self.mark(id, |sent| sent.accounted = true);
    }

    /// The acknowledged events that `record` does not show as delivered, and nothing accounts for.
    #[must_use]
    pub fn owed(&self, record: &[Record]) -> BTreeSet<String> {
        let paid: BTreeSet<&str> = record.iter().filter(|r| is_success(r)).flat_map(ids).collect();
        let state = self.lock();
        let owed = state.sent.iter().filter(|sent| sent.acknowledged && !sent.accounted);
        owed.map(|sent| sent.event.id.clone()).filter(|id| !paid.contains(id.as_str())).collect()
    }

    /// [`Oracle::judge`] of the record of `function`, unless that had to forget a part of it.
    #[must_use]
    pub fn judge_at(&self, function: &Function) -> Judgement {
        let forgotten = function.stats().forgotten;
        let blind = (forgotten > 0).then(|| format!("the function had to forget {forgotten} requests"));
        Judgement { blind, ..self.judge(&function.log()) }
    }

    /// Compares with what the function saw. Records of several functions may be put together.
    #[must_use]
    pub fn judge(&self, record: &[Record]) -> Judgement {
        let mut record: Vec<_> = record.iter().collect();
        record.sort_by_key(|record| (record.started_us, record.n));
        let state = self.lock();
        let mut judgement = Judgement {
            sent: state.sent.len(),
            acknowledged: state.sent.iter().filter(|sent| sent.acknowledged).count(),
            ..Judgement::default()
        };
        let mut seen = Seen { is_unordered: self.is_unordered, ..Seen::default() };
        for record in record {
            for id in ids(record) {
                match state.by_id.get(id) {
                    Some(&index) => seen.delivery(&state, index, record, &mut judgement),
                    None => {
                        judgement.foreign.insert(id.to_owned());
                    }
                }
            }
        }
        judgement.delivered = seen.settled_us.len();
        let owed = state.sent.iter().enumerate().filter(|(_, sent)| sent.acknowledged && !sent.accounted);
        let lost = owed.filter(|(index, _)| !seen.settled_us.contains_key(index));
        judgement.lost = lost.map(|(_, sent)| sent.event.id.clone()).collect();
        judgement
    }

    fn mark(&self, id: &str, change: impl FnOnce(&mut Sent)) {
        let mut state = self.lock();
        let index =
            *state.by_id.get(id).unwrap_or_else(|| panic!("the id {id} was never told to the oracle"));
        change(&mut state.sent[index]);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Judgement {
    /// Whether nothing is wrong. Duplicates are not judged here.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost.is_empty()
            && self.altered.is_empty()
            && self.foreign.is_empty()
            && self.disordered.is_empty()
            && self.blind.is_none()
    }

    /// Fails the test unless nothing is wrong and there are at most `duplicates_max` duplicates.
    ///
    /// # Panics
    /// That is so; with what is wrong.
    pub fn assert_clean(&self, duplicates_max: usize) {
        assert!(self.is_clean() && self.duplicates <= duplicates_max, "{duplicates_max} allowed; {self}");
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acknowledged, delivered, duplicates, .. } = self;
        write!(
            f,
            "{sent} sent, {acknowledged} acknowledged, {delivered} delivered, {duplicates} duplicates"
        )?;
        let kinds = [("lost", &self.lost), ("altered", &self.altered), ("foreign", &self.foreign)];
        for (name, found) in kinds.into_iter().chain([("disordered", &self.disordered)]) {
            if !found.is_empty() {
                let shown: Vec<_> = found.iter().take(SHOWN).map(String::as_str).collect();
                write!(f, "\n  {} {name}: {}", found.len(), shown.join("; "))?;
            }
        }
        self.blind.iter().try_for_each(|why| write!(f, "\n  the record proves nothing: {why}"))
    }
}

/// What the walk through the record has seen so far, by index of what was sent.
#[derive(Debug, Default)]
struct Seen {
    is_unordered: bool,
    /// When each event was first answered with a 2xx.
    settled_us: BTreeMap<usize, u64>,
    started: BTreeSet<usize>,
    /// Of each key, the place of the latest sent of those that have started.
    front_of_key: HashMap<String, usize>,
    /// Of each key, the calls that have not ended when the last one started: id and end.
    running_of_key: HashMap<String, (String, u64)>,
}

impl Seen {
    fn delivery(&mut self, state: &State, index: usize, record: &Record, judgement: &mut Judgement) {
        let event = &state.sent[index].event;
        if let Some(what) = difference(event, record) {
            judgement.altered.insert(format!("{}: {what}", event.id));
        }
        if self.settled_us.get(&index).is_some_and(|&settled_us| settled_us <= record.started_us) {
            judgement.duplicates += 1;
        }
        if let Some(key) = &event.key {
            self.overlap(key, &event.id, record, judgement);
            if self.started.insert(index) && !self.is_unordered {
                self.first_start(state, index, record, judgement);
            }
        }
        if let Some(ended_us) = record.ended_us.filter(|_| is_success(record)) {
            let settled_us = self.settled_us.entry(index).or_insert(ended_us);
            *settled_us = ended_us.min(*settled_us);
        }
    }

    fn overlap(&mut self, key: &str, id: &str, record: &Record, judgement: &mut Judgement) {
        let ended_us = record.ended_us.unwrap_or(u64::MAX);
        let Some((other, until_us)) = self.running_of_key.get_mut(key) else {
            self.running_of_key.insert(key.to_owned(), (id.to_owned(), ended_us));
            return;
        };
        if record.started_us < *until_us {
            judgement.disordered.insert(format!("key {key}: {id} started while {other} was running"));
        }
        if ended_us >= *until_us {
            (*other, *until_us) = (id.to_owned(), ended_us);
        }
    }

    /// At an event's first start, all that was acknowledged before it in its key must be settled, and
    /// nothing that was sent after it may have started.
    fn first_start(&mut self, state: &State, index: usize, record: &Record, judgement: &mut Judgement) {
        let Sent { event, place, .. } = &state.sent[index];
        let (key, id) = (event.key.clone().unwrap_or_default(), &event.id);
        let of_key = &state.by_key[&key];
        let front = self.front_of_key.get(&key).copied().unwrap_or(0);
        if front > *place {
            let later = &state.sent[of_key[front]].event.id;
            judgement
                .disordered
                .insert(format!("key {key}: {id} started after {later}, which was sent later"));
            return;
        }
        // What lies before the front was looked at when the front started.
        for earlier in &of_key[front..*place] {
            let Sent { event, acknowledged, accounted, .. } = &state.sent[*earlier];
            let settled_us = self.settled_us.get(earlier);
            let in_turn = settled_us.is_some_and(|&settled_us| settled_us <= record.started_us);
            if *acknowledged && !accounted && !in_turn {
                judgement
                    .disordered
                    .insert(format!("key {key}: {id} started before {} was settled", event.id));
            }
        }
        self.front_of_key.insert(key, *place);
    }
}

fn ids(record: &Record) -> impl Iterator<Item = &str> {
    let one = if record.batch.is_empty() { record.id.as_deref() } else { None };
    one.into_iter().chain(record.batch.iter().map(String::as_str))
}

fn is_success(record: &Record) -> bool {
    record.outcome == Outcome::Answered && matches!(record.status, Some(200..=299))
}

/// What differs between the event as it was sent and as it was seen. Members of a batch are not compared.
fn difference(event: &Outgoing, record: &Record) -> Option<String> {
    if record.mode == Mode::Batch {
        return None;
    }
    let quiet = record.method.is_empty();
    let names = [
        ("partitionkey", event.key.as_deref(), record.key.as_deref()),
        ("source", Some(event.source.as_str()), record.source.as_deref()),
        ("type", Some(event.ty.as_str()), record.ty.as_deref()),
    ];
    let mut compared = names.into_iter().take(if quiet { 1 } else { names.len() });
    if let Some((name, sent, seen)) = compared.find(|(_, sent, seen)| sent != seen) {
        return Some(format!("{name} was {sent:?} and came as {seen:?}"));
    }
    match &record.body {
        _ if record.mode == Mode::Structured => data_of(record.body.as_ref()?, event),
        Some(body) => (*body != event.data).then(|| lengths(&event.data, body.len())),
        None => {
            let same = record.body_crc == crc32fast::hash(&event.data);
            (!same).then(|| lengths(&event.data, usize::try_from(record.body_len).unwrap_or(usize::MAX)))
        }
    }
}

fn lengths(sent: &Bytes, seen: usize) -> String {
    format!("{} bytes were sent, {seen} came, and they differ", sent.len())
}

/// The difference of the data within a structured event (JSON format 3.1).
fn data_of(body: &[u8], event: &Outgoing) -> Option<String> {
    #[derive(Deserialize)]
    struct Structured<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        data_base64: Option<String>,
    }
    let Ok(structured) = serde_json::from_slice::<Structured<'_>>(body) else {
        return Some("the structured event is no JSON object".to_owned());
    };
    let raw = structured.data.map(|data| data.get().as_bytes().to_vec());
    let text = structured.data.and_then(|data| serde_json::from_str::<String>(data.get()).ok());
    let decoded = structured.data_base64.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let forms = [raw, text.map(String::into_bytes), decoded];
    let carries_it = forms.iter().flatten().any(|data| *data == event.data);
    let is_absent = event.data.is_empty() && forms.iter().all(Option::is_none);
    (!carries_it && !is_absent).then(|| "the data of the structured event differs".to_owned())
}
