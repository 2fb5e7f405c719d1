//! What an event came from: the attributes that a reply gets from the event that it answers.

use super::{Event, Invalid, Value};
use crate::Timeline;

/// How often an event's line has passed through an Outrigger as a reply: an integer, absent for 0. It is counted here
/// alone, whatever a function writes.
pub const HOPS: &str = "outriggerhops";
/// What all events of one flow have in common (`CloudEvents`' extension for correlation).
pub const CORRELATION: &str = "correlationid";
/// The id of the event that led to this one (the same extension).
pub const CAUSATION: &str = "causationid";

/// Makes `reply` the next of `cause`'s line, and gives back its hops, at most [`i32::MAX`].
///
/// The correlation is the function's, else the cause's, else the cause's id. The causation is the function's, else the
/// cause's id; one that a function copied from the event it was called with is none of its own.
///
/// # Errors
/// When the reply has as many attributes as an event may have. It is then as far as that went.
pub fn follow(cause: &Event, reply: &mut Event) -> Result<u32, Invalid> {
    let before = cause.text(HOPS).and_then(|text| text.parse::<i32>().ok()).unwrap_or(0).max(0);
    let hops = before.saturating_add(1);
    reply.set(HOPS, Value::Integer(hops))?;
    if reply.text(CORRELATION).is_none() {
        let flow = cause.text(CORRELATION);
        reply.set(CORRELATION, Value::String(flow.as_deref().unwrap_or(cause.id())))?;
    }
    let told = reply.text(CAUSATION);
    if told.is_none() || told == cause.text(CAUSATION) {
        reply.set(CAUSATION, Value::String(cause.id()))?;
    }
    Ok(hops.unsigned_abs())
}

/// Says in which trace `reply` began (`CloudEvents`' extension for distributed tracing), unless the function has said so or
/// there is none. Where it finds no room, it is left out.
pub fn traced(timeline: &Timeline, reply: &mut Event) {
    if timeline.is_on() && reply.text("traceparent").is_none() {
        timeline.carry(&mut |name, value| {
            if matches!(name, "traceparent" | "tracestate") {
                let _ = reply.set(name, Value::String(value));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, more: &[(&str, &str)]) -> Event {
        let mut event = Event::new(id, "/s", "t").unwrap();
        for (name, text) in more {
            event.set(name, Value::String(text)).unwrap();
        }
        event
    }

    fn line(event: &Event) -> [Option<String>; 3] {
        [HOPS, CORRELATION, CAUSATION].map(|name| event.text(name).map(std::borrow::Cow::into_owned))
    }

    fn some(texts: [&str; 3]) -> [Option<String>; 3] {
        texts.map(|text| Some(text.to_owned()))
    }

    #[test]
    fn a_line_keeps_its_flow_and_names_each_cause() {
        let first = event("1", &[]);
        let mut second = event("2", &[]);
        assert_eq!(follow(&first, &mut second), Ok(1));
        assert_eq!(line(&second), some(["1", "1", "1"]));
        let mut third = event("3", &[]);
        assert_eq!(follow(&second, &mut third), Ok(2));
        assert_eq!(line(&third), some(["2", "1", "2"]));
    }

    #[test]
    fn what_the_function_says_itself_stands_but_for_the_hops() {
        let cause = event("1", &[(CORRELATION, "flow")]);
        let mut reply = event("2", &[(CORRELATION, "mine"), (CAUSATION, "other"), (HOPS, "-7")]);
        assert_eq!(follow(&cause, &mut reply), Ok(1));
        assert_eq!(line(&reply), some(["1", "mine", "other"]));
    }

    #[test]
    fn a_function_that_answers_with_a_copy_does_not_break_the_line() {
        let mut cause = event("2", &[]);
        follow(&event("1", &[]), &mut cause).unwrap();
        let mut copy = cause.clone();
        copy.set("id", Value::String("3")).unwrap();
        assert_eq!(follow(&cause, &mut copy), Ok(2));
        assert_eq!(line(&copy), some(["2", "1", "2"]));
    }

    #[test]
    fn hops_that_are_none_begin_anew_and_the_largest_stays() {
        for (told, hops) in
            [("-5", 1), ("many", 1), ("99999999999", 1), ("2147483647", i32::MAX.unsigned_abs())]
        {
            assert_eq!(follow(&event("1", &[(HOPS, told)]), &mut event("2", &[])), Ok(hops), "{told}");
        }
    }
}
