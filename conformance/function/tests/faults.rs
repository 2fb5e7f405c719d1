//! Each fault, as a plain socket sees it: which bytes arrive, and whether the end is a FIN or an RST.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
};

use outrigger_function::{Action, Fault, Function, Match, Outcome, Program, Rule};

#[derive(Debug, PartialEq)]
enum End {
    Closed,
    Reset,
}

/// Sends one event on `stream`.
fn send(stream: &mut TcpStream, id: &str) {
    let request = format!(
        "POST /in HTTP/1.1\r\nhost: f\r\nce-id: {id}\r\nce-partitionkey: k\r\ncontent-length: 4\r\n\r\nbody"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads to the end of the connection: the status line and headers, the body, and how it ended.
fn read_to_end(mut stream: TcpStream) -> (String, usize, End) {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    let end = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break End::Reset,
            Err(error) => panic!("{error}"),
        }
    };
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.to_owned(), body.len(), end)
}

fn faulted(fault: Fault) -> (String, usize, End) {
    let function = Function::start(Program::always(Action::fault(fault)));
    let mut stream = TcpStream::connect(function.addr()).unwrap();
    send(&mut stream, "1");
    let seen = read_to_end(stream);
    let stats = function.stats();
    assert_eq!((stats.received, stats.faulted, stats.running), (1, 1, 0));
    assert_eq!(function.log()[0].outcome, Outcome::Faulted);
    seen
}

#[test]
fn a_reset_before_the_answer_is_an_rst_without_a_byte() {
    assert_eq!(faulted(Fault::ResetBefore), (String::new(), 0, End::Reset));
}

#[test]
fn a_close_before_the_answer_is_a_fin_without_a_byte() {
    assert_eq!(faulted(Fault::CloseBefore), (String::new(), 0, End::Closed));
}

#[test]
fn a_reset_after_the_headers_lets_the_headers_arrive() {
    let (head, body, end) = faulted(Fault::ResetHeaders);
    assert!(head.starts_with("HTTP/1.1 200") && head.contains("content-length: 1000"), "{head}");
    assert_eq!((body, end), (0, End::Reset));
}

#[test]
fn a_reset_in_the_body_lets_half_of_it_arrive() {
    let (head, body, end) = faulted(Fault::ResetBody);
    assert!(head.contains("content-length: 1000"), "{head}");
    assert_eq!((body, end), (500, End::Reset));
}

#[test]
fn a_truncated_body_is_half_of_what_was_promised_and_a_fin() {
    let (head, body, end) = faulted(Fault::Truncate);
    assert!(head.contains("content-length: 1000"), "{head}");
    assert_eq!((body, end), (500, End::Closed));
}

#[test]
fn a_hanging_request_lasts_until_its_caller_goes_away() {
    let function = Function::start(Program::always(Action::fault(Fault::Hang)));
    let mut stream = TcpStream::connect(function.addr()).unwrap();
    send(&mut stream, "1");
    let stats = function.wait_for_blocking(|stats| stats.running == 1);
    assert_eq!(stats.ended, 0);
    drop(stream);
    function.wait_for_blocking(|stats| stats.gone == 1 && stats.running == 0);
    assert_eq!(function.log()[0].outcome, Outcome::Gone);
}

#[test]
fn a_stalled_body_sends_the_headers_and_half_and_then_nothing() {
    for (fault, sent) in [(Fault::StallHeaders, 0), (Fault::StallBody, 500)] {
        let function = Function::start(Program::always(Action::fault(fault)));
        let mut stream = TcpStream::connect(function.addr()).unwrap();
        send(&mut stream, "1");
        function.wait_for_blocking(|stats| stats.faulted == 1);
        stream.set_read_timeout(Some(std::time::Duration::from_millis(200))).unwrap();
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let error = loop {
            match stream.read(&mut buffer) {
                Ok(count) => {
                    assert!(count > 0, "{fault:?}: the connection stays open");
                    bytes.extend_from_slice(&buffer[..count]);
                }
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{fault:?}");
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.split_once("\r\n\r\n").unwrap().1.len(), sent, "{fault:?}");
    }
}

#[test]
fn an_exit_ends_the_server_without_an_answer() {
    let function =
        Function::start(Program::default().rule(Rule::new(Match::nth(1), Action::fault(Fault::Exit(3)))));
    let mut stream = TcpStream::connect(function.addr()).unwrap();
    send(&mut stream, "1");
    let (head, body, _) = read_to_end(stream);
    assert_eq!((head.as_str(), body), ("", 0));
    assert_eq!(function.drain(), 3);
}
