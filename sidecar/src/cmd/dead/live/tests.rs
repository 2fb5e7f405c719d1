use super::*;
use crate::dead_api::{Refused, answer};
use hyper::service::service_fn;
use outrigger_core::Code;
use std::convert::Infallible;
use tokio::net::UnixListener;

/// Has one letter, number 7, that stays.
struct One;

impl Dead for One {
    fn list(&self, filter: Filter) -> BoxFuture<'_, Result<Listed>> {
        let next = filter.ty.map(|ty| ty.len() as u64);
        Box::pin(async move { Ok(Listed { letters: Vec::new(), next }) })
    }

    fn get(&self, id: u64) -> BoxFuture<'_, Result<Option<Letter>>> {
        Box::pin(async move {
            if id == 8 {
                return Err(Error::new(Kind::Storage, "row 8 is damaged"));
            }
            let letter = serde_json::json!({
                "id": id, "reason": Code::Refused.name(), "status": 422, "detail": "", "attempts": 1, "first_ms": 1,
                "last_ms": 2, "origin": "http", "position": "", "headers": [["a", "b"]], "key": null,
                "attributes": {"id": "e"}, "malformed": false, "data_base64": "/wA=",
            });
            Ok((id == 7).then(|| serde_json::from_value(letter).unwrap()))
        })
    }

    fn replay<'a>(&'a self, filter: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        let refused = vec![Refused { id: 7, why: "full".to_owned() }];
        Box::pin(async move { Ok(Changed { done: filter.ids, refused, next: None }) })
    }

    fn drop<'a>(&'a self, _: Filter, _by: &'a str) -> BoxFuture<'a, Result<Changed>> {
        Box::pin(async { Err(Error::new(Kind::Full, "the disk is full")) })
    }
}

fn served() -> (tempfile::TempDir, Socket) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<hyper::body::Incoming>| async {
                let (parts, body) = request.into_parts();
                Ok::<_, Infallible>(answer(&One, &parts, body, "ann").await)
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    (folder, Socket::new(path))
}

#[tokio::test]
async fn every_verb_crosses_the_socket_unchanged() {
    let (_folder, socket) = served();
    let by_type = Filter { ty: Some("ä b".to_owned()), ..Filter::default() };
    assert_eq!(Dead::list(&socket, by_type).await.unwrap().next, Some(4));
    let letter = socket.get(7).await.unwrap().unwrap();
    assert_eq!((letter.data.as_deref(), letter.status), (Some(&b"\xff\0"[..]), Some(422)));
    assert_eq!(socket.get(9).await.unwrap(), None);
    let changed = Dead::replay(&socket, Filter { ids: vec![1, 2], ..Filter::default() }, "").await.unwrap();
    assert_eq!((changed.done, changed.refused[0].why.as_str()), (vec![1, 2], "full"));
}

#[tokio::test]
async fn what_went_wrong_there_is_told_here() {
    let (_folder, socket) = served();
    let all = Filter { all: true, ..Filter::default() };
    for (error, kind, message) in [
        (socket.drop(all, "").await.unwrap_err(), Kind::Full, "the disk is full"),
        (
            socket.drop(Filter::default(), "").await.unwrap_err(),
            Kind::Invalid,
            "an empty filter needs \"all\": true",
        ),
        (socket.get(8).await.unwrap_err(), Kind::Storage, "row 8 is damaged"),
    ] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error}");
    }
}

#[tokio::test]
async fn a_socket_that_is_absent_or_left_behind_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("admin.sock");
    assert!(!answers(&path).await.unwrap());
    let listener = UnixListener::bind(&path).unwrap();
    assert!(answers(&path).await.unwrap());
    drop(listener);
    assert!(!answers(&path).await.unwrap());
    let error = Dead::list(&Socket::new(path), Filter::default()).await.unwrap_err();
    assert!(error.message().contains("did not answer: Connection refused"), "{error}");
}
