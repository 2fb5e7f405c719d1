use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http::HeaderValue;
use http_body::{Frame, SizeHint};
use http_body_util::Full;

use super::*;

const LIMITS: BodyLimits =
    BodyLimits { bytes_max: 1000, decompressed_bytes_max: 2000, timeout: Duration::from_secs(5) };

/// A body that plays what it was given and notes how much of it was asked for.
struct Script {
    pieces: std::vec::IntoIter<Piece>,
    claimed: Option<u64>,
}

enum Piece {
    Bytes(usize),
    Break,
    Stall,
    Never,
}

impl Script {
    fn new(pieces: Vec<Piece>) -> Script {
        Script { pieces: pieces.into_iter(), claimed: None }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.pieces.next() {
            None => Poll::Ready(None),
            Some(Piece::Bytes(n)) => Poll::Ready(Some(Ok(Frame::data(vec![b'x'; n].into())))),
            Some(Piece::Break) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            Some(Piece::Stall) => {
                self.pieces = vec![Piece::Stall].into_iter();
                Poll::Pending
            }
            Some(Piece::Never) => panic!("the body was read past the limit"),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.claimed.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn encoded(values: &[&'static str]) -> HeaderMap {
    values.iter().map(|v| (CONTENT_ENCODING, HeaderValue::from_static(v))).collect()
}

async fn plain(script: Script) -> Result<Bytes, BodyError> {
    collect(&HeaderMap::new(), script, &LIMITS).await
}

#[tokio::test]
async fn pieces_become_one_body_up_to_exactly_the_limit() {
    let body = plain(Script::new(vec![Piece::Bytes(400), Piece::Bytes(0), Piece::Bytes(600)])).await;
    assert_eq!(body.unwrap().len(), 1000);
    assert_eq!(plain(Script::new(vec![])).await.unwrap().len(), 0);
}

#[tokio::test]
async fn row_29_a_body_over_the_limit_is_refused_while_it_streams() {
    let pieces = vec![Piece::Bytes(999), Piece::Bytes(2), Piece::Never];
    let refused = plain(Script::new(pieces)).await.unwrap_err();
    assert_eq!((refused.status(), refused), (413, BodyError::TooLarge { bytes_max: 1000 }));
}

#[tokio::test]
async fn a_claimed_length_over_the_limit_is_refused_before_a_byte_is_read() {
    let script = Script { claimed: Some(1001), ..Script::new(vec![Piece::Never]) };
    assert_eq!(plain(script).await.unwrap_err(), BodyError::TooLarge { bytes_max: 1000 });
}

#[test]
fn a_claimed_length_reserves_no_memory_ahead_of_what_arrived() {
    let mut sink = Sink::Plain { bytes: Vec::new(), declared: 1 << 30 };
    sink.push(&[0; 100]).unwrap();
    let Sink::Plain { bytes, .. } = &sink else { unreachable!() };
    assert!(bytes.capacity() <= 256, "{} bytes for 100 that arrived", bytes.capacity());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_at_the_total_timeout() {
    let started = tokio::time::Instant::now();
    let refused = plain(Script::new(vec![Piece::Bytes(10), Piece::Stall])).await.unwrap_err();
    assert_eq!(refused, BodyError::TimedOut { timeout: LIMITS.timeout, received: 10 });
    assert_eq!((refused.status(), started.elapsed().as_secs()), (408, 5));
}

#[tokio::test]
async fn a_client_that_goes_away_is_told_apart() {
    let refused = plain(Script::new(vec![Piece::Bytes(10), Piece::Break])).await.unwrap_err();
    assert!(matches!(refused, BodyError::Disconnected { received: 10, .. }), "{refused:?}");
}

#[test]
fn encodings_are_known_nothing_or_unsupported() {
    for none in [&[][..], &[""], &["identity"], &["Identity, identity"]] {
        assert_eq!(coding(&encoded(none)), Ok(None), "{none:?}");
    }
    for gzip in [&["gzip"][..], &["GZip"], &["x-gzip"], &["identity, gzip"], &["identity", "gzip"]] {
        assert_eq!(coding(&encoded(gzip)), Ok(Some(Coding::Gzip)), "{gzip:?}");
    }
    assert_eq!(coding(&encoded(&["Deflate"])), Ok(Some(Coding::Deflate)));
    assert_eq!(coding(&encoded(&["zstd, identity"])), Ok(Some(Coding::Zstd)));
    for name in ACCEPT_ENCODING.split(", ") {
        assert!(Coding::of(name.as_bytes()).is_some(), "{name} is said to be accepted");
    }
    for other in
        [&["br"][..], &["gzip, gzip"], &["gzip", "zstd"], &["deflate, gzip"], &["gzip;q=1"], &["x-zstd"]]
    {
        let refused = coding(&encoded(other)).unwrap_err();
        assert_eq!(refused.status(), 415, "{other:?}");
        assert!(refused.to_string().contains(ACCEPT_ENCODING), "{refused}");
    }
}

#[tokio::test]
async fn a_gzip_body_is_unpacked_and_both_limits_hold() {
    use std::io::Write;
    let pack = |n: usize| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b'x'; n]).unwrap();
        Full::<Bytes>::new(encoder.finish().unwrap().into())
    };
    let unpack = async |body| collect::<Full<Bytes>>(&encoded(&["gzip"]), body, &LIMITS).await;
    assert_eq!(unpack(pack(2000)).await.unwrap(), vec![b'x'; 2000]);
    let bomb = unpack(pack(2001)).await.unwrap_err();
    assert_eq!((bomb.status(), bomb), (413, BodyError::TooLargeDecompressed { bytes_max: 2000 }));
    let wire = unpack(Full::new(vec![0; 1001].into())).await.unwrap_err();
    assert_eq!(wire, BodyError::TooLarge { bytes_max: 1000 });
    let garbage = unpack(Full::new(Bytes::from_static(b"{\"plain\":1}"))).await.unwrap_err();
    assert_eq!(garbage.status(), 400);
}

#[tokio::test]
async fn bodies_on_their_way_share_a_bound_and_give_back_what_they_held() {
    let budget = Budget::new(1000);
    let headers = HeaderMap::new();
    {
        let waits =
            collect_within(&headers, Script::new(vec![Piece::Bytes(600), Piece::Stall]), &LIMITS, &budget);
        let mut waits = pin!(waits);
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        assert!(budget.held() >= 600, "{}", budget.held());
        let second = Script::new(vec![Piece::Bytes(500), Piece::Never]);
        let refused = collect_within(&headers, second, &LIMITS, &budget).await.unwrap_err();
        assert_eq!((refused.clone(), refused.status()), (BodyError::NoRoom { bytes_max: 1000 }, 503));
    }
    assert_eq!(budget.held(), 0, "what was dropped and what was refused gave back all");
    let whole = Script::new(vec![Piece::Bytes(600)]);
    assert_eq!(collect_within(&headers, whole, &LIMITS, &budget).await.unwrap().len(), 600);
    assert_eq!(budget.held(), 0);
}

#[tokio::test]
async fn what_is_unpacked_counts_in_the_bound() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![b'x'; 200_000]).unwrap();
    let (budget, packed) = (Budget::new(10_000), encoder.finish().unwrap());
    assert!(packed.len() < 1000, "{}", packed.len());
    let limits = BodyLimits { decompressed_bytes_max: 1 << 20, ..LIMITS };
    let headers = encoded(&["gzip"]);
    let refused = collect_within(&headers, Full::from(packed), &limits, &budget).await;
    assert_eq!(refused, Err(BodyError::NoRoom { bytes_max: 10_000 }));
    assert_eq!(budget.held(), 0);
}
