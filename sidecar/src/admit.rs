//! The first step inside: what every delivery passes before its lane.

use crate::{
    control::Control,
    dispatch::{Spill, Target, now},
    route::Routes,
    telemetry::{Metrics, RuleCounts},
    transform::{self, Changed},
};
use outrigger_core::{
    About, Admit, Annotate, BoxFuture, Code, Delivery, Event, Fate, Key, Reason, Settlement, Step, Timeline,
};
use std::sync::Arc;

/// Does to each event what the rules say, lets plugins see it, then puts it into the lanes of its targets.
pub struct Admission {
    /// Rules of the user.
    pub rules: Vec<transform::Rule>,
    /// Plugins that add attributes.
    pub annotators: Vec<Arc<dyn Annotate>>,
    /// The function: where everything goes without rules.
    pub target: Arc<Target>,
    /// The rules, where there are some.
    pub router: Option<Router>,
    /// What control events reach, where there is anything.
    pub control: Option<Arc<Control>>,
}

impl Admit for Admission {
    fn admit(&self, mut delivery: Delivery) {
        if let (Some(control), Ok(event)) = (&self.control, &delivery.item)
            && control.takes(&delivery.origin.source, event)
        {
            return delivery.receipt.settle(Settlement::Ack(None));
        }
        // What is for one target alone has passed them before.
        let is_to_rule = !self.rules.is_empty() && delivery.origin.aim().is_none();
        let ruled = if is_to_rule { self.rule(&mut delivery) } else { Ok(()) };
        if let Ok(event) = &mut delivery.item
            && ruled.is_ok()
        {
            for annotator in &self.annotators {
                annotator.annotate(event);
            }
        }
        if self.target.is_observed() {
            self.observe(&mut delivery);
        }
        if let Err(reason) = ruled {
            return self.target.give_up_untried(delivery, reason);
        }
        match &self.router {
            Some(router) => router.admit(delivery),
            None if delivery.origin.aim().is_none() => self.target.push(delivery),
            None => aimed(&[Lanes::of(self.target.clone())], delivery),
        }
    }

    fn is_sated(&self) -> bool {
        match &self.router {
            Some(router) => router.bound_by_window().any(Target::is_sated),
            None => self.target.is_sated(),
        }
    }

    fn hungry(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let Some(router) = &self.router else { return self.target.hungry().await };
            for target in router.bound_by_window() {
                target.hungry().await; // at once, but for the one that is sated
            }
        })
    }

    fn sweep(&self) {
        match &self.router {
            Some(router) => router.lanes.iter().for_each(Lanes::sweep),
            None => self.target.sweep(),
        }
    }
}

/// The way into the lanes of a target.
pub struct Lanes {
    target: Arc<Target>,
    /// What takes what finds no room there; without one the window is the bound.
    spill: Option<Arc<Spill>>,
}

impl Lanes {
    /// Those of `target`, bounded by the window alone.
    #[must_use]
    pub fn of(target: Arc<Target>) -> Self {
        Self { target, spill: None }
    }

    /// The same with `spill` for what finds no room.
    #[must_use]
    pub fn spilling(target: Arc<Target>, spill: Option<Arc<Spill>>) -> Self {
        Self { target, spill }
    }

    fn push(&self, delivery: Delivery, is_shared: bool) {
        match &self.spill {
            Some(spill) => spill.push(delivery, is_shared),
            None if is_shared => self.target.push_shared(delivery),
            None => self.target.push(delivery),
        }
    }

    fn sweep(&self) {
        if let Some(spill) = &self.spill {
            spill.sweep();
        }
        self.target.sweep();
    }
}

impl Admission {
    /// Begins the event's timeline.
    fn observe(&self, delivery: &mut Delivery) {
        delivery.timeline = Timeline::start(now(), About::event(delivery));
        self.target.began(delivery.item.as_mut().ok(), &delivery.origin.headers, &delivery.timeline);
    }

    /// Does what the rules say, or leaves the event as it came.
    fn rule(&self, delivery: &mut Delivery) -> Result<(), Reason> {
        let Ok(event) = &mut delivery.item else { return Ok(()) };
        match transform::transformed(&self.rules, &delivery.origin.source, event) {
            Ok(None) => Ok(()),
            Ok(Some(Changed { event: changed, key })) => {
                *event = changed;
                if key.is_some() {
                    delivery.key = key;
                }
                Ok(())
            }
            Err(failed) => Err(Reason { code: Code::Rule, status: None, detail: failed.to_string() }),
        }
    }
}

/// Puts events into the lanes of the targets that the rules name.
pub struct Router {
    routes: Routes,
    /// Those of the function first, then the others' at their places.
    lanes: Vec<Lanes>,
    counts: RuleCounts,
    /// What discards where no rule fits.
    otherwise: Arc<str>,
}

impl Router {
    /// The targets that hold up the others once their events fill the window.
    fn bound_by_window(&self) -> impl Iterator<Item = &Target> {
        self.lanes.iter().filter(|lanes| lanes.spill.is_none()).map(|lanes| &*lanes.target)
    }

    /// Goes by `routes` into `lanes`, of which the first are the function's.
    #[must_use]
    pub fn new(routes: Routes, lanes: Vec<Lanes>, metrics: &Metrics) -> Self {
        let counts = RuleCounts::new(metrics, routes.rules().iter().map(|rule| &*rule.name));
        Self { routes, lanes, counts, otherwise: "otherwise".into() }
    }

    fn admit(&self, delivery: Delivery) {
        let Ok(event) = &delivery.item else {
            return self.lanes[0].push(delivery, false); // what is no event fits no rule: it becomes a dead letter there
        };
        if delivery.origin.aim().is_some() {
            return aimed(&self.lanes, delivery);
        }
        let way = self.routes.way(event, |rule| self.counts.failed(rule));
        self.counts.routed(way.by, way.to.is_empty());
        match &*way.to {
            [] => {
                let by = way.by.map_or(&self.otherwise, |rule| &self.routes.rules()[rule].name);
                delivery.receipt.became(by, Fate::Discarded, 0);
                let settlement = Settlement::Ack(None);
                if self.lanes[0].target.is_observed() {
                    delivery.timeline.note(Step::Routed(0), now());
                    self.lanes[0].target.note_ended((&delivery.item, &delivery.timeline), &settlement, now());
                }
                delivery.receipt.settle(settlement);
            }
            [only] => self.lanes[*only].push(delivery, false),
            several => self.fan_out(delivery, several),
        }
    }

    /// A copy for each, which share the data; the event is settled once all are.
    fn fan_out(&self, delivery: Delivery, places: &[usize]) {
        let lanes: Vec<_> = places.iter().map(|place| &self.lanes[*place]).collect();
        let ids: Vec<_> = lanes.iter().map(|lanes| lanes.target.id().clone()).collect();
        let Delivery { item, key, origin, received_ms, attempts, once, timeline, receipt } = delivery;
        let receipts = receipt.split(&ids, Some(self.lanes[0].target.id()));
        let timelines = timeline.branches(lanes.len(), now());
        self.lanes[0].target.branched(&timelines);
        for ((lanes, receipt), timeline) in lanes.into_iter().zip(receipts).zip(timelines) {
            let copy = Delivery {
                item: item.clone(),
                key: key.clone(),
                origin: origin.clone(),
                received_ms,
                attempts,
                once,
                timeline,
                receipt,
            };
            lanes.push(copy, true);
        }
    }
}

/// What is for one target alone goes there. Where that one is no more, it stays a dead letter.
fn aimed(lanes: &[Lanes], delivery: Delivery) {
    let aim = delivery.origin.aim().cloned().unwrap_or_default();
    if let Some(lanes) = lanes.iter().find(|lanes| lanes.target.id().0 == aim) {
        return lanes.push(delivery, false);
    }
    let detail = format!("it is for the target {aim}, which the configuration does not name any more");
    let reason = Reason { code: Code::Refused, status: None, detail };
    lanes[0].target.give_up_untried(delivery, reason);
}

/// The attributes that may be an event's ordering key; the first that it has, is.
#[derive(Debug, Clone)]
pub struct Keys(pub Vec<String>);

impl Keys {
    /// The key of `event` as `source` sent it; `None` leaves it unordered.
    #[must_use]
    pub fn of(&self, source: &str, event: &Event) -> Option<Key> {
        let key = self.0.iter().find_map(|name| event.text(name))?;
        Some(Key::new(source, key.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::{OnPoison, Parts, Settings};
    use outrigger_core::{
        BoxFuture, Call, CallCx, DeadLetter, DeadLetters, Observe, Origin, Position, Receipt, Reply, Result,
        Step, TargetId, Value,
        decide::{backoff::Backoff, breaker, step::Policy, verdict::Statuses},
    };
    use std::{
        sync::Mutex,
        time::{Duration, Instant},
    };

    /// A plugin's places on the path, and the function, writing down what they see.
    #[derive(Default)]
    struct Spy(Mutex<Vec<String>>);

    impl Spy {
        fn note(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    impl Annotate for Spy {
        fn annotate(&self, event: &mut Event) {
            event.set("priorityclass", Value::String("urgent")).unwrap();
        }
    }

    impl Observe for Spy {
        fn finished(&self, event: Option<&Event>, settlement: &Settlement, timeline: &Timeline) {
            let steps: Vec<Step> = timeline.steps().into_iter().map(|(step, _)| step).collect();
            let acked = matches!(settlement, Settlement::Ack(_));
            self.note(format!("finished {} {acked} {steps:?}", event.unwrap().id()));
        }
    }

    impl Call for Spy {
        fn call<'a>(&'a self, events: &'a [Event], _cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
            self.note(format!("call with {:?}", events[0].text("priorityclass")));
            Box::pin(std::future::ready(Ok(vec![Reply { status: 204, ..Reply::default() }])))
        }
    }

    impl DeadLetters for Spy {
        fn put<'a>(&'a self, _letter: &'a DeadLetter) -> BoxFuture<'a, Result<()>> {
            unreachable!("nothing fails here")
        }
    }

    fn target(spy: &Arc<Spy>) -> Arc<Target> {
        let settings = Settings {
            policy: Policy {
                attempts_max: 1,
                deadline: Duration::from_secs(1),
                backoff: Backoff { initial: Duration::ZERO, max: Duration::ZERO },
            },
            statuses: Statuses::default(),
            on_poison: OnPoison::Skip,
            concurrency: 1,
            per_second: None,
            hops_max: 16,
            retry_budget: (0.0, 1.0, 1.0),
            breaker: breaker::Settings { failures: 1, open: Duration::ZERO, open_max: Duration::ZERO },
        };
        let parts = Parts {
            call: spy.clone(),
            dead: spy.clone(),
            replies: None,
            ledger: None,
            shares: None,
            is_one_of_several: false,
            observers: vec![spy.clone()],
            metrics: Arc::new(Metrics::new().unwrap()),
            rng: fastrand::Rng::with_seed(1),
        };
        Target::new(TargetId("function".into()), settings, parts)
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_sees_an_event_before_its_lane_and_after_its_settlement() {
        let spy = Arc::new(Spy::default());
        let target = target(&spy);
        target.set_ready(true);
        let admission = Admission {
            rules: Vec::new(),
            annotators: vec![spy.clone()],
            target: target.clone(),
            router: None,
            control: None,
        };
        let (mut receipts, settled) = Receipt::batch(1);
        admission.admit(Delivery {
            item: Ok(Event::new("1", "/s", "t").unwrap()),
            key: None,
            origin: Origin { source: "test".into(), position: Position::none(), headers: Vec::new() },
            received_ms: 0,
            attempts: 0,
            once: None,
            timeline: Timeline::off(),
            receipt: receipts.remove(0),
        });
        settled.await;
        let steps = "[Received, Queued { wait: Nothing, ahead: 0 }, Attempted(1), Answered(Answer { status: 204, \
                     failed: None }), Settled(Acknowledged)]";
        let seen = spy.0.lock().unwrap().clone();
        assert_eq!(seen, [r#"call with Some("urgent")"#.to_owned(), format!("finished 1 true {steps}")]);
        assert!(target.drain(Instant::now()).await == 0);
    }

    #[test]
    fn the_first_attribute_that_an_event_has_is_its_key() {
        let mut event = Event::new("1", "/s", "t").unwrap();
        let keys = Keys(vec!["partitionkey".into(), "subject".into()]);
        assert_eq!(keys.of("http", &event), None);
        event.set("subject", Value::String("a")).unwrap();
        assert_eq!(keys.of("http", &event), Some(Key::new("http", b"a")));
        event.set("partitionkey", Value::String("b")).unwrap();
        assert_eq!(keys.of("http", &event), Some(Key::new("http", b"b")));
    }
}
