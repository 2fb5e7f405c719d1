//! The binary: where it listens, how it ends, and what it says to a wrong call.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
};

use outrigger_function::Record;
use rustix::process::{Pid, Signal, kill_process};

struct Running {
    child: Child,
    address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger-function"));
    command.args(arguments).env("PORT", "0").stdout(Stdio::piped());
    command
}

fn start(arguments: &[&str]) -> Running {
    let mut child = command(arguments).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().rsplit('/').next().unwrap().parse().unwrap();
    Running { child, address }
}

fn post(stream: &mut TcpStream, id: &str) {
    write!(stream, "POST / HTTP/1.1\r\nhost: f\r\nce-id: {id}\r\ncontent-length: 0\r\n\r\n").unwrap();
}

fn status(stream: &mut TcpStream) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    line.trim().to_owned()
}

fn terminate(running: &Running) {
    kill_process(Pid::from_child(&running.child), Signal::TERM).unwrap();
}

#[test]
fn the_port_of_the_environment_is_used_and_sigterm_ends_with_zero() {
    let mut running = start(&[]);
    assert!(running.address.ip().is_loopback());
    let mut stream = TcpStream::connect(running.address).unwrap();
    post(&mut stream, "1");
    assert_eq!(status(&mut stream), "HTTP/1.1 200 OK");
    terminate(&running);
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}

#[test]
fn sigterm_can_be_ignored() {
    let running = start(&["--ignore-sigterm", "--status", "204"]);
    terminate(&running);
    // Two connections: by the time that the first one is answered, the signal has been seen.
    for id in ["1", "2"] {
        let mut stream = TcpStream::connect(running.address).unwrap();
        post(&mut stream, id);
        assert_eq!(status(&mut stream), "HTTP/1.1 204 No Content");
    }
}

#[test]
fn it_exits_after_so_many_requests_with_the_code_that_was_asked() {
    let mut running = start(&["--exit-after", "1", "--exit-code", "9"]);
    let mut stream = TcpStream::connect(running.address).unwrap();
    post(&mut stream, "1");
    assert_eq!(status(&mut stream), "HTTP/1.1 200 OK");
    assert_eq!(running.child.wait().unwrap().code(), Some(9));
}

#[test]
fn the_log_file_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let program = r#"[{"match": {"id": "2"}, "do": {"fault": {"exit": 4}}}]"#;
    let mut running = start(&["--log", path.to_str().unwrap(), "--program", program]);
    let mut stream = TcpStream::connect(running.address).unwrap();
    post(&mut stream, "1");
    assert_eq!(status(&mut stream), "HTTP/1.1 200 OK");
    post(&mut stream, "2");
    assert_eq!(running.child.wait().unwrap().code(), Some(4));
    let text = std::fs::read_to_string(path).unwrap();
    let lines: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen: Vec<_> = lines.iter().map(|line| (line.n, line.status)).collect();
    assert_eq!(seen[..3], [(1, None), (1, Some(200)), (2, None)]);
}

#[test]
fn a_wrong_call_is_one_line_and_exit_2() {
    for (arguments, expected) in [
        (&["--program", r#"[{"do": {"stauts": 1}}]"#][..], "stauts"),
        (&["--program", "no-such-file"][..], "no-such-file"),
    ] {
        let mut child = command(arguments).stderr(Stdio::piped()).spawn().unwrap();
        let mut error = String::new();
        child.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2));
        assert!(error.contains(expected) && error.lines().count() == 1, "{error}");
    }
}
