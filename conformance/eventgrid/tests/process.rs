//! The binary: where it listens, over TLS too, and what it says to a wrong call.

mod common;

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use common::{Ask, PUBLISH, STRUCTURED, event};
use rustix::process::{Pid, Signal, kill_process};

struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn address(&self) -> SocketAddr {
        self.url.rsplit('/').next().unwrap().parse().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger-eventgrid-fake"));
    command.args(arguments).stdout(Stdio::piped());
    command
}

fn start(arguments: &[&str]) -> Running {
    let mut child = command(arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().strip_prefix("eventgrid: listening on ").expect(&line).to_owned();
    Running { child, url }
}

#[test]
fn it_prints_its_address_on_loopback_and_sigterm_ends_it_with_zero() {
    let mut running = start(&[]);
    assert!(running.address().ip().is_loopback());
    let answer =
        Ask::post(PUBLISH).body(STRUCTURED, event("1").to_string()).try_send(running.address()).unwrap();
    assert_eq!(answer.status, 200);
    kill_process(Pid::from_child(&running.child), Signal::TERM).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn its_clock_runs_as_fast_as_it_is_told_and_can_be_moved() {
    let running = start(&["--standing"]);
    let now =
        || Ask::bare("GET", "/_/clock").try_send(running.address()).unwrap().json()["ms"].as_u64().unwrap();
    let start_ms = now();
    let mut advance = Ask::bare("POST", "/_/advance");
    advance.body = br#"{"seconds": 1.5}"#.to_vec();
    assert_eq!(advance.try_send(running.address()).unwrap().status, 200);
    assert_eq!(now(), start_ms + 1500);

    let fast = start(&["--speed", "1000"]);
    // Ten seconds of the service are ten milliseconds here, so that this ends by itself.
    let target = common::target("receive", "&maxWaitTime=10");
    assert_eq!(Ask::post(&target).try_send(fast.address()).unwrap().body, r#"{"value":[]}"#);
}

#[test]
fn it_speaks_tls_with_a_certificate_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (cert, key) = (file("cert", &made.cert.pem()), file("key", &made.signing_key.serialize_pem()));
    let running = start(&["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()]);
    assert!(running.url.starts_with("https://127.0.0.1:"));
    assert!(Ask::bare("GET", "/_/health").try_send(running.address()).is_none(), "plain text is no TLS");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let stream = std::net::TcpStream::connect(running.address()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, stream);
    let request = b"GET /_/health HTTP/1.1\r\nhost: f\r\nconnection: close\r\n\r\n";
    std::io::Write::write_all(&mut stream, request).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_wrong_call_is_one_line_and_exit_2() {
    for (arguments, expected) in [
        (&["--config", r#"{"topicz": {}}"#][..], "topicz"),
        (&["--config", "no-such-file"][..], "no-such-file"),
        (&["--tls-cert", "no-cert", "--tls-key", "no-key"][..], "no-cert"),
        (
            &["--config", r#"{"topics": {"t": {"subscriptions": {"s": {"receive_lock_s": 1}}}}}"#][..],
            "receive_lock_s",
        ),
    ] {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2));
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
}
