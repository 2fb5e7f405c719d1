//! The start of a timeline: where in a trace it is, and whether it is sampled.

use crate::{
    config::{Propagator, Sampling},
    context::{self, Carrier, Found},
    lock,
};
use outrigger_core::{
    Event, Timeline,
    timeline::{Place, Trace},
};
use std::{
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

pub(crate) struct Begin {
    sampling: Sampling,
    /// A trace whose id ends in less is sampled.
    threshold: u64,
    propagators: Vec<Propagator>,
    baggage: Vec<String>,
    carrier: Arc<Carrier>,
    rng: Mutex<fastrand::Rng>,
}

impl Begin {
    pub(crate) fn new(
        sampling: Sampling,
        propagators: &[Propagator],
        baggage: Vec<String>,
        rng: Mutex<fastrand::Rng>,
    ) -> Self {
        let carrier = Arc::new(Carrier::new(propagators));
        let threshold = threshold(sampling.ratio);
        Self { sampling, threshold, propagators: propagators.to_vec(), baggage, carrier, rng }
    }

    /// Says where in a trace the event is that came with these headers.
    pub(crate) fn begin(&self, event: Option<&Event>, headers: &[(String, String)], timeline: &Timeline) {
        let of_event = event.and_then(|event| event.text("traceparent"));
        let of_event = of_event.and_then(|text| context::traceparent(&text));
        let found = context::find(&self.propagators, &self.baggage, headers);
        timeline.set_trace(self.trace(found, of_event));
    }

    fn trace(&self, found: Found, of_event: Option<Place>) -> Trace {
        let (random, span) = {
            let mut rng = lock(&self.rng);
            (rng.u128(1..), rng.u64(1..))
        };
        let mut links = Vec::new();
        // Many events of one request have no one parent: each begins a trace and names the request's.
        let parent = match found.place {
            Some(place) if found.is_batch => {
                links.push(place);
                None
            }
            place => place,
        };
        let is_other =
            |began: &Place| parent.is_none_or(|it| (it.trace, it.span) != (began.trace, began.span));
        links.extend(of_event.filter(is_other));
        let root = found.root.filter(|_| !found.is_batch);
        let trace = parent.map(|parent| parent.trace).or(root).unwrap_or_else(|| self.fresh(random));
        let told = found.sampled.filter(|_| self.sampling.parent_based && !found.is_batch);
        let sampled = told.unwrap_or_else(|| self.is_sampled(trace));
        Trace {
            own: Place { trace, span, sampled },
            parent: parent.map(|parent| parent.span),
            parent_is_remote: parent.is_some(),
            links,
            state: found.state.filter(|_| parent.is_some()),
            baggage: found.baggage,
            carrier: self.carrier.clone(),
        }
    }

    /// AWS takes no trace whose id does not begin with the time.
    fn fresh(&self, random: u128) -> u128 {
        if !self.propagators.contains(&Propagator::XRay) {
            return random;
        }
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        u128::from(seconds & 0xffff_ffff) << 96 | random >> 32
    }

    /// As other parts of the same trace decide, by the last 8 bytes of its id.
    fn is_sampled(&self, trace: u128) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "the last bytes are meant")]
        let random = trace as u64 >> 1;
        random < self.threshold
    }
}

fn threshold(ratio: f64) -> u64 {
    const ALL: u64 = 1 << 63;
    if ratio >= 1.0 {
        return ALL;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it lies between 0 and 2^63"
    )]
    let threshold = (ratio.max(0.0) * ALL as f64) as u64;
    threshold
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrigger_core::{About, Value, event::hop};
    use std::time::Instant;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn begin(ratio: f64, parent_based: bool) -> Begin {
        let sampling = Sampling { ratio, parent_based };
        let propagators = [Propagator::TraceContext, Propagator::Baggage];
        Begin::new(sampling, &propagators, vec!["tenant".into()], Mutex::new(fastrand::Rng::with_seed(1)))
    }

    fn begun(begin: &Begin, event: Option<&Event>, headers: &[(&str, &str)]) -> Timeline {
        let timeline =
            Timeline::start(Instant::now(), About::request(&"http".into(), ["POST", "/", "http"], 0));
        let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        begin.begin(event, &headers, &timeline);
        timeline
    }

    #[test]
    fn it_goes_on_with_the_trace_of_its_hop_and_links_the_one_in_which_the_event_began() {
        let mut event = Event::new("1", "/s", "t").unwrap();
        let origin = "00-11111111111111111111111111111111-2222222222222222-01";
        event.set("traceparent", Value::String(origin)).unwrap();
        let timeline =
            begun(&begin(0.0, true), Some(&event), &[("traceparent", PARENT), ("tracestate", "a=b")]);
        let trace = timeline.trace().unwrap();
        assert_eq!(trace.own.trace, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((trace.parent, trace.own.sampled), (Some(0xb7ad_6b71_6920_3331), true));
        assert_eq!(trace.links.iter().map(|link| link.span).collect::<Vec<_>>(), [0x2222_2222_2222_2222]);
        assert_eq!(trace.state.as_deref(), Some("a=b"));
        assert_eq!(event.text("traceparent").as_deref(), Some(origin), "it is the event's own");
    }

    #[test]
    fn the_events_own_span_is_linked_also_within_the_same_trace() {
        let links = |of_event: &str| {
            let mut event = Event::new("1", "/s", "t").unwrap();
            event.set("traceparent", Value::String(of_event)).unwrap();
            let timeline = begun(&begin(1.0, true), Some(&event), &[("traceparent", PARENT)]);
            timeline.trace().unwrap().links.iter().map(|link| link.span).collect::<Vec<_>>()
        };
        let other = "00-0af7651916cd43dd8448eb211c80319c-2222222222222222-01";
        assert_eq!((links(other), links(PARENT)), (vec![0x2222_2222_2222_2222], vec![]));
    }

    #[test]
    fn a_root_alone_is_gone_on_with_and_a_decision_alone_holds() {
        let begin = |ratio| {
            let sampling = Sampling { ratio, parent_based: true };
            let rng = Mutex::new(fastrand::Rng::with_seed(1));
            Begin::new(sampling, &[Propagator::XRay, Propagator::B3], Vec::new(), rng)
        };
        let root = ("x-amzn-trace-id", "Root=1-58406520-a006649127e371903a2de979");
        for ratio in [0.0, 1.0] {
            let timeline = begun(&begin(ratio), None, &[root]);
            let trace = timeline.trace().unwrap();
            assert_eq!((trace.parent, trace.own.sampled), (None, ratio > 0.5), "nobody decided");
            assert_eq!(trace.own.trace, 0x5840_6520_a006_6491_27e3_7190_3a2d_e979);
        }
        let sampled = |value| begun(&begin(1.0), None, &[("b3", value)]).trace().unwrap().own.sampled;
        assert_eq!(["0", "1"].map(sampled), [false, true]);
    }

    #[test]
    fn the_events_of_a_batch_begin_traces_and_link_that_of_its_request() {
        let timeline = begun(&begin(1.0, true), None, &[("traceparent", PARENT), (hop::BATCH, "2")]);
        let trace = timeline.trace().unwrap();
        assert_eq!((trace.parent, trace.links.len()), (None, 1));
        assert_ne!(trace.own.trace, trace.links[0].trace);
    }

    #[test]
    fn the_ratio_holds_for_what_has_no_parent_and_for_all_where_parents_are_not_asked() {
        let sampled = |begin: &Begin, headers: &[(&str, &str)]| {
            (0..10_000).filter(|_| begun(begin, None, headers).trace().unwrap().own.sampled).count()
        };
        let some = sampled(&begin(0.25, true), &[]);
        assert!((2_300..2_700).contains(&some), "{some} of 10,000");
        assert_eq!(sampled(&begin(0.0, true), &[]), 0);
        assert_eq!(sampled(&begin(1.0, true), &[]), 10_000);
        let unsampled = [("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")];
        assert_eq!(sampled(&begin(1.0, true), &unsampled), 0);
        assert_eq!(sampled(&begin(1.0, false), &unsampled), 10_000);
    }
}
