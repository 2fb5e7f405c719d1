//! The first step inside: what every delivery passes before its lane.

use crate::{
    dispatch::{Target, now},
    transform::{self, Changed},
};
use outrigger_core::{Admit, Annotate, Code, Delivery, Event, Key, Reason, Timeline};
use std::sync::Arc;

/// Does to each event what the rules say, lets plugins see it, then puts it into its target's lane.
pub struct Admission {
    /// Rules of the user.
    pub rules: Vec<transform::Rule>,
    /// Plugins that add attributes.
    pub annotators: Vec<Arc<dyn Annotate>>,
    /// The one target: routes come later.
    pub target: Arc<Target>,
}

impl Admit for Admission {
    fn admit(&self, mut delivery: Delivery) {
        let ruled = if self.rules.is_empty() { Ok(()) } else { self.rule(&mut delivery) };
        if let Ok(event) = &mut delivery.item
            && ruled.is_ok()
        {
            for annotator in &self.annotators {
                annotator.annotate(event);
            }
        }
        if self.target.is_observed() {
            delivery.timeline = Timeline::start(now());
        }
        match ruled {
            Ok(()) => self.target.push(delivery),
            Err(reason) => self.target.give_up_untried(delivery, reason),
        }
    }

    fn sweep(&self) {
        self.target.sweep();
    }
}

impl Admission {
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
    use crate::{
        dispatch::{OnPoison, Parts, Settings},
        telemetry::Metrics,
    };
    use outrigger_core::{
        BoxFuture, Call, CallCx, DeadLetter, DeadLetters, Observe, Origin, Position, Receipt, Reply, Result,
        Settlement, Step, TargetId, Value,
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
        fn finished(&self, event: &Event, settlement: &Settlement, timeline: &Timeline) {
            let steps: Vec<Step> = timeline.steps().into_iter().map(|(step, _)| step).collect();
            let acked = matches!(settlement, Settlement::Ack(_));
            self.note(format!("finished {} {acked} {steps:?}", event.id()));
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
        let admission =
            Admission { rules: Vec::new(), annotators: vec![spy.clone()], target: target.clone() };
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
        let steps = "[Received, Queued, Attempted, Answered, Settled]";
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
