use super::*;

/// Writes down the legs that it is asked for.
struct Carrier;

impl Carry for Carrier {
    fn carry(&self, trace: &Trace, leg: Leg, put: &mut dyn FnMut(&'static str, &str)) {
        put("leg", &format!("{leg:?} {}", trace.span(leg) != 0));
    }
}

fn about() -> About {
    About::request(&"proxy".into(), ["GET", "/a", "http"], 7)
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
    assert!(off.branches(2, Instant::now()).iter().all(|branch| !branch.is_on()));
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
    assert_eq!(carried(&timeline), ["Reply(1) true"]);
}

#[test]
fn an_event_that_is_tried_for_days_keeps_its_beginning_and_its_end_and_counts_every_try() {
    let timeline = traced();
    for attempt in 1..2_000 {
        timeline.note(Step::Attempted(attempt), Instant::now());
    }
    assert_eq!(carried(&timeline), ["Attempt(1999) true"]);
    timeline.note(Step::Settled(Ending::Acknowledged), Instant::now());
    let steps: Vec<_> = timeline.steps().into_iter().map(|(step, _)| step).collect();
    assert_eq!((steps.len(), steps[0], steps[FIRST - 1]), (STEPS_MAX, Step::Received, Step::Attempted(255)));
    let after = u32::try_from(STEPS_MAX - FIRST - 3).unwrap();
    assert_eq!(steps[FIRST..FIRST + 2], [Step::Omitted(1_999 - 255 - after), Step::OmittedReplies(0)]);
    assert_eq!(steps[STEPS_MAX - 2..], [Step::Attempted(1_999), Step::Settled(Ending::Acknowledged)]);
}

#[test]
fn a_reply_that_is_tried_for_days_is_told_by_its_number() {
    let timeline = traced();
    timeline.note(Step::Attempted(1), Instant::now());
    for number in 1..2_000 {
        timeline.note(Step::Replying, Instant::now());
        assert_eq!(carried(&timeline), [format!("Reply({number}) true")]);
        timeline.note(Step::Replied(false), Instant::now());
    }
    let replies = timeline.with_steps(|steps| steps.iter().map(|(step, _)| replies(*step)).sum::<u32>());
    assert_eq!(replies, 1_999);
}

#[test]
fn the_last_branch_to_end_ends_the_trunk() {
    let trunk = traced();
    let branches = trunk.branches(2, Instant::now());
    let spans: Vec<_> = branches.iter().map(|branch| branch.trace().unwrap().own.span).collect();
    assert!(spans[0] != spans[1] && branches.iter().all(|branch| branch.trace().unwrap().parent == Some(2)));
    let settled = |branch: &Timeline, ending| {
        branch.note(Step::Settled(ending), Instant::now());
        branch.end()
    };
    assert!(matches!(settled(&branches[1], Ending::Rejected(Code::Exhausted)), Ended::Open));
    let Ended::All(all) = settled(&branches[0], Ending::Acknowledged) else { panic!("all have ended") };
    let spans: Vec<_> = all.iter().map(|timeline| timeline.trace().unwrap().own.span).collect();
    assert_eq!(spans, [branches[1].trace().unwrap().own.span, branches[0].trace().unwrap().own.span, 2]);
    let steps: Vec<_> = trunk.steps().into_iter().map(|(step, _)| step).collect();
    let worst = Step::Settled(Ending::Rejected(Code::Exhausted));
    assert_eq!(steps, [Step::Received, Step::Routed(2), worst], "as the one that fared worst");
    assert!(trunk.steps()[2].1 >= branches[0].steps()[1].1, "and with the last");
    assert!(matches!(trunk.end(), Ended::Alone), "it is no branch");
}

#[test]
fn a_branch_that_ends_without_a_word_keeps_nobody() {
    let trunk = traced();
    let mut branches = trunk.branches(2, Instant::now());
    assert!(matches!(branches[0].end(), Ended::Open));
    let weak = Arc::downgrade(branches[0].0.as_ref().unwrap());
    branches.remove(0);
    assert!(weak.upgrade().is_some(), "it waits for the other");
    drop(branches);
    assert!(weak.upgrade().is_none());
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
