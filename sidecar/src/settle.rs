//! One attempt and what follows from it: the only place that calls, marks, buries and settles.

use crate::{
    dispatch::{Job, Left, MARK_UNWRITTEN, MARKS_UNASKED, OnPoison, Running, State, Target, answer, now},
    telemetry::Ended,
};
use outrigger_core::{
    CallCx, Code, DeadLetter, Error, Event, Fate, Kind, Known, Ledger, Mark, Origin, Reason, Reply, Result,
    Retry, Settlement, Step,
    decide::{
        step::{self, Attempt, Next},
        verdict::{Verdict, is_down},
    },
    event::lineage,
};
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// How long a reply or a dead letter waits for its next try while its home cannot take it, at least.
const GRAVE_WAIT: Duration = Duration::from_secs(1);

/// The same where the home says for how long, up to the longest wait of any retry.
fn grave_wait(state: &State, error: &Error) -> Duration {
    let longest = state.settings.policy.backoff.max.max(GRAVE_WAIT);
    error.retry_after().map_or(GRAVE_WAIT, |wait| wait.clamp(GRAVE_WAIT, longest))
}

impl Target {
    /// Takes one event through one attempt at `time`, up to its settlement or its next wait. Gives back the time.
    pub(crate) async fn attempt(&self, mut running: Running<'_>, time: Instant) -> Instant {
        if let Some(errand) = running.errand.take() {
            self.run_errand(running, errand).await;
            return now();
        }
        let job = running.job();
        if let Some(reason) = job.grave().cloned() {
            self.bury(running, reason).await;
        } else if !job.receipt.wanted() {
            self.metrics.ended(Ended::Abandoned);
            drop(running); // releases: nobody waits for the outcome
        } else if job.once.is_some_and(|deadline| deadline <= time) {
            let detail = "the caller's time was over before the function could be called".to_owned();
            self.reject(running, Reason { code: Code::TimedOut, status: None, detail });
        } else if let Some(reply) = job.take_reply() {
            self.keep_reply(running, reply).await; // the function has it; only its answer is not kept yet
        } else if self.is_done_already(job).await {
            self.metrics.ended(Ended::Duplicate);
            running.job().timeline.note(Step::Duplicate, now());
            self.acknowledge(running, None, Fate::Duplicate);
        } else if self.ledger_of(running.job()).is_none() {
            return self.try_once(running, time).await;
        } else if running.job().receipt.wanted() {
            return self.try_once(running, now()).await;
        } else {
            self.metrics.ended(Ended::Abandoned); // its source lost it while the mark was asked for
        }
        now()
    }

    async fn try_once(&self, mut running: Running<'_>, started: Instant) -> Instant {
        let (outcome, ended) = self.call_once(running.job(), started).await;
        let is_over = matches!(&outcome, Ok(reply) if self.is_all(running.job(), reply.as_deref()));
        if !is_over {
            self.judge(running, outcome, ended).await;
            return now();
        }
        self.metrics.delivered(ended.saturating_duration_since(running.job().admitted));
        let job = {
            let mut state = self.state();
            running.note_success(&mut state, ended);
            running.finish_in(&mut state)
        };
        self.became(&job, Fate::Delivered);
        // Nothing lies between the answer and the settlement.
        self.tell(job, Settlement::Ack(outcome.unwrap_or_default()), ended);
        ended
    }

    /// Whether nothing remains to be done but to settle, once the function has the event.
    fn is_all(&self, job: &Job, reply: Option<&Reply>) -> bool {
        self.ledger_of(job).is_none() && !self.is_to_keep(job, reply)
    }

    /// A caller who waits gets the reply himself.
    fn is_to_keep(&self, job: &Job, reply: Option<&Reply>) -> bool {
        self.replies.is_some() && job.once.is_none() && reply.is_some_and(|reply| reply.event.is_some())
    }

    /// The reply itself is given back only where somebody may read it: most functions answer nothing.
    async fn call_once(&self, job: &mut Job, started: Instant) -> (Result<Option<Box<Reply>>>, Instant) {
        job.timeline.note(Step::Attempted(job.attempts + 1), started);
        job.receipt.attempted(job.attempts + 1);
        let cx = CallCx {
            target: self.id.clone(),
            attempt: job.attempts + 1,
            deadline: job.once,
            stream: None,
            timeline: job.timeline.clone(),
            position: job.origin.position.clone(),
            key: job.key.clone(),
        };
        let event = job.item.as_ref().expect("what is malformed is buried, not called with");
        let outcome = self.call.call(std::slice::from_ref(event), &cx).await;
        let ended = now();
        let status = outcome.as_ref().map(|replies| replies.last().map_or(0, |reply| reply.status));
        self.metrics.attempted(status, ended - started);
        job.timeline.note(answer(status), ended);
        let outcome = outcome.map(|mut replies| {
            let is_read = job.once.is_some() || replies.last().is_some_and(|reply| reply.event.is_some());
            is_read.then(|| Box::new(self.continued(event, replies.pop().unwrap_or_default(), job)))
        });
        (outcome, ended)
    }

    /// The reply as the next of the event's line. A caller who waits gets none that would be too many: the function has
    /// the event, and an error would only have it called again.
    fn continued(&self, event: &Event, mut reply: Reply, job: &Job) -> Reply {
        let Some(next) = &mut reply.event else { return reply };
        // Where it finds no room, that is seen below.
        let _ = lineage::follow(event, next);
        lineage::traced(&job.timeline, next);
        if job.once.is_some()
            && let Some(detail) = self.loops(next)
        {
            tracing::warn!(id = event.id(), detail, "a reply is dropped");
            self.metrics.reply_cut();
            (reply.event, reply.status) = (None, 204);
        }
        reply
    }

    /// Why a reply is not passed on: it is one more of a line that goes round, or may be.
    fn loops(&self, reply: &Event) -> Option<String> {
        let hops_max = self.state().settings.hops_max;
        match reply.text(lineage::HOPS).and_then(|hops| hops.parse::<u32>().ok()) {
            Some(hops) if hops <= hops_max => None,
            Some(hops) => Some(format!(
                "the reply is number {hops} in a line of replies, and replies.hops_max allows {hops_max}: replies come \
                 back as events, or the line is meant to be longer"
            )),
            None => Some(format!("the reply has so many attributes that {} finds no room", lineage::HOPS)),
        }
    }

    async fn judge(&self, mut running: Running<'_>, outcome: Result<Option<Box<Reply>>>, ended: Instant) {
        let verdict = match &outcome {
            Ok(_) => Verdict::Delivered,
            Err(error) => match error.http_status() {
                Some(status) => self.state().settings.statuses.verdict(Some(status)),
                None if error.sent() || error.retry() != Retry::Permanent => Verdict::Retry,
                None => Verdict::Refused, // it could not even be encoded
            },
        };
        if verdict == Verdict::Delivered {
            running.note_success(&mut self.state(), ended);
            return self.delivered(running, outcome.unwrap_or_default(), ended).await;
        }
        let error = outcome.expect_err("what is not delivered failed");
        let next = {
            let mut state = self.state();
            let attempt = note_failure(&mut state, &mut running, &error, verdict, ended);
            let dice = state.rng.f64();
            step::next(&state.settings.policy, &attempt, dice)
        };
        let job = running.job();
        job.receipt.attempted(job.attempts);
        if job.once.is_some() {
            let code = match error.kind() {
                _ if verdict == Verdict::Refused => Code::Refused,
                Kind::TimedOut => Code::TimedOut,
                _ if error.sent() => Code::Exhausted, // the one attempt that its caller's time allows
                _ => Code::Unavailable,
            };
            return self.reject(running, reason(code, &error));
        }
        match next {
            Next::Settle => unreachable!("a failed attempt is never settled as delivered"),
            Next::Again(wait) => self.back_off(running, &error, ended, wait),
            Next::GiveUp(code) => self.give_up(running, reason(code, &error)).await,
        }
    }

    fn back_off(&self, mut running: Running<'_>, error: &Error, ended: Instant, wait: Duration) {
        self.metrics.retried();
        let job = running.job();
        job.timeline.note(Step::BackedOff, ended);
        tracing::debug!(
            id = job.event_id(),
            trace = job.trace_id(),
            attempts = job.attempts,
            ?wait,
            %error,
            "the attempt failed"
        );
        let mut state = self.state();
        let budget_wait = if error.sent() { state.budget.reserve(ended) } else { Duration::ZERO };
        running.again(&mut state, ended + wait.max(budget_wait));
    }

    async fn give_up(&self, mut running: Running<'_>, reason: Reason) {
        let job = running.job();
        let (id, trace) = (job.event_id(), job.trace_id());
        if self.state().settings.on_poison == OnPoison::Park && job.key.is_some() {
            tracing::warn!(id, trace, %reason, "the event is parked and holds its key");
            job.left = Some(Box::new(Left::Grave(reason)));
            job.timeline.note(Step::Parked, now());
            self.metrics.parked();
            return running.park(&mut self.state());
        }
        tracing::warn!(id, trace, attempts = job.attempts, %reason, "the event becomes a dead letter");
        self.bury(running, reason).await;
    }

    async fn delivered(&self, mut running: Running<'_>, reply: Option<Box<Reply>>, ended: Instant) {
        let job = running.job();
        let latency = ended.saturating_duration_since(job.admitted);
        self.metrics.delivered(latency);
        let is_to_keep = self.is_to_keep(job, reply.as_deref());
        match reply {
            Some(reply) if is_to_keep => self.keep_reply(running, reply).await,
            reply => self.done(running, reply).await,
        }
    }

    /// Writes the reply to its home; keeps the event, and does not call the function again, while that fails.
    async fn keep_reply(&self, mut running: Running<'_>, reply: Box<Reply>) {
        let (Some(sink), Some(event)) = (&self.replies, &reply.event) else {
            return self.done(running, Some(reply)).await;
        };
        if let Some(detail) = self.loops(event) {
            let reason = Reason { code: Code::ReplyRefused, status: None, detail };
            let job = running.job();
            tracing::warn!(id = job.event_id(), trace = job.trace_id(), %reason, "a reply is not passed on");
            self.metrics.reply_cut();
            return self.bury(running, reason).await;
        }
        let timeline = running.job().timeline.clone();
        timeline.note(Step::Replying, now());
        let sent = sink.send_within(event, &timeline).await;
        timeline.note(Step::Replied(sent.is_ok()), now());
        match sent {
            Ok(()) => {
                self.metrics.replied();
                self.done(running, Some(reply)).await;
            }
            Err(error) if error.retry() == Retry::Permanent => {
                let reason = reason(Code::ReplyRefused, &error);
                let job = running.job();
                tracing::warn!(id = job.event_id(), trace = job.trace_id(), %reason, "a reply can never be kept");
                self.bury(running, reason).await;
            }
            Err(error) => {
                self.complain_of_reply(&error);
                self.metrics.reply_failed();
                running.job().left = Some(Box::new(Left::Reply(reply)));
                let mut state = self.state();
                let wait = grave_wait(&state, &error);
                running.again(&mut state, now() + wait);
            }
        }
    }

    /// Target and reply have it: the mark, then the settlement.
    async fn done(&self, mut running: Running<'_>, reply: Option<Box<Reply>>) {
        if let Some((ledger, mark)) = self.mark_of(running.job())
            && let Err(error) = ledger.mark(&mark, running.job().payload()).await
        {
            self.complain_of_marks(&error, MARK_UNWRITTEN);
        }
        self.acknowledge(running, reply, Fate::Delivered);
    }

    /// Writes the dead letter, then acknowledges; keeps the event and tries again while its home cannot take it.
    pub(crate) async fn bury(&self, mut running: Running<'_>, reason: Reason) {
        let job = running.job();
        let letter = DeadLetter {
            item: job.item.clone(),
            key: job.key.clone(),
            origin: job.origin.within(&job.timeline),
            target: self.letters_name(job, &reason),
            reason: reason.clone(),
            attempts: job.attempts,
            first_ms: job.received_ms,
            last_ms: unix_ms(),
        };
        match self.dead.put(&letter).await {
            Ok(()) => {
                let code = reason.code;
                self.metrics.dead(code);
                job.timeline.note(Step::Buried(code), now());
                job.left = Some(Box::new(Left::Grave(reason))); // what had its name knows that it was not delivered
                self.acknowledge(running, None, Fate::Dead(code));
            }
            Err(error) => {
                self.complain_of_dead_letter(&error);
                self.metrics.dead_failed();
                job.left = Some(Box::new(Left::Grave(reason)));
                let mut state = self.state();
                let wait = grave_wait(&state, &error);
                running.again(&mut state, now() + wait);
            }
        }
    }

    /// What never was an event fails at no target, and neither does what a rule failed on: it passes the rules again. What
    /// was for one that is no more, stays for that one.
    fn letters_name(&self, job: &Job, reason: &Reason) -> Option<Arc<str>> {
        job.item.as_ref().ok().filter(|_| reason.code != Code::Rule)?;
        job.origin.aim().cloned().or_else(|| self.is_one_of_several.then(|| self.id.0.clone()))
    }

    pub(crate) fn acknowledge(&self, mut running: Running<'_>, reply: Option<Box<Reply>>, fate: Fate) {
        self.became(running.job(), fate);
        self.settle(running, Settlement::Ack(reply));
    }

    pub(crate) fn reject(&self, running: Running<'_>, reason: Reason) {
        self.metrics.ended(Ended::Rejected);
        self.settle(running, Settlement::Reject(reason));
    }

    fn settle(&self, running: Running<'_>, settlement: Settlement) {
        self.tell(running.finish(&settlement), settlement, now());
    }

    /// Of what goes to several targets without deduplication: with it, whoever comes here is new.
    async fn is_done_already(&self, job: &Job) -> bool {
        let Some((ledger, mark)) = self.mark_of(job).filter(|_| job.standing.is_none()) else { return false };
        let known = ledger.ask(&mark, None).await.unwrap_or_else(|error| {
            self.complain_of_marks(&error, MARKS_UNASKED);
            Known::New
        });
        known != Known::New
    }

    /// Where it is known whether this target has the event; none where nobody wants to know.
    fn ledger_of(&self, job: &Job) -> Option<&dyn Ledger> {
        let shares = || self.shares.as_ref().filter(|_| job.is_shared);
        let ledger = self.ledger.as_ref().or_else(shares)?;
        (!job.receipt.is_replay()).then_some(&**ledger)
    }

    fn mark_of(&self, job: &Job) -> Option<(&dyn Ledger, Arc<Mark>)> {
        let ledger = self.ledger_of(job)?;
        let known = job.standing.as_ref().map(|standing| standing.mark.clone());
        let mark = || Some(Arc::new(self.mark(&job.origin, job.item.as_ref().ok()?)));
        Some((ledger, known.or_else(mark)?))
    }
}

impl Target {
    /// By what it is known that this target has the event.
    pub(crate) fn mark(&self, origin: &Origin, event: &Event) -> Mark {
        Mark {
            receiver: origin.source.clone(),
            target: self.id.0.clone(),
            source: event.source().to_owned(),
            id: event.id().to_owned(),
        }
    }
}

/// Tells breaker and job of a failed attempt, and gives back what the decision needs.
fn note_failure(
    state: &mut State,
    running: &mut Running<'_>,
    error: &Error,
    verdict: Verdict,
    ended: Instant,
) -> Attempt {
    let down = is_down(error.http_status()) && error.retry() != Retry::Permanent;
    if down {
        state.breaker.failed(ended, running.probe);
    } else {
        state.breaker.succeeded(ended);
    }
    // What cannot even be written into a request fails by itself, whatever the function's state.
    let was_probe = std::mem::take(&mut running.probe);
    let counts = (error.sent() || verdict == Verdict::Refused) && !(was_probe && down);
    let open = state.breaker.open_total(ended);
    let job = running.job();
    if counts && job.attempts == 0 {
        state.budget.deposit();
    }
    job.attempts += u32::from(counts);
    job.failures = job.failures.saturating_add(1);
    let open_since = open.saturating_sub(Duration::from_nanos(job.open_before_ns));
    let elapsed = ended.saturating_duration_since(job.admitted).saturating_sub(open_since);
    let Job { attempts, carried, failures, .. } = *job;
    Attempt { verdict, counts, attempts, carried, failures, elapsed, retry_after: error.retry_after() }
}

fn reason(code: Code, error: &Error) -> Reason {
    Reason { code, status: error.http_status(), detail: error.message().to_owned() }
}

/// The wall clock, for people: nothing is decided by it.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
