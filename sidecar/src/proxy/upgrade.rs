//! What a client wants to speak instead of HTTP: by `Upgrade` over HTTP/1.1 (RFC 9110, section 7.8), or a WebSocket over
//! HTTP/2 by an extended CONNECT (RFC 8441), which becomes one over HTTP/1.1 toward the function.

use super::answer::Refusal;
use http::{
    HeaderMap, HeaderValue, Method, Request, StatusCode, Version,
    header::{
        CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper::{ext::Protocol, upgrade::OnUpgrade};
use outrigger_net::{server::Stay, websocket};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
/// The one version there is (RFC 6455, section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");

/// A wish to speak something else, and the right to.
pub(super) struct Upgrade {
    to: HeaderValue,
    client: OnUpgrade,
    permit: OwnedSemaphorePermit,
    /// The handshake that we make for a client of HTTP/2.
    bridged: Option<Bridged>,
}

struct Bridged {
    key: HeaderValue,
    /// Its connection counts as used while the WebSocket lives.
    stay: Option<Arc<Stay>>,
}

/// Makes an extended CONNECT the GET that it would be over HTTP/1.1; any other CONNECT is refused. What the client
/// wants stays with the request, among its extensions.
pub(super) fn settle_method<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    if request.method() != Method::CONNECT {
        return Ok(());
    }
    match request.extensions().get::<Protocol>() {
        Some(protocol) if protocol.as_str() == "websocket" => {
            *request.method_mut() = Method::GET;
            Ok(())
        }
        Some(_) => {
            let told = "of extended CONNECT only websocket is passed on";
            Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "connect", told))
        }
        None => Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "connect", "CONNECT is not for here")),
    }
}

impl Upgrade {
    /// What a request wants to speak instead of HTTP. HTTP/2 is not among it: a request for it could be answered by the
    /// function, past all that is decided here.
    pub(super) fn wanted<B>(
        request: &mut Request<B>,
        places: &Arc<Semaphore>,
    ) -> Result<Option<Upgrade>, Refusal> {
        let by_http2 = request.extensions_mut().remove::<Protocol>().is_some();
        let to = if by_http2 { Some(WEBSOCKET) } else { by_header(request.version(), request.headers()) };
        let Some(to) = to else { return Ok(None) };
        let unavailable = |told| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "upgrades", told);
        let permit = places.clone().try_acquire_owned();
        let permit = permit.map_err(|_| unavailable("too many upgraded connections"))?;
        let bridged = if by_http2 {
            let key = websocket::key().ok_or_else(|| unavailable("no key can be made"))?;
            Some(Bridged { key, stay: request.extensions_mut().remove() })
        } else {
            None
        };
        Ok(Some(Upgrade { to, client: hyper::upgrade::on(request), permit, bridged }))
    }

    /// Asks the function, behind which the hop's own headers were taken out.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.to.clone());
        if let Some(bridged) = &self.bridged {
            headers.insert(SEC_WEBSOCKET_KEY, bridged.key.clone());
            headers.entry(SEC_WEBSOCKET_VERSION).or_insert(VERSION);
        }
    }

    /// Whether only the function's 101 may be told as a success: any other would be taken for one over HTTP/2.
    pub(super) fn is_bridged(&self) -> bool {
        self.bridged.is_some()
    }

    /// Whether the function took up what it was asked.
    pub(super) fn is_taken_up(&self, headers: &HeaderMap) -> bool {
        let accepted =
            |bridged: &Bridged| websocket::accepts(&bridged.key, headers.get(SEC_WEBSOCKET_ACCEPT));
        headers.contains_key(UPGRADE) && self.bridged.as_ref().is_none_or(accepted)
    }

    /// What the client is told of it: the status, and the headers besides the function's own.
    pub(super) fn tell(&self, to: HeaderValue, headers: &mut HeaderMap) -> StatusCode {
        if self.is_bridged() {
            for name in [SEC_WEBSOCKET_ACCEPT, CONTENT_LENGTH] {
                headers.remove(name);
            }
            return StatusCode::OK;
        }
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, to);
        StatusCode::SWITCHING_PROTOCOLS
    }

    /// What is held as long as the two sides speak.
    pub(super) fn held(self) -> (OnUpgrade, (OwnedSemaphorePermit, Option<Arc<Stay>>)) {
        let stay = self.bridged.and_then(|bridged| bridged.stay);
        (self.client, (self.permit, stay))
    }
}

fn by_header(version: Version, headers: &HeaderMap) -> Option<HeaderValue> {
    let mut wanted = headers.get_all(UPGRADE).iter();
    let (to, None) = (wanted.next()?, wanted.next()) else { return None };
    let named = headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
    });
    let name = to.as_bytes().trim_ascii();
    let is_http2 = name.len() >= 2 && name[..2].eq_ignore_ascii_case(b"h2")
        || name.len() >= 4 && name[..4].eq_ignore_ascii_case(b"http");
    (version == Version::HTTP_11 && named && !is_http2 && !name.contains(&b',')).then(|| to.clone())
}
