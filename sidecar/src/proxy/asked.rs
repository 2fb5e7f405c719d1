//! The body of a request on its way to the function.

use super::headers::strip_trailers;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use outrigger_core::{Body, Error, Kind};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The client's body. It says how long it is, as the client does: by that a small one is known to be on the wire before
/// its answer, and costs neither a watch nor a task.
pub(super) struct Asked<B>(B);

impl<B> Asked<B>
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Send + Unpin + 'static,
{
    /// What the function gets of `incoming`.
    pub(super) fn body(incoming: B) -> Body {
        if incoming.is_end_stream() { Body::default() } else { Self(incoming).boxed_unsync() }
    }
}

impl<B> http_body::Body for Asked<B>
where
    B: http_body::Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.0).poll_frame(cx).map(|frame| match frame {
            Some(Ok(mut frame)) => {
                frame.trailers_mut().into_iter().for_each(strip_trailers);
                Some(Ok(frame))
            }
            // Its sender's fault, not the function's.
            Some(Err(error)) => {
                Some(Err(Error::new(Kind::Invalid, format!("the request broke off: {error}"))))
            }
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn a_body_says_how_long_it_is() {
        let known = Full::new(Bytes::from_static(b"1234")).map_err(|never| match never {});
        let body = Asked::body(known);
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(4));
    }
}
