use super::*;

/// Writes down the legs that it is asked for.
struct Carrier;

impl Carry for Carrier {
    fn carry(&self, trace: &Trace, leg: Leg, put: &mut dyn FnMut(&'static str, &str)) {
        put("leg", &format!("{leg:?} {}", trace.span(leg) != 0));
    }
}

fn about() -> About {
    About::request(&"proxy".into(), "GET", "/a", 7)
}

fn traced() -> Timeline {
    let timeline = Timeline::start(Instant::now(), about());
    timeline.set_trace(Trace {
        own: Place { trace: 1, span: 2, sampled: true },
        parent: Some(9),
        parent_is_remote: true,
        links: Vec::new(),
        state: None,
        baggage: None,
        carrier: Arc::new(Carrier),
    });
    timeline
}

fn carried(timeline: &Timeline) -> Vec<String> {
    let mut told = Vec::new();
    timeline.carry(&mut |_, value| told.push(value.to_owned()));
    told
}

#[test]
fn off_it_says_and_keeps_nothing() {
    let off = Timeline::off();
    off.note(Step::Parked, Instant::now());
    assert!(off.steps().is_empty() && off.about().is_none() && carried(&off).is_empty() && off.size() == 0);
    assert!(off.branches(2).iter().all(|branch| !branch.is_on()));
}

#[test]
fn the_next_hop_is_told_of_the_leg_that_is_under_way() {
    let timeline = traced();
    assert_eq!(carried(&timeline), ["Whole true"]);
    timeline.note(Step::Attempted(1), Instant::now());
    assert_eq!(carried(&timeline), ["Attempt(1) true"]);
    timeline.note(Step::Answered(Answer { status: 200, failed: None }), Instant::now());
    assert_eq!(carried(&timeline), ["Attempt(1) true"]);
    timeline.note(Step::Replying, Instant::now());
    assert_eq!(carried(&timeline), ["Reply(4) true"]);
}

#[test]
fn an_event_that_is_tried_for_days_keeps_its_beginning_and_its_end() {
    let timeline = traced();
    for attempt in 1..2_000 {
        timeline.note(Step::Attempted(attempt), Instant::now());
    }
    timeline.note(Step::Settled(Ending::Acknowledged), Instant::now());
    let steps: Vec<_> = timeline.steps().into_iter().map(|(step, _)| step).collect();
    assert_eq!((steps.len(), steps[0]), (STEPS_MAX, Step::Received));
    assert_eq!(steps[STEPS_MAX - 2..], [Step::Attempted(1_999), Step::Settled(Ending::Acknowledged)]);
}

#[test]
fn the_last_branch_to_end_ends_the_trunk() {
    let trunk = traced();
    let branches = trunk.branches(2);
    let spans: Vec<_> = branches.iter().map(|branch| branch.trace().unwrap().own.span).collect();
    assert!(spans[0] != spans[1] && branches.iter().all(|branch| branch.trace().unwrap().parent == Some(2)));
    assert!(branches[1].ended_trunk().is_none());
    assert_eq!(branches[0].ended_trunk().and_then(|trunk| Some(trunk.trace()?.own.span)), Some(2));
    assert!(trunk.ended_trunk().is_none(), "it is no branch");
}

#[test]
fn every_leg_has_a_span_of_its_own() {
    let timeline = traced();
    let trace = timeline.trace().unwrap();
    let legs = [
        Leg::Whole,
        Leg::Receive,
        Leg::Settle,
        Leg::Queue(1),
        Leg::Attempt(1),
        Leg::Attempt(2),
        Leg::Reply(1),
    ];
    let spans: std::collections::HashSet<_> = legs.map(|leg| trace.span(leg)).into_iter().collect();
    assert_eq!(spans.len(), legs.len());
}

#[test]
fn what_most_events_need_lies_in_one_piece_of_memory() {
    let bytes = size_of::<Record>() + 2 * size_of::<usize>(); // and the counts of its `Arc`
    assert!(bytes <= 448, "{bytes} bytes are allocated for every event that is observed");
}
