//! What an answer to a batch means for each of its events. Pure.
//!
//! A status is for all: 2xx is done; 429, 5xx and a request that failed are a failed attempt of each; any other status cannot
//! be known to be meant for all, so each event is asked about alone.
//!
//! A 2xx may name those that failed, in the form that Lambda has for it:
//! `{"batchItemFailures": [{"itemIdentifier": ID, "status": 422}]}`, where `status`, by default 500, says what an answer with it
//! would say. Events of one id in a batch, which are of different sources, fail together.

use outrigger_core::{Error, Event, Kind};
use serde::Deserialize;

/// What became of one event of a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The function has it, and answered with this status.
    Delivered(u16),
    /// The attempt failed.
    Failed(Error),
    /// It is to be sent alone.
    Alone,
}

/// The body of a 2xx that names failures; other members are not ours.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "batchItemFailures")]
    failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    id: String,
    status: Option<u16>,
}

/// The key by which an answer of another kind is told from one that names failures.
const KEY: &[u8] = b"batchItemFailures";

/// The outcome of each of `events`, in their order, by the function's status and whole body, or by what went wrong.
pub(crate) fn outcome(events: &[Event], answer: Result<(u16, &[u8]), Error>) -> Vec<Outcome> {
    match answer {
        Err(error) if events.len() > 1 && is_for_one(&error) => {
            events.iter().map(|_| Outcome::Alone).collect()
        }
        Err(error) => events.iter().map(|_| Outcome::Failed(error.clone())).collect(),
        Ok((status, body)) => match failures(events, body) {
            Ok(failed) => failed
                .into_iter()
                .map(|failed| match failed {
                    None => Outcome::Delivered(status),
                    Some(status) => {
                        let detail = "the function named it among the failures of its batch";
                        Outcome::Failed(Error::status(status, None, detail))
                    }
                })
                .collect(),
            Err(why) => {
                let why = format!("status {status}, but its batchItemFailures cannot be used: {why}");
                events.iter().map(|_| Outcome::Failed(Error::new(Kind::BadAnswer, why.as_str()))).collect()
            }
        },
    }
}

/// A status that says something about an event, and so may be about one of them.
fn is_for_one(error: &Error) -> bool {
    error.http_status().is_some_and(|status| status < 500 && status != 429)
}

/// The status of each event that failed.
fn failures(events: &[Event], body: &[u8]) -> Result<Vec<Option<u16>>, String> {
    let mut failed = vec![None; events.len()];
    if !body.windows(KEY.len()).any(|part| part == KEY) {
        return Ok(failed); // an ordinary function's answer
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|error| format!("it is malformed: {error}"))?;
    for failure in answer.failures.unwrap_or_default() {
        let status = failure.status.unwrap_or(500);
        if !(400..=599).contains(&status) {
            return Err(format!("the status {status} is no failure"));
        }
        let mut named = false;
        for (_, failed) in events.iter().zip(&mut failed).filter(|(event, _)| event.id() == failure.id) {
            (*failed, named) = (Some(status), true);
        }
        if !named {
            return Err(format!("{:?} is the id of no event of the batch", failure.id));
        }
    }
    Ok(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        ["a", "b", "c"].map(|id| Event::new(id, "/s", "t").unwrap()).into()
    }

    fn told(answer: Result<(u16, &str), Error>) -> Vec<String> {
        let outcomes = outcome(&events(), answer.map(|(status, body)| (status, body.as_bytes())));
        let text = |outcome: &Outcome| match outcome {
            Outcome::Delivered(status) => format!("delivered {status}"),
            Outcome::Failed(error) => format!("failed {:?}", error.http_status()),
            Outcome::Alone => "alone".to_owned(),
        };
        outcomes.iter().map(text).collect()
    }

    #[test]
    fn a_success_is_for_all_but_those_that_it_names() {
        assert_eq!(told(Ok((204, ""))), ["delivered 204"; 3]);
        assert_eq!(told(Ok((200, "thanks"))), ["delivered 200"; 3]);
        assert_eq!(told(Ok((200, r#"{"batchItemFailures": []}"#))), ["delivered 200"; 3]);
        assert_eq!(told(Ok((200, r#"{"batchItemFailures": null, "more": 1}"#))), ["delivered 200"; 3]);
        let named =
            r#"{"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "c", "status": 422}]}"#;
        assert_eq!(told(Ok((200, named))), ["failed Some(500)", "delivered 200", "failed Some(422)"]);
    }

    #[test]
    fn failures_that_cannot_be_read_fail_all() {
        for body in [
            r#"{"batchItemFailures": [{"itemIdentifier": "x"}]}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": "a", "status": 200}]}"#,
            r#"{"batchItemFailures": [{"id": "a"}]}"#,
            r#"{"batchItemFailures": "a"}"#,
            r#"{"batchItemFailures": ["#,
        ] {
            assert_eq!(told(Ok((200, body))), ["failed None"; 3], "{body}");
        }
    }

    #[test]
    fn an_outage_fails_all_and_a_refusal_none_until_each_was_asked_about() {
        assert_eq!(told(Err(Error::status(503, None, "down"))), ["failed Some(503)"; 3]);
        assert_eq!(told(Err(Error::status(429, None, "slow"))), ["failed Some(429)"; 3]);
        assert_eq!(told(Err(Error::new(Kind::Unreachable, "gone"))), ["failed None"; 3]);
        assert_eq!(told(Err(Error::status(422, None, "bad"))), ["alone"; 3]);
        let one = outcome(&events()[..1], Err(Error::status(422, None, "bad")));
        assert!(matches!(&one[..], [Outcome::Failed(error)] if error.http_status() == Some(422)), "{one:?}");
    }
}
