//! The journal against a plain model: whatever is done to it, and wherever it is killed, it holds what it must.

mod common;

use common::{Place, Running, acknowledge, entry, event, id, letter};
use outrigger_core::{DeadLetters, Delivery, Settlement};
use outrigger_journal::{
    Journal,
    audit::Order,
    dead::{Filter, Page},
    events,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Step {
    /// Append so many events at once.
    Append(u64),
    /// Acknowledge the delivery at this place among those in hand.
    Ack(usize),
    /// Release it.
    Release(usize),
    /// Note one attempt more for it.
    Attempt(usize),
    /// Keep it as a dead letter, then acknowledge it.
    Kill(usize),
    /// Replay the dead letter at this place among those that rest.
    Replay(usize),
    /// Drop it.
    Drop(usize),
    Flush,
    /// Close and open again.
    Restart,
    /// Open what a kill at this moment leaves.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..40_u64).prop_map(Step::Append),
        4 => any::<usize>().prop_map(Step::Ack),
        2 => any::<usize>().prop_map(Step::Release),
        2 => any::<usize>().prop_map(Step::Attempt),
        2 => any::<usize>().prop_map(Step::Kill),
        1 => any::<usize>().prop_map(Step::Replay),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
    ]
}

/// What must be there. An event is known by its sequence, a letter by its number.
#[derive(Default)]
struct Model {
    next_event: u64,
    /// Each sequence with its event's id and its attempts.
    pending: BTreeMap<u64, (u64, u32)>,
    /// Attempts that a kill may forget: the count on disk.
    attempts_on_disk: BTreeMap<u64, u32>,
    /// Settled, but a kill may bring them back.
    unflushed: BTreeMap<u64, (u64, u32)>,
    dead: BTreeMap<u64, u64>,
    last_dead: u64,
    last_seq: u64,
}

struct World {
    place: Place,
    running: Running,
    model: Model,
    in_hand: Vec<Delivery>,
}

/// The sequences of all events, waiting and kept.
async fn listed(journal: &Journal) -> Vec<u64> {
    let (mut page, mut seqs) = (Page { after: 0, limit: 1_000 }, Vec::new());
    loop {
        let listed = journal.events(events::Filter::default(), page).await.unwrap();
        seqs.extend(listed.events.iter().map(|head| head.seq));
        let Some(after) = listed.next else { return seqs };
        page.after = after;
    }
}

fn seq(delivery: &Delivery) -> u64 {
    delivery.origin.position.to_string().parse().unwrap()
}

impl World {
    fn new() -> Self {
        let mut place = Place::new();
        place.config.keep_settled = true;
        place.config.hand_events_max = 16; // so that the way over the disk is walked, too
        let running = Running::start(place.open(), 48);
        Self { place, running, model: Model::default(), in_hand: Vec::new() }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Append(n) => self.append(*n).await,
            Step::Ack(at) => {
                if let Some(delivery) = self.take(*at).await {
                    self.settled(seq(&delivery));
                    acknowledge([delivery]);
                }
            }
            Step::Release(at) => {
                if let Some(delivery) = self.take(*at).await {
                    delivery.receipt.settle(Settlement::Release { after: None });
                }
            }
            Step::Attempt(at) => {
                if let Some(delivery) = self.take(*at).await {
                    let noted = self.model.pending.get_mut(&seq(&delivery)).unwrap();
                    noted.1 += 1;
                    delivery.receipt.attempted(noted.1);
                    self.in_hand.push(delivery);
                }
            }
            Step::Kill(at) => {
                if let Some(delivery) = self.take(*at).await {
                    self.running.journal.put(&letter(id(&delivery))).await.unwrap();
                    self.model.last_dead += 1;
                    self.model.dead.insert(self.model.last_dead, id(&delivery));
                    self.settled(seq(&delivery));
                    acknowledge([delivery]);
                }
            }
            Step::Replay(at) => self.replay(*at).await,
            Step::Drop(at) => {
                if let Some(number) = self.letter(*at) {
                    let filter = Filter { ids: vec![number], ..Filter::default() };
                    let dropped = self
                        .running
                        .journal
                        .discard(filter, Page::default(), Order::default())
                        .await
                        .unwrap();
                    assert_eq!(dropped.ids, [number]);
                    self.model.dead.remove(&number);
                }
            }
            Step::Flush => {
                self.running.journal.flush().await.unwrap();
                self.model.flushed();
            }
            Step::Restart => self.restart().await,
            Step::Crash => self.crash().await,
        }
    }

    async fn append(&mut self, n: u64) {
        let ids = self.model.next_event..self.model.next_event + n;
        self.model.next_event = ids.end;
        let seqs = self.running.journal.append(ids.clone().map(entry).collect()).await.unwrap();
        assert_eq!(seqs, (self.model.last_seq + 1..=self.model.last_seq + n).collect::<Vec<_>>());
        self.model.last_seq += n;
        self.model.pending.extend(seqs.into_iter().zip(ids.map(|id| (id, 0))));
    }

    async fn replay(&mut self, at: usize) {
        let Some(number) = self.letter(at) else { return };
        let filter = Filter { ids: vec![number], ..Filter::default() };
        let replayed = self.running.journal.replay(filter, Page::default(), Order::default()).await.unwrap();
        self.model.last_seq += 1;
        assert_eq!(replayed.replayed, [(number, self.model.last_seq)]);
        let event = self.model.dead.remove(&number).unwrap();
        self.model.pending.insert(self.model.last_seq, (event, 0));
    }

    fn letter(&self, at: usize) -> Option<u64> {
        let rest: Vec<u64> = self.model.dead.keys().copied().collect();
        (!rest.is_empty()).then(|| rest[at % rest.len()])
    }

    /// One delivery, out of those in hand; a new one is waited for when there is none.
    async fn take(&mut self, at: usize) -> Option<Delivery> {
        if self.in_hand.len() < self.model.pending.len().min(24) {
            let delivery = self.running.deliveries(1).await.unwrap().remove(0);
            self.check(&delivery);
            self.in_hand.push(delivery);
        }
        (!self.in_hand.is_empty()).then(|| self.in_hand.swap_remove(at % self.in_hand.len()))
    }

    /// A delivery is one that must be there, as it was, and not in hand already.
    fn check(&self, delivery: &Delivery) {
        let (expected, attempts) = self.model.pending[&seq(delivery)];
        assert_eq!(delivery.item.as_ref().unwrap(), &event(expected));
        assert_eq!(delivery.attempts, attempts);
        assert!(self.in_hand.iter().all(|other| seq(other) != seq(delivery)), "pushed twice");
    }

    fn settled(&mut self, seq: u64) {
        let event = self.model.pending.remove(&seq).unwrap();
        self.model.unflushed.insert(seq, event);
    }

    async fn restart(&mut self) {
        let in_hand = std::mem::take(&mut self.in_hand);
        self.running.journal.close().await.unwrap();
        self.model.flushed();
        self.open_again(self.place.crash()).await;
        drop(in_hand);
    }

    async fn crash(&mut self) {
        let in_hand = std::mem::take(&mut self.in_hand);
        self.open_again(self.place.crash()).await;
        drop(in_hand);
    }

    /// Opens `place`, and learns which of the settlements that were not flushed it remembers.
    async fn open_again(&mut self, place: Place) {
        let journal = place.open();
        let opened = journal.opened();
        assert_eq!((opened.cut, opened.unmarked), (None, false));
        let (certain, possible) = (self.model.pending.len(), self.model.unflushed.len());
        let found = usize::try_from(opened.pending).unwrap();
        assert!((certain..=certain + possible).contains(&found), "{found}, {certain} + {possible}");
        let dead: BTreeMap<u64, u64> = {
            let page = Page { after: 0, limit: 1_000 };
            let letters = journal.list(Filter::default(), page).await.unwrap().letters;
            letters.iter().map(|head| (head.id, head.event_id.parse().unwrap())).collect()
        };
        assert_eq!(dead, self.model.dead);
        assert!(
            listed(&journal).await.into_iter().eq(1..=self.model.last_seq),
            "each waits or is kept, once"
        );
        self.running = Running::start(journal, 100_000);
        self.place = place;
        let deliveries = self.running.deliveries(found).await.unwrap();
        self.recovered(&deliveries);
        self.in_hand = deliveries;
    }

    fn recovered(&mut self, deliveries: &[Delivery]) {
        let seqs: Vec<u64> = deliveries.iter().map(seq).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "in order and once");
        let seqs: BTreeSet<u64> = seqs.into_iter().collect();
        assert!(self.model.pending.keys().all(|seq| seqs.contains(seq)), "an accepted event is missing");
        let back = std::mem::take(&mut self.model.unflushed);
        self.model.pending.extend(back.into_iter().filter(|(seq, _)| seqs.contains(seq)));
        for delivery in deliveries {
            let noted = self.model.pending.get_mut(&seq(delivery)).expect("one that was settled for good");
            let on_disk = self.model.attempts_on_disk.get(&seq(delivery)).copied().unwrap_or(0);
            assert!((on_disk..=noted.1).contains(&delivery.attempts), "{} of {noted:?}", delivery.attempts);
            assert_eq!(delivery.item.as_ref().unwrap(), &event(noted.0));
            noted.1 = delivery.attempts;
        }
    }
}

impl Model {
    fn flushed(&mut self) {
        self.unflushed.clear();
        self.attempts_on_disk = self.pending.iter().map(|(seq, (_, attempts))| (*seq, *attempts)).collect();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_holds_what_it_must(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in &steps {
                world.step(step).await;
            }
            world.step(&Step::Crash).await;
            let fresh = world.model.next_event;
            world.append(1).await;
            let last = world.running.deliveries(1).await.unwrap();
            assert_eq!(id(&last[0]), fresh, "a fresh event passes");
        });
    }
}
