use super::*;
use outrigger_core::timeline::{Carry as _, Leg, Trace};
use std::sync::Arc;

const ALL: [Propagator; 5] =
    [Propagator::TraceContext, Propagator::Baggage, Propagator::B3, Propagator::B3Multi, Propagator::XRay];
const TRACE: u128 = 0x5840_6520_a006_6491_27e3_7190_3a2d_e979;

fn found(propagators: &[Propagator], headers: &[(&str, &str)]) -> Found {
    let headers: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    find(propagators, &["tenant".to_owned()], &headers)
}

fn place(sampled: bool) -> Place {
    Place { trace: TRACE, span: 0x4c72_1bf3_3e3c_af8f, sampled }
}

#[test]
fn every_way_of_telling_a_place_is_read() {
    let trace = "58406520a006649127e371903a2de979";
    for (headers, sampled) in [
        (&[("traceparent", "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01")][..], true),
        (&[("TraceParent", "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-00")], false),
        (&[("googclient_traceparent", "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01")], true),
        (&[("b3", "58406520A006649127e371903a2de979-4c721bf33e3caf8f-1-05e3ac9a4f6e3b90")], true),
        (&[("b3", "58406520a006649127e371903a2de979-4c721bf33e3caf8f-0")], false),
        (&[("b3", "58406520a006649127e371903a2de979-4c721bf33e3caf8f")], true),
        (&[("X-B3-TraceId", trace), ("X-B3-SpanId", "4c721bf33e3caf8f"), ("X-B3-Sampled", "0")], false),
        (
            &[
                ("X-B3-TraceId", trace),
                ("X-B3-SpanId", "4c721bf33e3caf8f"),
                ("X-B3-Sampled", "0"),
                ("X-B3-Flags", "1"),
            ],
            true,
        ),
        (
            &[(
                "X-Amzn-Trace-Id",
                "Root=1-58406520-a006649127e371903a2de979;Parent=4c721bf33e3caf8f;Sampled=1",
            )],
            true,
        ),
        (
            &[(
                "X-Amzn-Trace-Id",
                "Sampled=0; Root=1-58406520-a006649127e371903a2de979; Parent=4c721bf33e3caf8f",
            )],
            false,
        ),
    ] {
        assert_eq!(found(&ALL, headers).place, Some(place(sampled)), "{headers:?}");
        assert_eq!(found(&[Propagator::Baggage], headers).place, None, "{headers:?}");
    }
}

#[test]
fn short_ids_of_b3_are_filled_up_in_front() {
    let short = found(&ALL, &[("b3", "27e371903a2de979-4c721bf33e3caf8f-1")]).place.unwrap();
    assert_eq!(short.trace, 0x27e3_7190_3a2d_e979);
}

#[test]
fn what_is_not_well_formed_is_passed_over() {
    for text in [
        "",
        "00",
        "ff-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01",
        "00-00000000000000000000000000000000-4c721bf33e3caf8f-01",
        "00-58406520a006649127e371903a2de979-0000000000000000-01",
        "00-58406520A006649127e371903a2de979-4c721bf33e3caf8f-01",
        "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01-more",
        "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f",
        "00-58406520a006649127e371903a2de97-4c721bf33e3caf8f-01",
        "00-+8406520a006649127e371903a2de979-4c721bf33e3caf8f-01",
    ] {
        assert_eq!(traceparent(text), None, "{text}");
        let headers = [("traceparent", text), ("tracestate", "a=b"), ("b3", text), ("x-amzn-trace-id", text)];
        assert_eq!(found(&ALL, &headers), Found::default(), "{text}");
    }
    assert!(
        traceparent("01-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01-more").is_some(),
        "a later version"
    );
}

#[test]
fn only_baggage_that_is_allowed_is_passed_on() {
    let kept = |text: &str| found(&ALL, &[("baggage", text)]).baggage;
    assert_eq!(kept("user=u, tenant=a%20b;p=1 , secret=s").as_deref(), Some("tenant=a%20b"), "no properties");
    assert_eq!(kept("tenant = t1;p=secret,tenant;p=x").as_deref(), Some("tenant=t1"));
    assert_eq!(kept("tenant=a\r\nx: y"), None);
    assert_eq!(kept("tenants=1"), None);
    assert_eq!(kept(&format!("tenant={}", "x".repeat(BAGGAGE_BYTES_MAX))), None);
}

#[test]
fn what_is_told_is_read_as_the_same_place() {
    for propagator in ALL.into_iter().filter(|it| *it != Propagator::Baggage) {
        for sampled in [true, false] {
            let carrier = Arc::new(Carrier::new(&[propagator]));
            let trace = Trace {
                own: place(sampled),
                parent: None,
                parent_is_remote: false,
                links: Vec::new(),
                state: Some("a=b".into()),
                baggage: None,
                carrier: carrier.clone(),
            };
            let mut told = Vec::new();
            carrier.carry(&trace, Leg::Attempt(1), &mut |name, value| told.push((name, value.to_owned())));
            let headers: Vec<_> = told.iter().map(|(name, value)| (*name, &**value)).collect();
            let read = found(&[propagator], &headers);
            let expected = Place { span: trace.span(Leg::Attempt(1)), ..place(sampled) };
            assert_eq!(read.place, Some(expected), "{propagator:?}");
            assert_eq!(read.state.is_some(), propagator == Propagator::TraceContext);
        }
    }
}

#[test]
fn a_decision_alone_is_one_and_what_is_not_decided_is_ours() {
    let of = |headers: &[(&str, &str)]| {
        let Found { place, root, sampled, .. } = found(&ALL, headers);
        (place.map(|place| place.span), root, sampled)
    };
    for (name, value, sampled) in [
        ("b3", "0", Some(false)),
        ("b3", "1", Some(true)),
        ("b3", "d", Some(true)),
        ("b3", "2", None),
        ("X-B3-Sampled", "0", Some(false)),
        ("X-B3-Flags", "1", Some(true)),
    ] {
        assert_eq!(of(&[(name, value)]), (None, None, sampled), "{name}: {value}");
    }
    let span = Some(0x4c72_1bf3_3e3c_af8f);
    for (rest, span, sampled) in [
        ("", None, None),
        (";Sampled=0", None, Some(false)),
        (";Parent=4c721bf33e3caf8f", span, None),
        (";Parent=4c721bf33e3caf8f;Sampled=?", span, None),
        (";Parent=4c721bf33e3caf8f;Sampled=1", span, Some(true)),
    ] {
        let text = format!("Root=1-58406520-a006649127e371903a2de979{rest}");
        assert_eq!(of(&[("x-amzn-trace-id", &text)]), (span, Some(TRACE), sampled), "{text}");
    }
    assert_eq!(of(&[("x-amzn-trace-id", "Root=1-00000000-000000000000000000000000")]), (None, None, None));
}

#[test]
fn two_traceparents_are_none_and_several_lists_of_state_are_one() {
    let parent = ("traceparent", "00-58406520a006649127e371903a2de979-4c721bf33e3caf8f-01");
    let of = |headers: &[(&str, &str)]| found(&[Propagator::TraceContext], headers);
    assert_eq!(of(&[parent, parent, ("tracestate", "a=1")]), Found::default());
    let states = of(&[parent, ("tracestate", "a=1"), ("TraceState", "b=2")]);
    assert_eq!((states.place, states.state.as_deref()), (Some(place(true)), Some("a=1,b=2")));
    assert_eq!(of(&[parent, ("tracestate", "a=1"), ("tracestate", "a=2")]).state, None);
    let google =
        of(&[("googclient_traceparent", parent.1), ("googclient_tracestate", "g=1"), ("tracestate", "a=1")]);
    assert_eq!((google.place, google.state.as_deref()), (Some(place(true)), Some("g=1")));
    assert!(HEADERS.contains(&"googclient_tracestate"));
}
