//! Faults that a test plants: the next requests that fit are failed, delayed, or lose their answer.

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Op {
    /// `:publish`.
    Publish,
    /// `:receive`.
    Receive,
    /// `:acknowledge`.
    Acknowledge,
    /// `:release`.
    Release,
    /// `:reject`.
    Reject,
    /// `:renewLock`.
    RenewLock,
    /// `/api/events`.
    Events,
}

/// A fault.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Which requests; without it, any.
    pub op: Option<Op>,
    /// Those of this topic; without it, of any.
    pub topic: Option<String>,
    /// How many of them. Default (0): one.
    pub times: u64,
    /// So many of them pass first.
    pub after: u64,
    /// Wait so long by the fake's clock before anything else.
    pub delay_ms: u64,
    /// Answer with this status, and do nothing.
    pub status: Option<u16>,
    /// With this `Retry-After`.
    pub retry_after: Option<String>,
    /// Close the connection, and do nothing.
    pub drop: bool,
    /// Do what was asked, and close the connection in place of the answer.
    pub drop_answer: bool,
    /// Before it is looked at, every lock of the subscription is lost.
    pub lose_locks: bool,
}

impl Fault {
    /// Whether it can be planted.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        match self.status {
            Some(status) if StatusCode::from_u16(status).is_err() || status < 200 => {
                Err(format!("status {status} is none that can be answered"))
            }
            _ => Ok(()),
        }
    }
}

/// The faults that are planted.
#[derive(Debug, Default)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Plants one more.
    pub fn plant(&mut self, mut fault: Fault) {
        fault.times = fault.times.max(1);
        self.0.push(fault);
    }

    /// Takes all away.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// What is left of them.
    #[must_use]
    pub fn planted(&self) -> &[Fault] {
        &self.0
    }

    /// The first that fits this request, which has it once less.
    pub fn take(&mut self, op: Op, topic: &str) -> Option<Fault> {
        let fits = |fault: &Fault| {
            fault.op.is_none_or(|named| named == op)
                && fault.topic.as_ref().is_none_or(|named| named == topic)
        };
        let index = self.0.iter().position(fits)?;
        let fault = &mut self.0[index];
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        let taken = fault.clone();
        if fault.times == 0 {
            self.0.remove(index);
        }
        Some(taken)
    }
}
