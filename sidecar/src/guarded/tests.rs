use super::*;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use outrigger_core::{About, Body, CallCx, Reply, TargetId};
use std::{sync::atomic::AtomicUsize, time::Instant};

/// Panics wherever it is asked, before or after what is below it.
struct Wild {
    after: bool,
}

impl Plugin for Wild {
    fn name(&self) -> &'static str {
        "wild"
    }

    fn annotate(&self) -> Option<Arc<dyn Annotate>> {
        Some(Arc::new(Bomb))
    }

    fn ledger(&self, _: Option<Arc<dyn Ledger>>) -> Option<Arc<dyn Ledger>> {
        Some(Arc::new(Bomb))
    }

    fn around_call(&self, inner: Arc<dyn Call>) -> Arc<dyn Call> {
        Arc::new(Fuse { inner, after: self.after })
    }

    fn around_exchange(&self, inner: Arc<dyn Exchange>) -> Arc<dyn Exchange> {
        Arc::new(Fuse { inner, after: self.after })
    }

    fn around_passage(&self, inner: Arc<dyn Exchange>) -> Option<Arc<dyn Exchange>> {
        Some(self.around_exchange(inner))
    }

    fn observe(&self) -> Option<Arc<dyn Observe>> {
        Some(Arc::new(Bomb))
    }

    fn background(&self, _: Drain) -> Option<BoxFuture<'static, ()>> {
        Some(Box::pin(async { panic!("in the background") }))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        panic!("at the end")
    }
}

struct Bomb;

impl Annotate for Bomb {
    fn annotate(&self, _: &mut Event) {
        panic!("annotate")
    }
}

impl Observe for Bomb {
    fn began(&self, _: Option<&mut Event>, _: &[(String, String)], _: &Timeline) {
        panic!("began")
    }

    fn finished(&self, _: Option<&Event>, _: &Settlement, _: &Timeline) {
        panic!("finished")
    }
}

impl Ledger for Bomb {
    fn ask<'a>(&'a self, _: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<Known>> {
        panic!("ask")
    }

    fn mark<'a>(&'a self, _: &'a Mark, _: Option<Payload>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { panic!("mark") })
    }

    fn glance(&self, _: &Mark, _: Option<Payload>) -> Option<Known> {
        panic!("glance")
    }

    fn payload(&self, _: &Event) -> Option<Payload> {
        panic!("payload")
    }

    fn on_another(&self) -> OnAnother {
        panic!("on_another")
    }

    fn before(&self, _: Option<u64>) -> BoxFuture<'_, Result<Vec<Kept>>> {
        Box::pin(async { panic!("before") })
    }
}

struct Fuse<T: ?Sized> {
    after: bool,
    inner: Arc<T>,
}

impl Call for Fuse<dyn Call> {
    fn call<'a>(&'a self, events: &'a [Event], cx: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        Box::pin(async move {
            if self.after {
                let _ = self.inner.call(events, cx).await;
            }
            panic!("call")
        })
    }
}

impl Exchange for Fuse<dyn Exchange> {
    fn send<'a>(&'a self, request: Request<Body>, cx: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        Box::pin(async move {
            if self.after {
                let _ = self.inner.send(request, cx).await;
            }
            panic!("exchange")
        })
    }
}

/// Counts its calls, and answers with what it got.
#[derive(Default)]
struct Function(AtomicUsize);

impl Function {
    fn calls(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Call for Function {
    fn call<'a>(&'a self, events: &'a [Event], _: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let reply = Reply { status: 200, event: Some(events[0].clone()), ..Reply::default() };
        Box::pin(std::future::ready(Ok(vec![reply])))
    }
}

impl Exchange for Function {
    fn send<'a>(&'a self, request: Request<Body>, _: &'a CallCx) -> BoxFuture<'a, Result<Response<Body>>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(Response::new(request.into_body()))))
    }
}

fn guarded(after: bool) -> (Arc<dyn Plugin>, Arc<Metrics>) {
    let metrics = Arc::new(Metrics::new().unwrap());
    (all(vec![Arc::new(Wild { after })], &metrics).remove(0), metrics)
}

fn panics(metrics: &Metrics) -> u64 {
    let text = metrics.render();
    let line =
        text.lines().find(|line| line.starts_with("outrigger_plugin_panics_total{plugin=\"wild\"}")).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn cx(attempt: u32) -> CallCx {
    CallCx { attempt, ..CallCx::first(TargetId("function".into())) }
}

fn request() -> Request<Body> {
    let body = Full::from("data").map_err(|never: std::convert::Infallible| match never {});
    Request::post("/").body(body.boxed_unsync()).unwrap()
}

#[tokio::test]
async fn an_event_goes_on_without_a_plugin_that_panics_wherever_it_is_asked() {
    let (plugin, metrics) = guarded(false);
    let mut event = Event::new("1", "/s", "t").unwrap();
    plugin.annotate().unwrap().annotate(&mut event);
    let observer = plugin.observe().unwrap();
    let timeline = Timeline::start(Instant::now(), About::request(&"proxy".into(), ["GET", "/", "http"], 0));
    observer.began(Some(&mut event), &[], &timeline);
    observer.finished(Some(&event), &Settlement::Ack(None), &timeline);
    assert_eq!(event, Event::new("1", "/s", "t").unwrap());
    let ledger = plugin.ledger(None).unwrap();
    let mark = Mark { receiver: "r".into(), target: "t".into(), source: "s".into(), id: "1".into() };
    assert!(ledger.ask(&mark, None).await.is_err() && ledger.mark(&mark, None).await.is_err());
    assert_eq!((ledger.glance(&mark, None), ledger.payload(&event)), (None, None));
    assert_eq!(ledger.on_another(), OnAnother::Deliver);
    assert!(ledger.before(None).await.is_err());
    let (_trigger, drain) = outrigger_core::drain::channel();
    plugin.background(drain).unwrap().await;
    plugin.close().await;
    assert_eq!(panics(&metrics), 11);
}

#[tokio::test]
async fn a_function_that_was_not_asked_yet_is_asked_without_the_plugin() {
    let (plugin, metrics) = guarded(false);
    let function = Arc::new(Function::default());
    let replies =
        plugin.around_call(function.clone()).call(&[Event::new("1", "/s", "t").unwrap()], &cx(1)).await;
    assert_eq!(replies.unwrap()[0].status, 200);
    let answer = plugin.around_exchange(function.clone()).send(request(), &cx(1)).await.unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "data");
    let passage = plugin.around_passage(function.clone()).unwrap();
    assert!(passage.send(request(), &cx(1)).await.is_ok());
    assert_eq!((function.calls(), panics(&metrics)), (3, 3));
}

#[tokio::test]
async fn a_function_that_has_answered_is_not_asked_again() {
    let (plugin, metrics) = guarded(true);
    let function = Arc::new(Function::default());
    let call = plugin.around_call(function.clone());
    let event = Event::new("1", "/s", "t").unwrap();
    let replies = call.call(std::slice::from_ref(&event), &cx(1)).await.unwrap();
    assert_eq!((replies[0].event.as_ref(), function.calls()), (Some(&event), 1));
    // An answer that streams cannot be kept, so the attempt is one, and the next goes another way.
    let exchange = plugin.around_exchange(function.clone());
    let error = exchange.send(request(), &cx(1)).await.unwrap_err();
    assert!(error.sent() && function.calls() == 2, "{error}");
    assert!(exchange.send(request(), &cx(2)).await.is_ok());
    assert_eq!((function.calls(), panics(&metrics)), (3, 2));
}

#[tokio::test]
async fn a_plugin_that_wraps_nothing_costs_nothing() {
    struct Plain;
    impl Plugin for Plain {
        fn name(&self) -> &'static str {
            "plain"
        }
    }
    let metrics = Arc::new(Metrics::new().unwrap());
    let plugin = all(vec![Arc::new(Plain)], &metrics).remove(0);
    let function: Arc<dyn Call> = Arc::new(Function::default());
    assert!(Arc::ptr_eq(&plugin.around_call(function.clone()), &function));
    let function: Arc<dyn Exchange> = Arc::new(Function::default());
    assert!(Arc::ptr_eq(&plugin.around_exchange(function.clone()), &function));
    assert!(plugin.around_passage(function).is_none());
    assert!(plugin.annotate().is_none() && plugin.observe().is_none() && plugin.ledger(None).is_none());
}
