//! A member of the simulated group as the reader's client, and the flaws that may be planted around it.

use crate::{flaws::Flaw, stage::Place};
use outrigger_core::{BoxFuture, Error, Kind, Result, decide::watermark::Commit};
use outrigger_kafka::{
    client::{Client, Happened, Start, Stats, Tail, Take, TopicPartition, Trouble, TroubleKind},
    decode,
};
use outrigger_testkit::sim::{broker::Found, group::Notice, log::Record};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::oneshot, time::Sleep};

/// The one topic.
pub(crate) const TOPIC: &str = "t";

/// One client of one incarnation.
pub(crate) struct Member {
    place: Place,
    id: u32,
    sleep: Mutex<Option<Pin<Box<Sleep>>>>,
    /// What a flawed client remembers: the highest commit of each partition.
    highest: Mutex<BTreeMap<i32, i64>>,
    /// Records that a flawed client swallows from now on.
    swallow: Mutex<u32>,
}

impl Member {
    /// Connects, where that is possible now.
    ///
    /// # Errors
    /// When it is not.
    pub(crate) fn connect(place: &Place, incarnation: u32) -> Result<Self> {
        let id = place.world().connect(incarnation);
        let id = id.ok_or_else(|| Error::new(Kind::Unreachable, "no client can be made"))?;
        let (sleep, highest, swallow) = (Mutex::default(), Mutex::default(), Mutex::new(0));
        Ok(Self { place: place.clone(), id, sleep, highest, swallow })
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.place.flaw == Some(flaw)
    }

    /// Whether a flawed client keeps this record to itself.
    fn swallows(&self) -> bool {
        let mut left = lock(&self.swallow);
        let swallowed = *left > 0;
        *left = left.saturating_sub(1);
        swallowed
    }

    fn spoil(&self, commits: &mut [(i32, i64, String)]) {
        for (partition, offset, metadata) in commits {
            let mut highest = lock(&self.highest);
            let known = highest.entry(*partition).or_insert(*offset);
            *known = (*known).max(*offset);
            match self.place.flaw {
                Some(Flaw::CommitsTooFar) if *offset > 3 => {
                    (*offset, *metadata) = (*offset + 1, String::new());
                }
                Some(Flaw::CommitsMoveBack) if *offset > 5 && *offset % 3 == 0 => {
                    (*offset, *metadata) = (*offset - 2, String::new());
                }
                Some(Flaw::MarksTooMuch) if !metadata.is_empty() => {
                    // The list form with nothing pending: everything for eight offsets is finished.
                    metadata.replace_range(.., "og1:TAg");
                }
                Some(Flaw::ForgetsFence) if *known > *offset => {
                    (*offset, *metadata) = (*known, String::new());
                }
                _ => {}
            }
        }
    }
}

impl Client for Member {
    fn poll(&self, cx: &mut Context<'_>, take: &mut Take<'_>) -> Poll<Happened> {
        loop {
            let found = self.place.world().look(self.id);
            match found {
                Found::Notice(notice) => return Poll::Ready(happened(notice)),
                Found::Stats { ends, connected, joined } => {
                    return Poll::Ready(stats(ends, connected, joined));
                }
                Found::Record(at, record) => {
                    if !self.swallows() {
                        hand_over(at, &record, take);
                    }
                    return Poll::Ready(Happened::Record);
                }
                Found::Nothing(due) => {
                    self.place.world().group.member(self.id).waker = Some(cx.waker().clone());
                    let mut sleep = lock(&self.sleep);
                    *sleep = due.map(|at| Box::pin(tokio::time::sleep_until(self.place.at(at))));
                    let due = sleep.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
                    if !due {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn starts(&self, partitions: Vec<TopicPartition>) -> BoxFuture<'static, Result<Vec<Start>>> {
        let (place, id, forgets) = (self.place.clone(), self.id, self.is(Flaw::ForgetsMarks));
        Box::pin(async move {
            let wait = place.world().ask_ms(id);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let numbers: Vec<i32> = partitions.iter().map(|at| at.partition).collect();
            let starts = place.world().starts(id, &numbers);
            let starts =
                starts.ok_or_else(|| Error::new(Kind::Unreachable, "nobody tells where to begin"))?;
            let start = |start: outrigger_testkit::sim::broker::Start| Start {
                at: at(start.partition),
                offset: start.offset,
                metadata: if forgets { String::new() } else { start.metadata },
                fresh: start.fresh,
                missing: start.missing,
            };
            Ok(starts.into_iter().map(start).collect())
        })
    }

    fn assign(&self, starts: &[Start]) -> Result<()> {
        let list: Vec<_> = starts.iter().map(|start| (start.at.partition, start.offset)).collect();
        let taken = self.place.world().assign(self.id, &list);
        if taken { Ok(()) } else { Err(Error::new(Kind::Interrupted, "the client does not take them")) }
    }

    fn unassign(&self, partitions: &[TopicPartition]) -> Result<()> {
        self.place.world().unassign(self.id, &numbers(partitions));
        Ok(())
    }

    fn lost(&self) -> bool {
        self.place.world().group.member(self.id).lost
    }

    fn commit(
        &self,
        commits: Vec<(TopicPartition, Commit)>,
    ) -> BoxFuture<'static, Result<Vec<(TopicPartition, String)>>> {
        let mut list: Vec<_> =
            commits.into_iter().map(|(at, commit)| (at.partition, commit.offset, commit.metadata)).collect();
        list.sort();
        self.spoil(&mut list);
        if self.is(Flaw::CommitsForeign) {
            let partitions = i32::try_from(self.place.world().plan.partitions).unwrap_or(1);
            for (partition, ..) in &mut list {
                *partition = (*partition + 1) % partitions;
            }
        }
        if self.is(Flaw::SaysItCommitted) && list.iter().any(|(_, offset, _)| *offset > 8) {
            return Box::pin(async { Ok(Vec::new()) });
        }
        let sent = self.place.world().send(self.id, list.clone());
        let (tell, told) = oneshot::channel();
        let place = self.place.clone();
        // What is sent is sent: it arrives whether or not anybody still waits for the answer.
        tokio::spawn(async move {
            tokio::time::sleep_until(place.at(sent.arrives_at)).await;
            let answer = place.world().arrive(&sent);
            tokio::time::sleep_until(place.at(sent.answered_at)).await;
            let _ = tell.send(answer);
        });
        Box::pin(async move {
            match told.await {
                Ok(Ok(())) => Ok(Vec::new()),
                Ok(Err(why)) => {
                    Ok(list.into_iter().map(|(partition, ..)| (at(partition), why.to_owned())).collect())
                }
                Err(_) => Err(Error::new(Kind::Interrupted, "the simulation is over")),
            }
        })
    }

    fn pause(&self, partitions: &[TopicPartition]) {
        if self.is(Flaw::LosesOnPause) {
            *lock(&self.swallow) = 1;
        }
        if !self.is(Flaw::IgnoresPause) {
            self.place.world().pause(self.id, &numbers(partitions), true);
        }
    }

    fn resume(&self, partitions: &[TopicPartition]) {
        if !self.is(Flaw::NeverResumes) {
            self.place.world().pause(self.id, &numbers(partitions), false);
        }
    }

    fn seek(&self, at: &TopicPartition, offset: i64) {
        self.place.world().seek(self.id, at.partition, offset);
    }

    fn find_empty(&self, mut tails: Vec<Tail>) -> BoxFuture<'static, Vec<Tail>> {
        let (place, id) = (self.place.clone(), self.id);
        Box::pin(async move {
            let wait = place.world().ask_ms(id);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            let mut world = place.world();
            tails.retain(|tail| world.is_empty(id, tail.at.partition, tail.from, tail.end));
            tails
        })
    }

    fn leave(&self) -> BoxFuture<'static, ()> {
        self.place.world().leave(self.id);
        Box::pin(tokio::time::sleep(Duration::from_millis(10)))
    }
}

fn happened(notice: Notice) -> Happened {
    let list = |partitions: Vec<i32>| partitions.into_iter().map(at).collect();
    let trouble = |kind, message: &str| Happened::Trouble(Trouble { message: message.to_owned(), kind });
    match notice {
        Notice::Assigned(partitions) => Happened::Assigned(list(partitions)),
        Notice::Revoked(partitions) => Happened::Revoked(list(partitions)),
        Notice::Outage => trouble(TroubleKind::Outage, "no broker can be reached"),
        Notice::Fatal => trouble(TroubleKind::Fatal, "the client can do no more"),
    }
}

fn stats(ends: Vec<(i32, i64, bool)>, connected: bool, joined: bool) -> Happened {
    Happened::Stats(Stats {
        read: ends.iter().filter(|(.., is_read)| *is_read).map(|(partition, ..)| at(*partition)).collect(),
        ends: ends.into_iter().map(|(partition, end, _)| (at(partition), end)).collect(),
        brokers_up: usize::from(connected),
        brokers_down: if connected { Vec::new() } else { vec!["b:1".to_owned()] },
        rebalances: 0,
        join_state: if joined { "steady" } else { "init" }.to_owned(),
    })
}

fn hand_over((partition, offset): (i32, i64), record: &Record, take: &mut Take<'_>) {
    let key = record.key.map(|key| format!("k{key}"));
    let value = format!("{partition}/{offset}");
    let malformed: [(&str, Option<&[u8]>); 1] = [("content-type", Some(b"application/cloudevents+json"))];
    let headers = if record.malformed { &malformed[..] } else { &[] };
    take(decode::Record {
        topic: TOPIC,
        partition,
        offset,
        timestamp_ms: Some(1),
        key: key.as_deref().map(str::as_bytes),
        value: Some(value.as_bytes()),
        headers: headers.iter().copied(),
    });
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC.into(), partition }
}

fn numbers(partitions: &[TopicPartition]) -> Vec<i32> {
    partitions.iter().map(|at| at.partition).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
