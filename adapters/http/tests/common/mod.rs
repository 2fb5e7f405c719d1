//! A function, a client for it, and an event.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::sync::Arc;

use bytes::Bytes;
use outrigger_core::{Call, CallCx, Event, Reply, Result, TargetId, Value};
use outrigger_function::{Function, Program};
use outrigger_http::{Client, Config, FunctionCall};

pub(crate) struct Fixture {
    pub(crate) function: Function,
    pub(crate) call: Arc<FunctionCall>,
}

impl Fixture {
    pub(crate) fn start(program: Program) -> Fixture {
        Fixture::with(program, |_| {})
    }

    pub(crate) fn with(program: Program, change: impl FnOnce(&mut Config)) -> Fixture {
        let function = Function::start(program);
        let call = call_to(&function.url(), change);
        Fixture { function, call }
    }

    pub(crate) async fn one(&self) -> Result<Reply> {
        self.send(&event("1")).await
    }

    pub(crate) async fn send(&self, event: &Event) -> Result<Reply> {
        one(&self.call, event).await
    }
}

pub(crate) fn call_to(url: &str, change: impl FnOnce(&mut Config)) -> Arc<FunctionCall> {
    let mut config = Config::new(url.parse().unwrap()).unwrap();
    change(&mut config);
    Arc::new(FunctionCall::new(&config, Arc::new(Client::new(&config))))
}

pub(crate) async fn one(call: &FunctionCall, event: &Event) -> Result<Reply> {
    let mut replies = call.call(std::slice::from_ref(event), &cx()).await?;
    assert_eq!(replies.len(), 1);
    Ok(replies.remove(0))
}

pub(crate) fn cx() -> CallCx {
    CallCx::first(TargetId("function".into()))
}

pub(crate) fn event(id: &str) -> Event {
    let mut event = Event::new(id, "/tests", "com.example.test").unwrap();
    event.set("subject", Value::String("Euro €")).unwrap();
    event.with_data("application/json", Bytes::from_static(b"{\"n\": 1}")).unwrap()
}
