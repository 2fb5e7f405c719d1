//! What no client sends that means well, over HTTP/2 within TLS and without.

use super::{
    http2::{
        CONTINUATION, END_HEADERS, END_STREAM, HEADERS, PREFACE, RST_STREAM, SETTINGS, by_hand, client,
        flood, frame, head,
    },
    tls::Secured,
    *,
};

/// The same as [`by_hand`], within TLS.
async fn secured(s: &Secured) -> impl AsyncRead + AsyncWrite + use<> {
    let mut stream = s.http2().await;
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    stream
}

#[tokio::test]
async fn row_33_requests_that_are_reset_at_once_end_the_connection_within_tls_too() {
    let s = Secured::start(|_, _| {}).await;
    flood(secured(&s).await, |number| {
        let (stream, cancel) = (2 * number + 1, 8_u32.to_be_bytes());
        let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("/wait"));
        [request, frame(RST_STREAM, 0, stream, &cancel)].concat()
    })
    .await;
    assert!(s.listener.dropped.load(SeqCst) < 1000);
    drop(secured(&s).await);
}

#[tokio::test]
async fn row_33_headers_that_never_end_end_the_connection_within_tls_too() {
    let s = Secured::start(|_, _| {}).await;
    flood(secured(&s).await, |number| match number {
        0 => frame(HEADERS, END_STREAM, 1, &head("/")),
        _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y'].repeat(100)),
    })
    .await;
    assert_eq!(s.listener.dropped.load(SeqCst), 0, "the flood reached no service");
    drop(secured(&s).await);
}

/// A literal header that is not indexed (RFC 7541, section 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [&[0, length(name)], name.as_bytes(), &[length(value)], value.as_bytes()].concat()
}

fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    headers.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

const GOOD: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "x")];

/// The good request without its header of this name, and with others behind it.
fn but(without: &str, more: &[(&'static str, &'static str)]) -> Vec<u8> {
    let kept = GOOD.into_iter().filter(|(name, _)| *name != without);
    block(&kept.chain(more.iter().copied()).collect::<Vec<_>>())
}

#[tokio::test]
async fn a_request_whose_pseudo_headers_are_wrong_reaches_no_service() {
    let f = Fixture::start(Limits::default()).await;
    let wrong: Vec<(&str, Vec<u8>)> = vec![
        ("no method", but(":method", &[])),
        ("no scheme", but(":scheme", &[])),
        ("no path", but(":path", &[])),
        ("an empty path", but(":path", &[(":path", "")])),
        ("two methods", but("", &[(":method", "POST")])),
        ("two paths", but("", &[(":path", "/peer")])),
        ("two authorities", but("", &[(":authority", "y")])),
        ("an unknown one", but("", &[(":evil", "x")])),
        ("one of answers", but("", &[(":status", "200")])),
        ("one behind a header", but(":path", &[("a", "b"), (":path", "/")])),
        ("a header in capitals", but("", &[("Evil", "x")])),
        ("a header of the hop", but("", &[("connection", "close")])),
        ("a body in chunks", but("", &[("transfer-encoding", "chunked")])),
        ("a method that is none", but(":method", &[(":method", "G E T")])),
        ("a line in the path", but(":path", &[(":path", "/\r\nx: y")])),
        ("a line in a value", but("", &[("a", "b\r\nc: d")])),
        ("a name with a colon", but("", &[("a:b", "c")])),
        ("another protocol, unasked", but(":method", &[(":method", "CONNECT"), (":protocol", "websocket")])),
    ];
    for (what, block) in wrong {
        let mut stream = by_hand(&f).await;
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)).await.unwrap();
        let answer = async {
            let (mut said, mut piece) = (Vec::new(), [0; 1024]);
            loop {
                let came = stream.read(&mut piece).await.unwrap_or(0);
                said.extend_from_slice(&piece[..came]);
                if came == 0 || refused(&said) {
                    return said;
                }
            }
        };
        let said = tokio::time::timeout(Duration::from_secs(10), answer).await;
        assert!(refused(&said.unwrap_or_else(|_| panic!("{what}: it is not refused"))), "{what}");
        assert_eq!(f.dropped.load(SeqCst), 0, "{what}: the service was asked");
    }
    let mut stream = by_hand(&f).await;
    let good = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&GOOD));
    stream.write_all(&good).await.unwrap();
    while f.dropped.load(SeqCst) == 0 {
        tokio::task::yield_now().await; // what was only a little different is served
    }
    assert_eq!(
        client(&f)
            .await
            .send_request(Request::get("http://x/").body(Full::default()).unwrap())
            .await
            .unwrap()
            .status(),
        200
    );
}

/// Whether a reset, a GOAWAY or a head of an answer other than 200 is among these frames.
fn refused(mut said: &[u8]) -> bool {
    const GOAWAY: u8 = 7;
    while said.len() >= 9 {
        let length = usize::from(said[0]) << 16 | usize::from(said[1]) << 8 | usize::from(said[2]);
        let Some(payload) = said.get(9..9 + length) else { return false };
        let is_refusal = payload.first().is_some_and(|&status| status != 0x88);
        if matches!(said[3], RST_STREAM | GOAWAY) || said[3] == HEADERS && is_refusal {
            return true;
        }
        said = &said[9 + length..];
    }
    false
}
