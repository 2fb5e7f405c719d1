//! Brokers and clusters as tests handle them.

use std::{net::SocketAddr, panic::resume_unwind, path::PathBuf, sync::Arc};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use super::{
    Client, Settings,
    home::Home,
    node::Node,
    settings::{Listener, Place},
};
use crate::{Proxy, free_port};

/// A broker that was started. Clones are the same broker, which is killed when the last of them is dropped.
#[derive(Debug, Clone)]
pub struct Broker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    node: Node,
    port: u16,
    proxy: Option<Proxy>,
    /// Dropped last: the process is at work in it.
    _folder: Arc<TempDir>,
}

impl Broker {
    pub(crate) async fn start(home: Home, settings: Settings) -> Self {
        Cluster::start(home, 1, settings).await.nodes[0].clone()
    }

    fn new(home: Home, folder: &Arc<TempDir>, place: &Place, mut settings: Settings) -> Self {
        let proxy = settings.is_proxied.then(|| {
            let port = free_port();
            let proxy = Proxy::start(local(port));
            let advertised = proxy.addr().port();
            settings.listeners.push(Listener { name: "PROXIED", protocol: "PLAINTEXT", port, advertised });
            proxy
        });
        let node = Node::new(home, &folder.path().join(place.id.to_string()), place, &settings);
        Self(Arc::new(Inner { node, port: place.port, proxy, _folder: folder.clone() }))
    }

    /// Where clients begin: `host:port`, without a proxy between.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        local(self.0.port).to_string()
    }

    /// Where clients begin whose every connection shall go through [`proxy`](Self::proxy).
    ///
    /// # Panics
    /// It was not started with [`Settings::proxied`].
    #[must_use]
    pub fn proxied(&self) -> String {
        self.proxy().addr().to_string()
    }

    /// The proxy before it.
    ///
    /// # Panics
    /// As [`proxied`](Self::proxied).
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        self.0.proxy.as_ref().expect("a broker that was started with Settings::proxied")
    }

    /// A client without a proxy between.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.bootstrap())
    }

    /// Stops it in order (SIGTERM) and waits for its end. One that is not running is fine.
    ///
    /// # Panics
    /// It did not end in a minute; with what it wrote.
    pub async fn stop(&self) {
        self.blocking(Node::stop).await;
    }

    /// Kills it (SIGKILL) and waits for its end. One that is not running is fine.
    pub async fn kill(&self) {
        self.blocking(Node::kill).await;
    }

    /// Starts it again on the same ports and data, and waits until it takes clients.
    ///
    /// # Panics
    /// It is running, or does not start; with what it wrote.
    pub async fn start_again(&self) {
        self.blocking(|node| {
            node.spawn();
            node.ready();
        })
        .await;
    }

    /// Freezes it (SIGSTOP): its connections stay, and nothing answers.
    ///
    /// # Panics
    /// It is not running.
    pub fn pause(&self) {
        self.0.node.signal(Signal::STOP);
    }

    /// Ends [`pause`](Self::pause) (SIGCONT).
    ///
    /// # Panics
    /// It is not running.
    pub fn resume(&self) {
        self.0.node.signal(Signal::CONT);
    }

    /// Its process id, or `None` while it is stopped.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        self.0.node.pid()
    }

    /// The file in which a partition's first records lie. It is the test's to damage while the broker is stopped.
    #[must_use]
    pub fn segment(&self, topic: &str, partition: i32) -> PathBuf {
        self.0.node.data().join(format!("{topic}-{partition}")).join(format!("{:020}.log", 0))
    }

    /// What it wrote since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        self.0.node.log()
    }

    async fn blocking(&self, work: impl FnOnce(&Node) + Send + 'static) {
        let this = self.clone();
        blocking(move || work(&this.0.node)).await;
    }
}

/// Several brokers that are one Kafka.
#[derive(Debug, Clone)]
pub struct Cluster {
    nodes: Vec<Broker>,
}

impl Cluster {
    pub(crate) async fn start(home: Home, nodes: u16, settings: Settings) -> Self {
        let folder = Arc::new(settings.temporary());
        Self::start_in(folder, home, nodes, settings).await
    }

    pub(crate) async fn start_in(folder: Arc<TempDir>, home: Home, nodes: u16, settings: Settings) -> Self {
        let controllers: Vec<u16> = (0..nodes).map(|_| free_port()).collect();
        blocking(move || {
            let node = |id| {
                let place = Place { id, controllers: controllers.clone(), port: free_port() };
                Broker::new(home.clone(), &folder, &place, settings.clone())
            };
            let nodes: Vec<Broker> = (1..=nodes).map(node).collect();
            // None is ready before most of them run.
            for node in &nodes {
                node.0.node.spawn();
            }
            for node in &nodes {
                node.0.node.ready();
            }
            Self { nodes }
        })
        .await
    }

    /// The broker with the number `id`, from 1: the number that Kafka knows it by.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn node(&self, id: i32) -> &Broker {
        let index = usize::try_from(id - 1).ok();
        index
            .and_then(|index| self.nodes.get(index))
            .unwrap_or_else(|| panic!("the cluster has no node {id}"))
    }

    /// All of them, by number.
    #[must_use]
    pub fn nodes(&self) -> &[Broker] {
        &self.nodes
    }

    /// Where clients begin: `host:port` of each, joined by commas.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(Broker::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// Where clients begin whose every connection shall go through the brokers' proxies.
    ///
    /// # Panics
    /// It was not started with [`Settings::proxied`].
    #[must_use]
    pub fn proxied(&self) -> String {
        self.nodes.iter().map(Broker::proxied).collect::<Vec<_>>().join(",")
    }

    /// A client that knows all of them.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::new(&self.bootstrap())
    }
}

pub(crate) fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Runs what blocks where that stops no test's runtime; a panic in it is the caller's.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => resume_unwind(failed.into_panic()),
    }
}
