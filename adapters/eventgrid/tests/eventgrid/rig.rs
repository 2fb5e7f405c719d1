//! The fake, hands that hold what is delivered, and a source that runs between them.

use outrigger_core::{
    Admit, Delivery, DrainTrigger, Intake, Result, Settlement, Source as _, decide::window::Window, drain,
};
use outrigger_eventgrid::{Config, Credential, Endpoint, EventGrid, Place, SecretFile};
use outrigger_eventgrid_fake::{Fake, Pace, Setup, config::TEST_KEY, event::Event, queue::Counts};
use outrigger_net::{
    client::Proxies,
    tls::{Authorities, ClientSettings, ClientTls, Version},
};
use serde_json::{json, value::RawValue};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};

/// How many seconds of the fake's pass in one: a lock of a minute ends after a second.
pub(crate) const SPEED: u32 = 60;
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What the path is to a source: it takes what it is given, and here nothing happens with it.
#[derive(Default)]
pub(crate) struct Hands {
    held: Mutex<Vec<Delivery>>,
    changed: Notify,
}

impl Admit for Hands {
    fn admit(&self, delivery: Delivery) {
        self.lock().push(delivery);
        self.changed.notify_waiters();
    }

    fn sweep(&self) {
        let (kept, gone) = self.lock().drain(..).partition(|delivery: &Delivery| delivery.receipt.wanted());
        *self.lock() = kept;
        let gone: Vec<Delivery> = gone;
        drop(gone); // releases
        self.changed.notify_waiters();
    }
}

impl Hands {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Delivery>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(crate) fn wanted(&self) -> usize {
        self.lock().iter().filter(|delivery| delivery.receipt.wanted()).count()
    }

    /// Waits until so many are held, and takes them.
    pub(crate) async fn take(&self, count: usize) -> Vec<Delivery> {
        let taken = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if self.len() >= count {
                    return self.lock().drain(..count).collect();
                }
                changed.await;
            }
        };
        let taken = tokio::time::timeout(WAIT_MAX, taken).await;
        taken.unwrap_or_else(|_| panic!("{count} events did not come, only {}", self.len()))
    }

    /// Lets go of what is left, as lanes do at the end of a drain.
    fn release(&self) {
        let left: Vec<Delivery> = self.lock().drain(..).collect();
        drop(left);
    }

    pub(crate) async fn acknowledge(&self, count: usize) {
        for delivery in self.take(count).await {
            delivery.receipt.settle(Settlement::Ack(None));
        }
    }
}

/// A place of the fake, and a file with the key to it.
pub(crate) struct Door {
    pub(crate) endpoint: Endpoint,
    folder: tempfile::TempDir,
}

impl Door {
    pub(crate) fn new(url: &str, place: Place) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, TEST_KEY).unwrap();
        let settings = ClientSettings {
            section: "eventgrid".to_owned(),
            authorities: Authorities::Nobody,
            pair: None,
            version_min: Version::default(),
        };
        let endpoint = Endpoint {
            url: url.parse().unwrap(),
            place,
            api_version: if place == Place::Namespace { "2024-06-01" } else { "2018-01-01" }.to_owned(),
            credential: Arc::new(Credential::Key(SecretFile::new(key))),
            tls: Arc::new(ClientTls::open(settings).unwrap()),
            proxies: Proxies::default(),
            timeout: Duration::from_secs(10),
            section: "eventgrid",
        };
        Self { endpoint, folder }
    }

    /// The file with the key.
    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key")
    }
}

/// A source that runs against the fake's topic `t1` and subscription `s1`.
pub(crate) struct Rig {
    pub(crate) fake: Fake,
    pub(crate) hands: Arc<Hands>,
    pub(crate) source: Arc<EventGrid>,
    pub(crate) stop: DrainTrigger,
    pub(crate) door: Door,
    running: JoinHandle<Result<()>>,
}

/// A fake whose time goes [`SPEED`] times as fast.
pub(crate) fn fake() -> Fake {
    Fake::start_with(&Setup { pace: Pace::Running(SPEED), ..Setup::default() }).unwrap()
}

impl Rig {
    /// With locks of a minute, a second here, and what `change` says.
    pub(crate) fn start(events_max: usize, change: impl FnOnce(&mut Config)) -> Self {
        Self::over(fake(), events_max, change)
    }

    pub(crate) fn over(fake: Fake, events_max: usize, change: impl FnOnce(&mut Config)) -> Self {
        let door = Door::new(fake.url(), Place::Namespace);
        let mut config = Config {
            lock: Duration::from_secs(60 / u64::from(SPEED)),
            tell_every: Duration::from_millis(5),
            backoff: (Duration::from_millis(20), Duration::from_millis(200)),
            leave_timeout: Duration::from_secs(2),
            jitter: fastrand::Rng::with_seed(7),
            ..Config::new(door.endpoint.clone(), "t1", "s1")
        };
        change(&mut config);
        let hands = Arc::new(Hands::default());
        let intake = Intake::new(Window::new(events_max, 32 << 20), hands.clone());
        let source = EventGrid::new(config);
        let (stop, drain) = drain::channel();
        let running = tokio::spawn(source.clone().run(intake, drain));
        Self { fake, hands, source, stop, door, running }
    }

    /// Publishes so many events with ids that begin so.
    pub(crate) fn publish(&self, prefix: &str, count: usize) {
        publish(&self.fake, prefix, count, 2);
    }

    /// What the subscription has counted.
    pub(crate) fn counts(&self) -> Counts {
        self.fake.grid().look(|state| state.topics["t1"]["s1"].counts.clone())
    }

    /// Events that wait there and that are locked.
    pub(crate) fn left(&self) -> (usize, usize) {
        self.fake.grid().look(|state| state.topics["t1"]["s1"].left())
    }

    /// Waits until what the subscription has counted is as wanted.
    pub(crate) async fn until(&self, wanted: impl Fn(&Counts) -> bool) -> Counts {
        self.fake
            .wait_for(|state| {
                let counts = &state.topics.get("t1")?.get("s1")?.counts;
                wanted(counts).then(|| counts.clone())
            })
            .await
    }

    /// The requests to a path that holds this, and how they were answered.
    pub(crate) fn seen(&self, part: &str) -> Vec<(String, u16)> {
        seen(&self.fake, part)
    }

    /// Waits until `/readyz` would say something that holds `part`.
    pub(crate) async fn until_trouble(&self, part: &str) -> String {
        let said = async {
            loop {
                match self.source.trouble() {
                    Some(trouble) if trouble.contains(part) => return trouble,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        let said = tokio::time::timeout(WAIT_MAX, said).await;
        said.unwrap_or_else(|_| panic!("no {part:?}, but {:?}", self.source.trouble()))
    }

    /// The drain, then the close, as the sidecar does them.
    pub(crate) async fn end(self) -> (Fake, Result<()>) {
        self.stop.start();
        tokio::time::timeout(WAIT_MAX, self.stop.ended()).await.expect("the drain ends");
        self.hands.release();
        let closed = tokio::time::timeout(WAIT_MAX, self.source.close()).await.expect("the source closes");
        self.running.await.unwrap().unwrap();
        (self.fake, closed)
    }
}

/// The requests to a path that holds this, and how they were answered.
pub(crate) fn seen(fake: &Fake, part: &str) -> Vec<(String, u16)> {
    fake.grid().look(|state| {
        let seen = state.seen.iter().filter(|seen| seen.path.contains(part));
        seen.map(|seen| (seen.path.clone(), seen.status)).collect()
    })
}

/// Publishes to `t1`: events with a payload of so many bytes.
pub(crate) fn publish(fake: &Fake, prefix: &str, count: usize, bytes: usize) {
    let event = |n: usize| {
        let data = "x".repeat(bytes);
        let event = json!({"specversion": "1.0", "id": format!("{prefix}-{n}"), "source": "/s", "type": "t", "data": data});
        let raw = RawValue::from_string(event.to_string()).unwrap();
        Event::cloud(&raw).unwrap_or_else(|_| panic!("an event"))
    };
    let events = (0..count).map(event).collect();
    let now = fake.grid().clock.now();
    let published = fake.grid().change(|state| state.publish("t1", events, now));
    assert!(published.is_ok(), "the fake takes events");
}
