//! What `outrigger send` has done: counted while it runs, told at the end.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use hdrhistogram::Histogram;

use super::{
    client::{Outcome, Sent},
    input::Unreadable,
};

/// How many different complaints are told.
const COMPLAINTS_MAX: usize = 5;

/// The counts so far.
#[derive(Debug)]
pub(crate) struct Report {
    /// Where the events went, and in which mode.
    pub to: String,
    /// The mode's name.
    pub mode: &'static str,
    requests: u64,
    accepted: u64,
    refused_by_status: BTreeMap<u16, u64>,
    unanswered: u64,
    unreadable: u64,
    retries: u64,
    /// Microseconds of the answers.
    latency: Histogram<u64>,
    complaints: Vec<String>,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    /// Nothing sent yet.
    pub(crate) fn new(to: String, mode: &'static str) -> Self {
        Self {
            to,
            mode,
            requests: 0,
            accepted: 0,
            refused_by_status: BTreeMap::new(),
            unanswered: 0,
            unreadable: 0,
            retries: 0,
            latency: Histogram::new_with_bounds(1, 3_600_000_000, 3)
                .unwrap_or_else(|_| unreachable!("fixed bounds")),
            complaints: Vec::new(),
            interrupted: false,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts a request.
    pub(crate) fn count(&mut self, sent: &Sent) {
        self.requests += 1;
        self.retries += sent.retries;
        match &sent.outcome {
            Outcome::Accepted(_) => self.accepted += sent.events,
            Outcome::Refused(status, why) => {
                *self.refused_by_status.entry(status.as_u16()).or_default() += sent.events;
                self.complain(format!("refused with {status}: {why}"));
            }
            Outcome::Failed(why) => {
                self.unanswered += sent.events;
                self.complain(why.clone());
                return;
            }
            Outcome::Unanswered(why) | Outcome::Unreachable(why) => {
                self.unanswered += sent.events;
                self.complain(format!("no answer: {why}"));
                return;
            }
        }
        let micros = u64::try_from(sent.latency.as_micros()).unwrap_or(u64::MAX);
        self.latency.saturating_record(micros);
    }

    /// Counts what could not be read.
    pub(crate) fn skip(&mut self, unreadable: &Unreadable) {
        self.unreadable += 1;
        self.complain(format!("{}: {}", unreadable.place, unreadable.why));
    }

    /// Whether every event was accepted. An input without any is no fault: a query may find nothing today.
    pub(crate) fn is_good(&self) -> bool {
        self.sent() == self.accepted && self.unreadable == 0 && !self.interrupted
    }

    /// Whether any answer came at all.
    pub(crate) fn has_answers(&self) -> bool {
        self.sent() > self.unanswered
    }

    /// The events whose fate is known.
    pub(crate) fn sent(&self) -> u64 {
        self.accepted + self.refused() + self.unanswered
    }

    /// What went wrong, each once, the first few.
    pub(crate) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// The summary for programs. Latencies are those of answers, in milliseconds; nothing is finer than 0.001.
    pub(crate) fn json(&self) -> serde_json::Value {
        let latency = (!self.latency.is_empty())
            .then(|| serde_json::json!({ "p50": self.ms(0.5), "p99": self.ms(0.99), "max": self.ms(1.0) }));
        serde_json::json!({
            "to": self.to, "mode": self.mode, "sent": self.sent(), "requests": self.requests,
            "accepted": self.accepted, "refused": self.refused(), "refused_by_status": self.refused_by_status,
            "unanswered": self.unanswered, "unreadable": self.unreadable, "retries": self.retries,
            "interrupted": self.interrupted, "seconds": rounded(self.elapsed.as_secs_f64()),
            "events_per_second": rounded(self.per_second()), "latency_ms": latency,
        })
    }

    fn refused(&self) -> u64 {
        self.refused_by_status.values().sum()
    }

    fn complain(&mut self, complaint: String) {
        if self.complaints.len() < COMPLAINTS_MAX && !self.complaints.contains(&complaint) {
            self.complaints.push(complaint);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn per_second(&self) -> f64 {
        self.sent() as f64 / self.elapsed.as_secs_f64().max(1e-6)
    }

    #[expect(clippy::cast_precision_loss, reason = "an hour in microseconds fits")]
    fn ms(&self, quantile: f64) -> f64 {
        self.latency.value_at_quantile(quantile) as f64 / 1e3
    }
}

/// To 0.001: what is finer is noise, and tells of digits that were never measured.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sent() == 0 && self.is_good() {
            return f.write_str("nothing to send: the input holds no event");
        }
        let seconds = self.elapsed.as_secs_f64();
        let (sent, requests, rate) = (self.sent(), self.requests, self.per_second());
        writeln!(
            f,
            "sent      {sent} to {} in {seconds:.2} s ({rate:.0}/s, {requests} requests, {})",
            self.to, self.mode
        )?;
        write!(f, "accepted  {}", self.accepted)?;
        if self.refused() > 0 {
            let mut by_status = String::new();
            for (status, count) in &self.refused_by_status {
                let _ = write!(by_status, " {status}: {count}");
            }
            write!(f, "\nrefused   {} ({})", self.refused(), by_status.trim_start())?;
        }
        for (name, count) in
            [("unanswered", self.unanswered), ("unreadable", self.unreadable), ("retries", self.retries)]
        {
            if count > 0 {
                write!(f, "\n{name:<9} {count}")?;
            }
        }
        if !self.latency.is_empty() {
            write!(f, "\nlatency   p50 {:.1} ms, p99 {:.1} ms", self.ms(0.5), self.ms(0.99))?;
        }
        if self.interrupted { f.write_str("\nstopped before the end") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn sent(events: u64, outcome: Outcome) -> Sent {
        Sent { events, outcome, latency: Duration::from_millis(2), retries: 1 }
    }

    #[test]
    fn the_summary_counts_events_and_tells_each_complaint_once() {
        let mut report = Report::new("http://x/".to_owned(), "batch");
        report.count(&sent(10, Outcome::Accepted(bytes::Bytes::new())));
        for _ in 0..2 {
            report.count(&sent(3, Outcome::Refused(StatusCode::BAD_REQUEST, "no id".to_owned())));
        }
        report.count(&sent(1, Outcome::Unanswered("reset".to_owned())));
        report.elapsed = Duration::from_secs(1);
        assert_eq!(report.complaints(), ["refused with 400 Bad Request: no id", "no answer: reset"]);
        assert_eq!(
            report.to_string(),
            "sent      17 to http://x/ in 1.00 s (17/s, 4 requests, batch)\naccepted  10\nrefused   6 (400: 6)\n\
             unanswered 1\nretries   4\nlatency   p50 2.0 ms, p99 2.0 ms"
        );
        assert_eq!(report.json()["refused_by_status"], serde_json::json!({ "400": 6 }));
        assert!(!report.is_good());
    }

    #[test]
    fn an_empty_input_is_good_and_said_but_an_unreadable_one_is_not() {
        let mut report = Report::new(String::new(), "binary");
        assert!(report.is_good());
        assert_eq!(report.to_string(), "nothing to send: the input holds no event");
        assert_eq!(report.json()["sent"], 0);
        report.skip(&Unreadable { place: "a".to_owned(), why: "b".to_owned() });
        assert!(!report.is_good());
        let mut stopped = Report::new(String::new(), "binary");
        stopped.interrupted = true;
        assert!(!stopped.is_good());
    }

    #[test]
    fn figures_for_programs_have_three_decimals() {
        let mut report = Report::new(String::new(), "binary");
        for micros in [1_234, 2_345, 999_999] {
            let outcome = Outcome::Accepted(bytes::Bytes::new());
            report.count(&Sent { events: 1, outcome, latency: Duration::from_micros(micros), retries: 0 });
        }
        report.elapsed = Duration::from_nanos(1_234_567_890);
        let told = report.json();
        assert_eq!(told["seconds"], 1.235);
        for figure in [&told["events_per_second"], &told["latency_ms"]["p50"], &told["latency_ms"]["max"]] {
            let text = figure.to_string();
            assert!(text.split_once('.').is_none_or(|(_, decimals)| decimals.len() <= 3), "{text}");
        }
    }
}
