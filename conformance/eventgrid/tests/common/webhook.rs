//! A webhook of the tests' own: it records what it is told, and answers what the test says.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use outrigger_eventgrid_fake::{
    Config, Fake,
    config::{CustomTopic, TEST_KEY},
    event::Schema,
};
use serde_json::{Value, json};

use super::Ask;

pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `default` takes `CloudEvents`, `grid` Event Grid's own schema.
pub fn fake() -> Fake {
    let grid = CustomTopic { input_schema: Schema::EventGridSchema, ..CustomTopic::default() };
    let custom_topics = [("default".to_owned(), CustomTopic::default()), ("grid".to_owned(), grid)].into();
    Fake::standing(Config { custom_topics, ..Config::default() })
}

pub fn publish_grid(fake: &Fake, subject: &str) {
    let event = json!([{"id": "1", "subject": subject, "eventType": "t", "eventTime": "2024-05-01T00:00:00Z",
                        "dataVersion": "1.0", "data": {"k": 1}}]);
    let ask = Ask::bare("POST", "/grid/api/events?api-version=2018-01-01").header("aeg-sas-key", TEST_KEY);
    assert_eq!(ask.json(&event).send(fake).status, 200);
}

pub fn state(fake: &Fake, path: &str) -> Value {
    Ask::bare("GET", &format!("/_/custom/{path}")).send(fake).json()
}

/// Waits until the webhook has been told so many things more.
pub async fn told(hook: &Arc<Webhook>, count: usize) {
    let hook = hook.clone();
    tokio::task::spawn_blocking(move || hook.wait_for(count)).await.unwrap();
}

/// A request that it got.
#[derive(Debug, Clone)]
pub struct Told {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn event_type(&self) -> &str {
        self.headers.get("aeg-event-type").map_or("", String::as_str)
    }

    /// The code of a validation event.
    pub fn code(&self) -> String {
        self.json()[0]["data"]["validationCode"].as_str().unwrap().to_owned()
    }
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status, with these headers and this body.
    Say(u16, Vec<(&'static str, &'static str)>, String),
    /// Nothing, ever.
    Hang,
    /// The connection is closed.
    Close,
}

/// An answer without headers and body.
pub fn status(status: u16) -> Reply {
    Reply::Say(status, Vec::new(), String::new())
}

/// The right answer to each handshake, and `to_events` to whatever else comes.
pub fn valid(told: &Told, to_events: impl FnOnce(&Told) -> Reply) -> Reply {
    match (told.method.as_str(), told.event_type()) {
        ("OPTIONS", _) => {
            Reply::Say(200, vec![("webhook-allowed-origin", "eventgrid.azure.net")], String::new())
        }
        (_, "SubscriptionValidation") => {
            let body = serde_json::json!({"validationResponse": told.code()});
            Reply::Say(200, Vec::new(), body.to_string())
        }
        _ => to_events(told),
    }
}

/// A running webhook.
pub struct Webhook {
    scheme: &'static str,
    address: SocketAddr,
    told: Arc<Mutex<Vec<Told>>>,
    arrivals: Mutex<mpsc::Receiver<()>>,
}

impl Webhook {
    /// One that answers as `answer` says. Its threads end with the test.
    pub fn start(answer: impl Fn(&Told) -> Reply + Send + Sync + 'static) -> Self {
        Self::over("http", |stream| stream, answer)
    }

    /// One that speaks TLS.
    pub fn start_tls(
        config: rustls::ServerConfig,
        answer: impl Fn(&Told) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let config = Arc::new(config);
        let wrap = move |stream| {
            rustls::StreamOwned::new(rustls::ServerConnection::new(config.clone()).unwrap(), stream)
        };
        Self::over("https", wrap, answer)
    }

    fn over<S: Read + Write>(
        scheme: &'static str,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        answer: impl Fn(&Told) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let (arrived, arrivals) = mpsc::sync_channel(100_000);
        let (both, book) = (Arc::new((wrap, answer)), told.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (both, book, arrived) = (both.clone(), book.clone(), arrived.clone());
                thread::spawn(move || serve(both.0(stream), &both.1, &book, &arrived));
            }
        });
        Self { scheme, address, told, arrivals: Mutex::new(arrivals) }
    }

    pub fn url(&self) -> String {
        format!("{}://{}/hook?secret=s", self.scheme, self.address)
    }

    /// What it was told, the handshake left out.
    pub fn notifications(&self) -> Vec<Told> {
        self.told().into_iter().filter(|told| told.event_type() == "Notification").collect()
    }

    pub fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until it has been told so many things since the start, or since the last call.
    pub fn wait_for(&self, count: usize) {
        let arrivals = self.arrivals.lock().unwrap();
        for _ in 0..count {
            arrivals.recv_timeout(Duration::from_mins(1)).expect("the webhook is told something");
        }
    }
}

fn serve(
    stream: impl Read + Write,
    answer: &impl Fn(&Told) -> Reply,
    book: &Mutex<Vec<Told>>,
    arrived: &mpsc::SyncSender<()>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(told) = read(&mut stream) {
        book.lock().unwrap().push(told.clone());
        let reply = answer(&told);
        let _ = arrived.send(());
        match reply {
            Reply::Hang => loop {
                thread::park();
            },
            Reply::Close => return,
            Reply::Say(status, headers, body) => {
                let mut text = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    text.extend([name, ": ", value, "\r\n"]);
                }
                if stream.get_mut().write_all(format!("{text}\r\n{body}").as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Told> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut first = lines.first()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<_, _> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Told { method, target, headers, body: String::from_utf8(body).ok()? })
}
