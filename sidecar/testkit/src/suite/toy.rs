//! A broker of two hundred lines: what the suite is proven on, and the example of an
//! [`Adapter`].
//!
//! It keeps events in their order, gives each out under a token for [`LEASE`], and gives it out again when that is
//! over and it was neither renewed nor settled. An event whose key another connection has an earlier one of waits for
//! that. One line of JSON asks ([`Ask`]), one line answers ([`Given`]).

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{Adapter, Capabilities, Declared, Reconnect, Sidecar, Source, Way};
use crate::{Outgoing, Proxy, Trouble};

/// How long an event is lent.
pub const LEASE: Duration = Duration::from_millis(600);

/// What a client asks for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// So many events at most.
    Receive(usize),
    /// These are done.
    Settle(Vec<u64>),
    /// These are lent for as long again.
    Renew(Vec<u64>),
    /// These may be given out again at once.
    Release(Vec<u64>),
}

/// What it gets: none but for [`Ask::Receive`].
pub type Given = Vec<Lent>;

/// An event that is lent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lent {
    /// The name of this loan.
    pub token: u64,
    /// The event.
    pub event: Carried,
}

/// An event as it is carried: the headers of the binary mode and the data.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Carried {
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The data.
    pub data: Vec<u8>,
}

/// A running broker with one queue.
#[derive(Debug)]
pub struct Toy {
    address: SocketAddr,
    queue: Arc<Mutex<Queue>>,
    proxy: Option<Proxy>,
    serving: JoinHandle<()>,
}

impl Adapter for Toy {
    const CAPABILITIES: Capabilities = Capabilities {
        source: "toy",
        settles_within: Duration::from_millis(50),
        ahead: 0,
        order: Declared::Has(()),
        duplicates: Declared::Has(()),
        lease: Declared::Has(LEASE),
        reconnect: Declared::Has(Reconnect { troubles: &[Trouble::Reset, Trouble::Swallow], repeats: true }),
    };

    async fn place(_: &str, way: Way) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on loopback");
        let mut address = listener.local_addr().expect("the address of a listener");
        let proxy = (way == Way::Proxied).then(|| Proxy::start(address));
        if let Some(proxy) = &proxy {
            address = proxy.addr();
        }
        let queue = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&queue)));
        Some(Self { address, queue, proxy, serving })
    }
}

impl Source for Toy {
    fn settings(&self) -> Vec<(String, String)> {
        vec![("toy".to_owned(), self.address.to_string())]
    }

    fn publish<'a>(&'a self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<(), String>> {
        let mut queue = lock(&self.queue);
        for event in events {
            queue.publish(event);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn unsettled<'a>(&'a self, _: &'a Sidecar) -> BoxFuture<'a, Result<usize, String>> {
        Box::pin(std::future::ready(Ok(lock(&self.queue).events.len())))
    }

    fn handed_out(&self) -> BoxFuture<'_, Option<usize>> {
        let now = Instant::now();
        let queue = lock(&self.queue);
        let lent = queue.events.values().filter(|held| held.until.is_some_and(|until| until > now)).count();
        Box::pin(std::future::ready(Some(lent)))
    }

    fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }
}

impl Drop for Toy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What is not settled, by its place.
#[derive(Debug, Default)]
struct Queue {
    events: BTreeMap<u64, Held>,
    published: u64,
    lent: u64,
    connections: u64,
}

#[derive(Debug)]
struct Held {
    event: Carried,
    key: Option<String>,
    token: u64,
    until: Option<Instant>,
    /// The connection that it is lent to.
    to: u64,
}

impl Queue {
    fn publish(&mut self, outgoing: &Outgoing) {
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = outgoing.headers();
        let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let event = Carried { headers, data: outgoing.data.to_vec() };
        self.published += 1;
        let key = outgoing.key.clone();
        self.events.insert(self.published, Held { event, key, token: 0, until: None, to: 0 });
    }

    fn answer(&mut self, ask: &Ask, to: u64) -> Given {
        let now = Instant::now();
        match ask {
            Ask::Receive(count) => return self.lend(*count, to, now),
            Ask::Settle(tokens) => self.events.retain(|_, held| !tokens.contains(&held.token)),
            Ask::Renew(tokens) => self.set(tokens, Some(now + LEASE)),
            Ask::Release(tokens) => self.set(tokens, None),
        }
        Given::new()
    }

    fn lend(&mut self, count: usize, to: u64, now: Instant) -> Given {
        let (mut given, mut elsewhere) = (Given::new(), HashSet::new());
        for held in self.events.values_mut() {
            if held.until.is_some_and(|until| until > now) {
                elsewhere.extend(held.key.as_deref().filter(|_| held.to != to));
            } else if given.len() < count && !held.key.as_deref().is_some_and(|key| elsewhere.contains(key)) {
                self.lent += 1;
                (held.token, held.until, held.to) = (self.lent, Some(now + LEASE), to);
                given.push(Lent { token: held.token, event: held.event.clone() });
            }
        }
        given
    }

    fn set(&mut self, tokens: &[u64], until: Option<Instant>) {
        let held = self.events.values_mut().filter(|held| tokens.contains(&held.token));
        held.for_each(|held| held.until = until);
    }
}

async fn serve(listener: TcpListener, queue: Arc<Mutex<Queue>>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(attend(stream, Arc::clone(&queue)));
    }
}

async fn attend(mut stream: TcpStream, queue: Arc<Mutex<Queue>>) {
    let (read, mut write) = stream.split();
    let mut lines = BufReader::new(read).lines();
    let connection = {
        let mut queue = lock(&queue);
        queue.connections += 1;
        queue.connections
    };
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(ask) = serde_json::from_str(&line) else { return };
        let given = lock(&queue).answer(&ask, connection);
        let Ok(mut answer) = serde_json::to_string(&given) else { return };
        answer.push('\n');
        if write.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
