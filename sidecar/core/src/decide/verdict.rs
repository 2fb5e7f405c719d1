//! What a function's answer means for the event that it was given.
//!
//! The table is Knative Eventing's, which our users' functions are written for (knative/specs,
//! eventing/data-plane, "Event acknowledgement and delivery retry"); the configuration may overrule it by status
//! or by class. What follows from a verdict is decided in [`super::step`].

/// The meaning of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The function has the event. A body is a reply only where [`may_reply`] says so.
    Delivered,
    /// Not now; the same event may succeed later.
    Retry,
    /// Never; the same event would be refused again.
    Refused,
}

/// The verdict on an HTTP status. `None` stands for no answer: refused, reset, timed out.
#[must_use]
pub fn verdict(status: Option<u16>) -> Verdict {
    match status {
        Some(200..=299) => Verdict::Delivered,
        None | Some(404 | 408 | 409 | 429 | 500..=599) => Verdict::Retry,
        Some(_) => Verdict::Refused,
    }
}

/// Whether the body of a delivered answer may be a reply: a 202 only promises work to come.
#[must_use]
pub fn may_reply(status: u16) -> bool {
    matches!(status, 200 | 201 | 203 | 205..=299)
}

/// Whether the failure says that the function as a whole is down, rather than this event failing in it.
///
/// Only these count for the breaker: a 500 comes from a function that is alive.
#[must_use]
pub fn is_down(status: Option<u16>) -> bool {
    matches!(status, None | Some(502..=504))
}

/// The verdicts that a configuration overrules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statuses(Vec<(u16, u16, Verdict)>);

impl Statuses {
    /// Overrules one status. A later call wins over an earlier one, and a single status over a class.
    pub fn overrule(&mut self, status: u16, verdict: Verdict) {
        self.0.insert(0, (status, status, verdict));
    }

    /// Overrules a class: 4 stands for 400 to 499.
    pub fn overrule_class(&mut self, class: u16, verdict: Verdict) {
        self.0.push((class * 100, class * 100 + 99, verdict));
    }

    /// The verdict on `status`.
    #[must_use]
    pub fn verdict(&self, status: Option<u16>) -> Verdict {
        let overruled = status.and_then(|s| self.0.iter().find(|(from, to, _)| (*from..=*to).contains(&s)));
        overruled.map_or_else(|| verdict(status), |(_, _, verdict)| *verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_specification_says() {
        for (status, expected) in [
            (None, Verdict::Retry),
            (Some(100), Verdict::Refused),
            (Some(200), Verdict::Delivered),
            (Some(202), Verdict::Delivered),
            (Some(302), Verdict::Refused), // not followed
            (Some(400), Verdict::Refused),
            (Some(401), Verdict::Refused),
            (Some(403), Verdict::Refused),
            (Some(404), Verdict::Retry),
            (Some(408), Verdict::Retry),
            (Some(409), Verdict::Retry),
            (Some(413), Verdict::Refused),
            (Some(415), Verdict::Refused),
            (Some(422), Verdict::Refused),
            (Some(429), Verdict::Retry),
            (Some(500), Verdict::Retry),
            (Some(503), Verdict::Retry),
        ] {
            assert_eq!(verdict(status), expected, "status {status:?}");
        }
    }

    #[test]
    fn an_accepted_or_empty_answer_has_no_reply() {
        let replies: Vec<_> = [200, 201, 202, 203, 204, 206].map(may_reply).into();
        assert_eq!(replies, [true, true, false, true, false, true]);
    }

    #[test]
    fn a_configured_status_wins_over_its_class_and_the_class_over_the_table() {
        let mut statuses = Statuses::default();
        statuses.overrule(404, Verdict::Refused);
        statuses.overrule_class(4, Verdict::Retry);
        let verdicts: Vec<_> = [404, 400, 500].map(|s| statuses.verdict(Some(s))).into();
        assert_eq!(verdicts, [Verdict::Refused, Verdict::Retry, Verdict::Retry]);
        assert_eq!(statuses.verdict(None), Verdict::Retry);
    }

    #[test]
    fn an_answer_from_a_living_function_does_not_speak_for_an_outage() {
        assert!(is_down(None) && is_down(Some(503)));
        assert!(!is_down(Some(500)) && !is_down(Some(429)) && !is_down(Some(404)));
    }
}
