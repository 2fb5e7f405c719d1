//! Functions that fail: the rows 12 to 18 of the fault matrix on the shipped binary, and outages as a whole.

mod common;

use common::Site;
use outrigger_function::{
    Fault, Function, Match, Program, Record, Rule,
    program::{Action, Payload},
    server::Setup,
};
use outrigger_testkit::{Mode, Oracle, Outgoing, Process, Proxy, Trouble, free_port};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A function, and outrigger before it with waits of milliseconds.
struct Pair {
    function: Function,
    site: Site,
    oracle: Oracle,
    _process: Process,
}

impl Pair {
    async fn start(program: Program, change: impl FnOnce(Site) -> Site) -> Self {
        // A port that no client takes while nobody listens there.
        let function = give_back(SocketAddr::from(([127, 0, 0, 1], free_port())), program);
        let site = change(quick(Site::of(&function)));
        let process = site.start().await;
        Self { function, site, oracle: Oracle::default(), _process: process }
    }

    async fn send(&self, id: &str) {
        send(&self.site, &self.oracle, id).await;
    }

    /// A fresh event is delivered, and with it everything that is owed.
    async fn all_is_well(&self) {
        self.send("fresh").await;
        let log = delivered(&self.function, "fresh").await;
        assert_eq!(log.last().map(|record| record.status), Some(Some(200)));
        self.oracle.judge_at(&self.function).assert_clean(0);
    }
}

fn quick(site: Site) -> Site {
    let site = site.set("delivery.backoff.initial", "5ms").set("delivery.backoff.max", "50ms");
    let site = site.set("delivery.breaker.open", "20ms").set("delivery.breaker.open_max", "100ms");
    site.set("function.timeout", "1s").set("function.connect_timeout", "200ms")
}

async fn send(site: &Site, oracle: &Oracle, id: &str) {
    let event = Outgoing::new(id, Some("key"));
    oracle.sending(&event);
    assert_eq!(site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
    oracle.acknowledged(id);
}

/// Waits for the success of `id` and returns its attempts.
async fn delivered(function: &Function, id: &str) -> Vec<Record> {
    let attempts =
        || function.log().into_iter().filter(|record| record.id.as_deref() == Some(id)).collect::<Vec<_>>();
    function.wait_for(|_| attempts().iter().any(|record| record.status == Some(200))).await;
    attempts()
}

fn twice(act: Action) -> Program {
    Program::default().rule(Rule::new(Match::id("1"), act).until(2))
}

/// From the end of each attempt to the start of the next, in milliseconds.
fn waits_ms(attempts: &[Record]) -> Vec<u64> {
    let wait = |pair: &[Record]| (pair[1].started_us - pair[0].ended_us.unwrap()) / 1000;
    attempts.windows(2).map(wait).collect()
}

#[tokio::test]
async fn row_12_server_errors_and_broken_connections_are_tried_again() {
    let statuses = [404, 408, 409, 500, 502, 503, 504].map(Action::status);
    let faults = [Fault::ResetBefore, Fault::CloseBefore, Fault::Hang].map(Action::fault);
    for act in statuses.into_iter().chain(faults) {
        let pair = Pair::start(twice(act.clone()), |site| site).await;
        pair.send("1").await;
        let attempts = delivered(&pair.function, "1").await;
        assert_eq!(attempts.len(), 3, "{act:?}");
        assert_eq!(pair.site.status().await["dead_lettered"], 0, "{act:?}");
        pair.all_is_well().await;
    }
}

#[tokio::test]
async fn row_12_the_wait_grows_and_is_random() {
    let always = Rule::new(Match::id("1"), Action::status(500)).until(7);
    let waits = |site: Site| {
        let site = site.set("delivery.backoff.initial", "20ms").set("delivery.backoff.max", "10s");
        site.set("delivery.attempts_max", "8")
    };
    let pair = Pair::start(Program::default().rule(always), waits).await;
    pair.send("1").await;
    let waits = waits_ms(&delivered(&pair.function, "1").await);
    assert_eq!(waits.len(), 7);
    // Ceilings from 20 to 1280 ms: three waits in a row below 10 ms come once in 10,000 runs or less.
    assert!(waits[4..].iter().any(|wait| *wait > 10), "{waits:?}");
    assert!(waits.windows(2).any(|pair| pair[0] != pair[1]), "{waits:?}");
}

#[tokio::test]
async fn row_12_a_refused_connection_is_no_attempt() {
    let (mut pair, address) = {
        let pair = Pair::start(Program::default(), |site| site.set("delivery.attempts_max", "1")).await;
        let address = pair.function.addr();
        (pair, address)
    };
    take_away(&mut pair.function);
    pair.send("1").await;
    pair.site.until("the breaker is open", |status| status["breaker_open"] == true).await;
    pair.function = give_back(address, Program::default());
    assert_eq!(delivered(&pair.function, "1").await.len(), 1);
    assert_eq!(pair.site.status().await["dead_lettered"], 0);
    pair.all_is_well().await;
}

/// Stops the function; something else stands in its place until [`give_back`].
fn take_away(function: &mut Function) {
    std::mem::replace(function, Function::start(Program::default())).stop();
}

fn give_back(address: SocketAddr, program: Program) -> Function {
    Function::start_with(Setup { address, program, ..Setup::default() }).expect("the port is free again")
}

#[tokio::test]
async fn row_13_a_retry_after_is_honoured() {
    for status in [429, 503] {
        let act = Action { retry_after: Some("1".to_owned()), ..Action::status(status) };
        let once = Program::default().rule(Rule::new(Match::id("1"), act).until(1));
        let pair = Pair::start(once, |site| site.set("delivery.backoff.max", "5s")).await;
        pair.send("1").await;
        let waits = waits_ms(&delivered(&pair.function, "1").await);
        assert!(matches!(waits[..], [1000..3000]), "{status}: {waits:?}");
        pair.all_is_well().await;
    }
}

#[tokio::test]
async fn row_13_a_retry_after_is_capped() {
    let act = Action { retry_after: Some("3600".to_owned()), ..Action::status(429) };
    let pair = Pair::start(twice(act), |site| site.set("delivery.backoff.max", "200ms")).await;
    pair.send("1").await;
    let waits = waits_ms(&delivered(&pair.function, "1").await);
    assert!(waits.len() == 2 && waits.iter().all(|wait| (200..5000).contains(wait)), "{waits:?}");
    pair.all_is_well().await;
}

#[tokio::test]
async fn row_14_a_refusal_is_a_dead_letter_at_once() {
    let pair = Pair::start(Program::default(), |site| site).await;
    for (number, status) in (1..).zip([400, 401, 403, 413, 415, 422]) {
        let id = status.to_string();
        let body = Some(Payload::Text(format!("no {status} for you")));
        let refusal = Rule::new(Match::id(&id), Action { body, ..Action::status(status) });
        pair.function.set_program(Program::default().rule(refusal));
        pair.send(&id).await;
        pair.site.until_dead(number).await;
        pair.oracle.accounted(&id);
        let letter = pair.site.letters().await.pop().unwrap();
        assert_eq!(
            (&letter["event_id"], &letter["reason"]),
            (&id.clone().into(), &"refused".into()),
            "{letter}"
        );
        assert_eq!((&letter["status"], &letter["attempts"]), (&status.into(), &1.into()), "{letter}");
        assert!(letter["detail"].as_str().unwrap().contains("for you"), "{letter}");
    }
    pair.all_is_well().await;
}

#[tokio::test]
async fn row_14_what_a_status_means_can_be_configured() {
    let rules = [("1", 422), ("2", 404)]
        .map(|(id, status)| Rule::new(Match::id(id), Action::status(status)).until(1));
    let program = rules.into_iter().fold(Program::default(), Program::rule);
    let meaning = |site: Site| site.set("function.statuses", "{\"422\": retry, \"404\": refused}");
    let pair = Pair::start(program, meaning).await;
    pair.send("1").await;
    assert_eq!(delivered(&pair.function, "1").await.len(), 2);
    pair.send("2").await;
    pair.site.until_dead(1).await;
    pair.oracle.accounted("2");
    assert_eq!(pair.site.letters().await[0]["status"], 404);
    pair.all_is_well().await;
}

#[tokio::test]
async fn row_15_a_redirect_is_not_followed() {
    let elsewhere = Function::start(Program::default());
    let pair = Pair::start(Program::default(), |site| site).await;
    for (number, status) in (1..).zip([301, 302, 303, 307, 308]) {
        let id = status.to_string();
        let redirect = Some(format!("{}/there?secret=1", elsewhere.url()));
        let rule = Rule::new(Match::id(&id), Action { redirect, ..Action::status(status) });
        pair.function.set_program(Program::default().rule(rule));
        pair.send(&id).await;
        pair.site.until_dead(number).await;
        pair.oracle.accounted(&id);
        let letter = pair.site.letters().await.pop().unwrap();
        assert_eq!((&letter["status"], &letter["attempts"]), (&status.into(), &1.into()), "{letter}");
        let detail = letter["detail"].as_str().unwrap();
        assert!(detail.contains("/there") && !detail.contains("secret"), "{detail}");
    }
    assert_eq!(elsewhere.stats().received, 0);
    pair.all_is_well().await;
}

#[tokio::test]
async fn row_16_a_stalled_reply_ends_at_the_total_deadline() {
    for fault in [Fault::StallHeaders, Fault::StallBody, Fault::Hang] {
        let stalls = Program::default().rule(Rule::new(Match::id("1"), Action::fault(fault)));
        let pair = Pair::start(stalls, |site| site.set("ingress.http.sync", "true")).await;
        let asked = Instant::now();
        let answer = pair.site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
        assert_eq!(answer.status(), 504, "{fault:?}: {:?}", answer.body());
        let took = asked.elapsed();
        assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&took), "{fault:?}: {took:?}");
        let fresh = pair.site.producer().send(&Outgoing::new("fresh", None), Mode::Binary).await.unwrap();
        assert_eq!(fresh.status(), 200, "{fault:?}");
        pair.function.wait_for(|stats| stats.running == 0).await; // the stalled call was given up
    }
}

#[tokio::test]
async fn row_16_a_failure_whose_words_stall_is_tried_again() {
    for fault in [Fault::StallHeaders, Fault::StallBody] {
        let act = Action { status: Some(500), ..Action::fault(fault) };
        let pair = Pair::start(twice(act), |site| site).await;
        pair.send("1").await;
        assert_eq!(delivered(&pair.function, "1").await.len(), 3, "{fault:?}");
        pair.all_is_well().await;
    }
}

#[tokio::test]
async fn row_17_a_half_open_connection_is_given_up_and_a_new_one_made() {
    let function = Function::start(Program::default());
    let proxy = Proxy::start(function.addr());
    let site = quick(Site::at(&format!("http://{}", proxy.addr())));
    let (_process, oracle) = (site.start().await, Oracle::default());
    send(&site, &oracle, "1").await;
    site.until("the first delivery", |status| status["delivered"] == 1).await;
    let connections = proxy.connections();
    proxy.set(Trouble::Swallow);
    send(&site, &oracle, "2").await;
    site.until("a retry", |status| status["retried"].as_u64() >= Some(1)).await;
    proxy.set(Trouble::None);
    delivered(&function, "2").await;
    assert!(proxy.connections() > connections, "the dead connection was used again");
    oracle.judge_at(&function).assert_clean(0);
}

#[tokio::test]
async fn row_18_a_truncated_reply_is_a_failure_where_the_reply_is_used_and_nowhere_else() {
    for fault in [Fault::Truncate, Fault::ResetBody, Fault::ResetHeaders] {
        let breaks = Program::default().rule(Rule::new(Match::id("1"), Action::fault(fault)));
        let pair = Pair::start(breaks.clone(), |site| site.set("ingress.http.sync", "true")).await;
        let answer = pair.site.producer().send(&Outgoing::new("1", None), Mode::Binary).await.unwrap();
        assert!(answer.status().is_server_error(), "{fault:?}: {answer:?}");

        let pair = Pair::start(breaks, |site| site).await;
        pair.send("1").await;
        pair.site.until("the delivery", |status| status["delivered"] == 1).await;
        assert_eq!(pair.function.stats().received, 1, "{fault:?}: the function has it");
        pair.oracle.accounted("1");
        pair.all_is_well().await;
    }
}

/// Sends a hundred events of ten keys into an outage, ends it, and wants every event once.
async fn outlive(mut pair: Pair, begin: impl FnOnce(&mut Pair), end: impl FnOnce(&mut Pair)) {
    begin(&mut pair);
    for n in 0..100 {
        let event = Outgoing::new(&n.to_string(), Some(&(n % 10).to_string()));
        pair.oracle.sending(&event);
        assert_eq!(pair.site.producer().send(&event, Mode::Binary).await.unwrap().status(), 202);
        pair.oracle.acknowledged(&event.id);
    }
    let (status, text) = pair.site.until_readyz("function: down").await;
    assert_eq!(status, 503, "{text}");
    let since = Instant::now();
    let probes = pair.site.metric("outrigger_events_retried_total").await + 5.0;
    // Probes go on while it is down, and it is down for longer than an event may be tried.
    while pair.site.metric("outrigger_events_retried_total").await < probes || since.elapsed() < DEADLINE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(pair.site.status().await["dead_lettered"], 0);
    end(&mut pair);
    pair.site.until("all are delivered", |status| status["delivered"] == 100).await;
    let (status, text) = pair.site.until_readyz("[+] function").await;
    assert_eq!(status, 200, "{text}");
    pair.all_is_well().await;
    // The function answered the last one; it is settled a moment later.
    let status = pair.site.until("the last is settled", |status| status["delivered"] == 101).await;
    assert_eq!(status["dead_lettered"], 0, "{status}");
}

/// How long an event may be tried where an outage is to outlast it.
const DEADLINE: Duration = Duration::from_secs(2);

/// The breaker opens before a lone event has used up its attempts: which event comes first must not matter.
fn few_attempts(site: Site) -> Site {
    let site = site.set("delivery.attempts_max", "3").set("delivery.deadline", "2s");
    site.set("delivery.breaker.failures", "2")
        .set("function.timeout", "300ms")
        .set("function.connect_timeout", "100ms")
}

#[tokio::test]
async fn a_function_that_is_gone_for_a_while_costs_no_event() {
    let pair = Pair::start(Program::default(), few_attempts).await;
    let address = pair.function.addr();
    let end = move |pair: &mut Pair| pair.function = give_back(address, Program::default());
    outlive(pair, |pair| take_away(&mut pair.function), end).await;
}

#[tokio::test]
async fn a_function_that_is_unavailable_hanging_or_resetting_for_a_while_costs_no_event() {
    for act in [Action::status(503), Action::fault(Fault::Hang), Action::fault(Fault::ResetBefore)] {
        let pair = Pair::start(Program::always(act), few_attempts).await;
        outlive(pair, |_| {}, |pair| pair.function.set_program(Program::default())).await;
    }
}
