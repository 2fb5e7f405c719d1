//! An answer's body on its way to the client, of which a copy is kept once it is whole.

use super::{
    Responses,
    flights::{Lead, Outcome},
    page::Kept,
    underway::Fetching,
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use outrigger_core::{Body, Error};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// What becomes of the copy. Its drop means that the answer was not whole: nothing is kept, and the next request goes.
pub(super) struct Fill {
    pub(super) responses: Arc<Responses>,
    /// Without its body.
    pub(super) kept: Box<Kept>,
    /// What was forgotten since the function was asked is not kept.
    pub(super) fetching: Fetching,
    pub(super) lead: Option<Lead>,
}

impl Fill {
    /// The body as it came, which is kept at its end.
    pub(super) fn body(self, body: Body) -> Body {
        let expected = body.size_hint().exact();
        if body.is_end_stream() {
            self.keep(Vec::new());
            return body;
        }
        if expected.is_some_and(|bytes| !self.responses.takes(bytes)) {
            self.give_up();
            return body;
        }
        Filling { body, copy: Vec::new(), expected, fill: Some(self) }.boxed_unsync()
    }

    fn keep(self, mut bytes: Vec<u8>) {
        bytes.shrink_to_fit(); // what is weighed is what it takes
        let kept = self.kept.with_body(Bytes::from(bytes));
        let is_kept = self.responses.commit(&self.fetching, kept);
        if let Some(lead) = self.lead {
            lead.end(if is_kept { Outcome::Kept } else { Outcome::Alone });
        }
    }

    /// It is not kept after all, so nobody is to wait for it.
    fn give_up(self) {
        self.responses.pass(self.lead);
    }
}

struct Filling {
    body: Body,
    copy: Vec<u8>,
    expected: Option<u64>,
    /// Until the copy is kept, or will not be.
    fill: Option<Fill>,
}

impl Filling {
    fn saw(&mut self, frame: &Frame<Bytes>) {
        let Some(fill) = &self.fill else { return };
        let bytes = frame.data_ref().map(|data| self.copy.len() as u64 + data.len() as u64);
        let fits = bytes.is_some_and(|bytes| fill.responses.takes(bytes));
        let Some(data) = frame.data_ref().filter(|_| fits) else {
            self.copy = Vec::new();
            return self.fill.take().into_iter().for_each(Fill::give_up); // too large, or with trailers, which we do not keep
        };
        if let (Some(expected), true) = (self.expected, self.copy.is_empty()) {
            self.copy.reserve_exact(usize::try_from(expected).unwrap_or_default());
        }
        self.copy.extend_from_slice(data);
        if self.expected == bytes {
            self.whole(); // whoever reads it looks no further than to the last byte
        }
    }

    fn whole(&mut self) {
        if let Some(fill) = self.fill.take() {
            fill.keep(std::mem::take(&mut self.copy));
        }
    }
}

impl http_body::Body for Filling {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.saw(frame),
            Poll::Ready(Some(Err(_))) => self.fill = None,
            Poll::Ready(None) => self.whole(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
