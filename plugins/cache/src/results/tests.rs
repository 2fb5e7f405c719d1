use super::*;
use outrigger_core::{Error, Kind, TargetId};
use std::sync::Mutex;

/// A function that answers with what it is told, and counts its calls.
struct Function {
    calls: AtomicU64,
    answer: Mutex<Result<Reply>>,
}

impl Call for Function {
    fn call<'a>(&'a self, _: &'a [Event], _: &'a CallCx) -> BoxFuture<'a, Result<Vec<Reply>>> {
        self.calls.fetch_add(1, Relaxed);
        let answer = self.answer.lock().unwrap().clone();
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            answer.map(|reply| vec![reply])
        })
    }
}

struct Bench {
    results: Arc<Results>,
    function: Arc<Function>,
    call: Arc<dyn Call>,
}

fn settings() -> Settings {
    Settings {
        key: vec!["/data/q".to_owned(), "/tenant".to_owned()],
        ttl: Duration::from_mins(1),
        bytes_max: 1 << 20,
        keep_empty: false,
        tags: vec!["/data/tags".to_owned()],
    }
}

impl Bench {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        change(&mut settings);
        let results = Results::new(settings);
        let answer = Mutex::new(Ok(Reply { status: 200, body: "four".into(), ..Reply::default() }));
        let function = Arc::new(Function { calls: AtomicU64::new(0), answer });
        let call = results.clone().before(function.clone());
        Self { results, function, call }
    }

    fn answers(&self, answer: Result<Reply>) {
        *self.function.answer.lock().unwrap() = answer;
    }

    async fn ask(&self, event: &Event) -> Result<Reply> {
        let cx = CallCx::first(TargetId("function".into()));
        Ok(self.call.call(std::slice::from_ref(event), &cx).await?.remove(0))
    }

    fn calls(&self) -> u64 {
        self.function.calls.load(Relaxed)
    }
}

fn event(id: &str, tenant: &str, data: &str) -> Event {
    let event = Event::new(id, "/s", "t").unwrap();
    let mut event = event.with_data("application/json", data.to_owned().into()).unwrap();
    event.set("tenant", Attribute::String(tenant)).unwrap();
    event
}

#[tokio::test(start_paused = true)]
async fn the_same_input_is_worked_out_once_until_its_time_is_over() {
    let bench = Bench::new(|_| ());
    for data in [r#"{"q": {"a": 2, "b": [2, null]}, "n": 1}"#, r#"{"n": 2, "q":{"b":[2,null],"a":2}}"#] {
        assert_eq!(bench.ask(&event("1", "x", data)).await.unwrap().body, "four");
        assert_eq!(bench.calls(), 1);
    }
    let stats = bench.results.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries), (1, 1, 1));
    tokio::time::advance(Duration::from_mins(1)).await;
    bench.ask(&event("1", "x", r#"{"q": {"a": 2, "b": [2, null]}}"#)).await.unwrap();
    assert_eq!(bench.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn row_37_neither_a_failed_result_nor_another_tenants_is_ever_served() {
    let bench = Bench::new(|settings| settings.keep_empty = true);
    let asked = event("1", "x", r#"{"q": 1}"#);
    for failure in
        [Error::status(500, None, ""), Error::status(404, None, ""), Error::new(Kind::TimedOut, "")]
    {
        bench.answers(Err(failure));
        assert!(bench.ask(&asked).await.is_err());
    }
    bench.answers(Ok(Reply { status: 304, ..Reply::default() }));
    bench.ask(&asked).await.unwrap();
    bench.answers(Ok(Reply { status: 200, body: "x's".into(), ..Reply::default() }));
    assert_eq!(bench.ask(&asked).await.unwrap().body, "x's");
    assert_eq!(bench.calls(), 5);

    bench.answers(Ok(Reply { status: 200, body: "another's".into(), ..Reply::default() }));
    let other_source = Event::new("1", "/other", "t").unwrap();
    let mut other_source = other_source.with_data("application/json", r#"{"q": 1}"#.into()).unwrap();
    other_source.set("tenant", Attribute::String("x")).unwrap();
    for other in [event("1", "y", r#"{"q": 1}"#), event("1", "x", r#"{"q": "1"}"#), other_source] {
        assert_eq!(bench.ask(&other).await.unwrap().body, "another's", "{other:?}");
    }
    let mut nobodys = event("1", "x", r#"{"q": 1}"#);
    nobodys.remove("tenant");
    assert_eq!(
        bench.ask(&nobodys).await.unwrap().body,
        "another's",
        "one without a tenant has nobody's result"
    );
    assert_eq!(bench.ask(&asked).await.unwrap().body, "x's");
    assert_eq!((bench.calls(), bench.results.stats().passed), (9, 1));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_a_result_only_by_choice() {
    for (keep_empty, calls) in [(false, 2), (true, 1)] {
        let bench = Bench::new(|settings| settings.keep_empty = keep_empty);
        bench.answers(Ok(Reply { status: 204, ..Reply::default() }));
        for _ in 0..2 {
            assert_eq!(bench.ask(&event("1", "x", r#"{"q": 1}"#)).await.unwrap().status, 204);
        }
        assert_eq!(bench.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_key_is_not_looked_up() {
    let bench = Bench::new(|_| ());
    let bare = Event::new("1", "/s", "t").unwrap();
    for strange in [event("1", "x", "{}"), event("1", "x", "no json"), bare] {
        for _ in 0..2 {
            bench.ask(&strange).await.unwrap();
        }
    }
    assert_eq!((bench.calls(), bench.results.stats().passed, bench.results.stats().entries), (6, 6, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_served_again_has_an_id_of_its_own_and_the_same_for_the_same_event() {
    let bench = Bench::new(|_| ());
    let mut made = Event::new("made", "/function", "done").unwrap();
    let line = [
        ("causationid", "1"),
        ("correlationid", "1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("kind", "constant"),
    ];
    for (name, text) in line {
        made.set(name, Attribute::String(text)).unwrap();
    }
    bench.answers(Ok(Reply { status: 200, event: Some(made), ..Reply::default() }));
    let mut ids = Vec::new();
    for id in ["1", "2", "3", "3", "1"] {
        let reply = bench.ask(&event(id, "x", r#"{"q": 1}"#)).await.unwrap().event.unwrap();
        assert_eq!((reply.source(), reply.ty()), ("/function", "done"));
        let kept = line.map(|(name, text)| reply.text(name).as_deref() == Some(text));
        assert_eq!(kept, [id == "1", id == "1", id == "1", true], "of {id}");
        ids.push(reply.id().to_owned());
    }
    assert_eq!((ids[0].as_str(), ids[4].as_str(), bench.calls()), ("made", "made", 1));
    assert!(ids[1] != ids[0] && ids[2] != ids[1] && ids[2] == ids[3], "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn results_are_forgotten_by_key_tag_and_prefix() {
    let ways = [
        (Invalidate::Key(r#"["/s","t","function",1,"x"]"#.to_owned()), [1]),
        (Invalidate::Tag("odd".to_owned()), [2]),
        (Invalidate::Prefix(r#"["/s","t","function",1"#.to_owned()), [1]),
        (Invalidate::Prefix(r#"[ "/s", "t""#.to_owned()), [3]),
        (Invalidate::Key(r#"["/s", "t", "function", 1, "x"]"#.to_owned()), [1]),
        (Invalidate::Prefix(r#"["/s","u""#.to_owned()), [0]),
        (Invalidate::All, [3]),
    ];
    for (what, [gone]) in ways {
        let bench = Bench::new(|_| ());
        for (q, tags) in [(1, r#"["odd", "low"]"#), (2, r#""even""#), (3, r#"["odd", 3]"#)] {
            bench.ask(&event("1", "x", &format!(r#"{{"q": {q}, "tags": {tags}}}"#))).await.unwrap();
        }
        assert_eq!(bench.results.invalidate(&what), gone, "{what:?}");
        assert_eq!(bench.results.stats().entries, 3 - gone);
        assert_eq!(bench.results.invalidate(&what), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_being_worked_out_at_an_invalidation_is_not_kept() {
    let asked = event("1", "x", r#"{"q": 1, "tags": "mine"}"#);
    for (what, calls) in [("mine", 2), ("another", 1)] {
        let bench = Bench::new(|_| ());
        let meanwhile = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            bench.results.invalidate(&Invalidate::Tag(what.to_owned()))
        };
        let (reply, _) = tokio::join!(bench.ask(&asked), meanwhile);
        reply.unwrap();
        bench.ask(&asked).await.unwrap();
        assert_eq!(bench.calls(), calls, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn results_stay_within_their_bytes() {
    let bench = Bench::new(|settings| settings.bytes_max = 64 << 10);
    bench.answers(Ok(Reply { status: 200, body: vec![b'x'; 1_000].into(), ..Reply::default() }));
    for q in 0..500 {
        bench.ask(&event("1", "x", &format!(r#"{{"q": {q}}}"#))).await.unwrap();
    }
    let stats = bench.results.stats();
    assert!(stats.bytes <= 64 << 10 && (20..64).contains(&stats.entries), "{stats:?}");
    bench.answers(Ok(Reply { status: 200, body: vec![b'x'; 100_000].into(), ..Reply::default() }));
    bench.ask(&event("1", "x", r#"{"q": "large"}"#)).await.unwrap();
    assert!(bench.results.stats().bytes <= 64 << 10);
}
