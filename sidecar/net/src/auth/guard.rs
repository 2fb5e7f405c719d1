//! The one question of a listener: who is this, and may they.
//!
//! A request is asked about in up to three steps, because that is how it arrives: its head ([`Guard::enter`]), its body
//! where only that can tell who sent it ([`Guard::body`]), and each event in it ([`Guard::event`]; [`Guard::request`]
//! where it is none). Each decision is written to the audit log (the tracing target [`AUDIT`]): refusals at the level
//! WARN, at most twenty a second, and what was let in at INFO, by [`Guard::granted`]. Where the request has a [`Remote`]
//! among its extensions, they name the client's address.

use super::{
    denial::{BEARER, BODY, CERTIFICATE, Denial, SECRET, Why},
    hmac::{Signature, Signed},
    identity::{Identity, PeerPattern},
    issuers::Issuers,
    rules::{Allowed, Rules},
    secret::Shared,
    throttle::Throttle,
};
use crate::{
    server::Remote,
    tls::Peer,
    token::{self, TokenFile},
};
use http::{header::CONTENT_ENCODING, request::Parts};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// The tracing target of the audit log.
pub const AUDIT: &str = "audit";

/// The ways in of one listener. Each that is there is an alternative.
#[derive(Debug, Default)]
pub struct Methods {
    /// A bearer token of a file.
    pub bearer: Option<TokenFile>,
    /// Bearer tokens of issuers.
    pub oidc: Issuers,
    /// Bodies that are signed with a shared secret.
    pub signed: Option<Signed>,
    /// A shared secret in the query or a header.
    pub secret: Option<Shared>,
    /// Client certificates: those that one of these fits.
    pub certificates: Vec<PeerPattern>,
}

/// Who may enter a listener, and what they may send. Shared by everything that the listener serves.
#[derive(Debug)]
pub struct Guard {
    listener: Arc<str>,
    methods: Option<Methods>,
    rules: Option<Rules>,
    audit: Mutex<Throttle>,
}

/// How far the head of a request got its sender.
#[derive(Debug)]
pub enum Entry {
    /// In.
    Known(Pass),
    /// Only the body can tell: read it as it was sent, and ask [`Guard::body`].
    Signed(Pending),
}

/// A signature whose body is still to come.
#[derive(Debug)]
pub struct Pending(Signature);

/// Somebody who is known, and may use the path that they asked for.
#[derive(Debug, Clone)]
pub struct Pass {
    who: Identity,
    beside: Option<Box<Beside>>,
    allowed: Option<Allowed>,
}

/// What the token of a sender came to who is known by a certificate already.
#[derive(Debug, Clone)]
enum Beside {
    /// It is known by that, too: rules may be about either.
    Known(Identity),
    /// It is not good, or cannot be checked now: told where the certificate alone is not enough.
    Refused(Denial),
}

/// What rules judge of an event.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// Its source.
    pub source: &'a str,
    /// Its type.
    pub ty: &'a str,
    /// Whether they stand in the body, not in headers beside it.
    pub in_body: bool,
}

/// Who somebody is.
struct Known {
    who: Identity,
    beside: Option<Box<Beside>>,
}

impl From<Identity> for Known {
    fn from(who: Identity) -> Self {
        Self { who, beside: None }
    }
}

impl Guard {
    /// Lets anybody in: `auth: none`.
    #[must_use]
    pub fn open(listener: &str) -> Self {
        Self { listener: listener.into(), methods: None, rules: None, audit: Mutex::default() }
    }

    /// Lets in whom one of the methods knows, to send what the rules allow; without rules, anything. `listener` is its
    /// name in the audit log, such as `ingress.http`.
    #[must_use]
    pub fn new(listener: &str, methods: Methods, rules: Option<Rules>) -> Self {
        Self { listener: listener.into(), methods: Some(methods), rules, audit: Mutex::default() }
    }

    /// Who asks, by the head of the request: its certificate (an `Arc<Peer>` in the extensions), its `Authorization`,
    /// or its signature; and whether any rule allows them this path.
    ///
    /// Nothing is read from the body. With an issuer this may wait for its keys, see [`Issuers::check`].
    ///
    /// # Errors
    /// [`Denial`], to be answered by [`Denial::answer`].
    ///
    /// # Cancellation
    /// Safe.
    pub async fn enter(&self, parts: &Parts) -> Result<Entry, Denial> {
        let entered = match &self.methods {
            None => Ok(Some(Identity::Anybody.into())),
            Some(methods) => methods.identify(parts, self.rules.is_some()).await,
        };
        match entered {
            Ok(Some(known)) => self.pass(known, parts).map(Entry::Known),
            Ok(None) => self.signature(parts).map(|signature| Entry::Signed(Pending(signature))),
            Err(denial) => Err(denial),
        }
        .map_err(|denial| self.refuse(denial, None, parts))
    }

    /// Who sent the body, which must be what came over the wire: not unpacked, not changed.
    ///
    /// # Errors
    /// [`Why::Body`] when nobody who is expected signed it, [`Why::Rule`] when they may not use this path.
    pub fn body(&self, pending: &Pending, parts: &Parts, body: &[u8]) -> Result<Pass, Denial> {
        let signed = self.methods.as_ref().and_then(|methods| methods.signed.as_ref());
        let checked = match signed {
            Some(signed) => signed.check(&pending.0, body, Instant::now()),
            None => Err(Denial::new(Why::Body, "no body is signed here")),
        };
        let passed = checked.and_then(|()| self.pass(Identity::Signer.into(), parts));
        passed.map_err(|denial| self.refuse(denial, None, parts))
    }

    /// Whether a known sender may send this event; a refusal is written to the audit log. Of one who is known by the
    /// signature of the body, attributes that stand elsewhere fit no rule: anybody on the way could have written them.
    ///
    /// # Errors
    /// [`Why::Rule`].
    pub fn event(&self, pass: &Pass, parts: &Parts, event: Attributes<'_>) -> Result<(), Denial> {
        let Some(allowed) = &pass.allowed else { return Ok(()) };
        let judged = match pass.who {
            Identity::Signer if !event.in_body => allowed.data(),
            _ => allowed.event(event.source, event.ty),
        };
        judged.map_err(|denial| self.refuse(pass.told(denial), Some(&pass.who), parts))
    }

    /// Whether a known sender may send a request that is no event, as a proxy passes it on; a refusal is written to the
    /// audit log.
    ///
    /// # Errors
    /// [`Why::Rule`].
    pub fn request(&self, pass: &Pass, parts: &Parts) -> Result<(), Denial> {
        let Some(allowed) = &pass.allowed else { return Ok(()) };
        allowed.request().map_err(|denial| self.refuse(pass.told(denial), Some(&pass.who), parts))
    }

    /// Writes to the audit log that a request was let in, and how many events it brought.
    pub fn granted(&self, pass: &Pass, parts: &Parts, events: usize) {
        let (listener, method, path) = (&*self.listener, parts.method.as_str(), parts.uri.path());
        let (by, who) = (pass.who.method(), pass.who.name());
        let beside = pass.beside().map_or("", Identity::name);
        tracing::info!(
            target: AUDIT,
            audit = "granted", listener, client = client(parts), by, who, beside, method, path, events,
            "let in"
        );
    }

    /// Whether somebody must say who they are.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.methods.is_none()
    }

    fn pass(&self, Known { who, beside }: Known, parts: &Parts) -> Result<Pass, Denial> {
        let mut pass = Pass { who, beside, allowed: None };
        let Some(rules) = &self.rules else { return Ok(pass) };
        let who = &pass.who;
        let allowed = match pass.beside() {
            Some(beside) => rules.about_all(&[who, beside], parts.uri.path()),
            None => rules.about(who, parts.uri.path()),
        };
        match allowed {
            Ok(allowed) => {
                pass.allowed = Some(allowed);
                Ok(pass)
            }
            Err(denial) => {
                let named = if who.name().is_empty() { who.method() } else { who.name() };
                let denial = Denial { detail: format!("{} ({named})", denial.detail), ..denial };
                Err(pass.told(denial))
            }
        }
    }

    /// The signature for a body that is still to come.
    fn signature(&self, parts: &Parts) -> Result<Signature, Denial> {
        let signed = self.methods.as_ref().and_then(|methods| methods.signed.as_ref());
        let presented = signed.map(|signed| signed.presented(&parts.headers)).transpose()?.flatten();
        let Some(signature) = presented else {
            return Err(Denial::new(Why::Missing, "the request does not say who sends it"));
        };
        // What is signed is what was sent, and that is unpacked while it is read.
        let packed = parts.headers.get(CONTENT_ENCODING).filter(|coding| *coding != "identity");
        if packed.is_some() {
            return Err(Denial::new(Why::Malformed, "a signed body must not be compressed"));
        }
        Ok(signature)
    }

    fn refuse(&self, mut denial: Denial, who: Option<&Identity>, parts: &Parts) -> Denial {
        denial.scheme = self.methods.as_ref().map_or(BEARER, Methods::scheme);
        let mut throttle = self.audit.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left_out) = throttle.allow(Instant::now()) {
            drop(throttle);
            let (listener, method, path) = (&*self.listener, parts.method.as_str(), parts.uri.path());
            let (by, who) = who.map_or(("", ""), |who| (who.method(), who.name()));
            let (reason, status) = (denial.why.name(), denial.why.status().as_u16());
            tracing::warn!(
                target: AUDIT,
                audit = "refused", listener, client = client(parts), reason, status, by, who, method, path, left_out,
                "{denial}"
            );
        }
        denial
    }
}

impl Methods {
    /// Who it is by what the head holds; `None` where only a signed body could tell, or nothing can.
    ///
    /// A certificate is enough; where there are `rules`, a token beside it is looked at all the same, as they may be
    /// about the one or the other.
    async fn identify(&self, parts: &Parts, rules: bool) -> Result<Option<Known>, Denial> {
        let mut denial = None;
        if let Some(peer) = parts.extensions.get::<Arc<Peer>>().filter(|_| !self.certificates.is_empty()) {
            if self.certificates.iter().any(|pattern| pattern.fits(peer)) {
                let beside = if rules { self.beside(parts).await } else { None };
                return Ok(Some(Known { who: Identity::Certificate(peer.clone()), beside }));
            }
            let detail =
                format!("the client certificate of {:?} is not among those that are let in", peer.subject);
            denial = Some(Denial::new(Why::Certificate, detail));
        }
        if self.bearer.is_some() || !self.oidc.is_empty() {
            match self.bearer(parts).await {
                Ok(who) => return Ok(Some(who.into())),
                // Not to have a token says less than to have a wrong certificate.
                Err(missing) if missing.why == Why::Missing => {}
                Err(wrong) => denial = Some(wrong),
            }
        }
        if let Some(secret) = &self.secret {
            match secret.check(parts, Instant::now()) {
                Ok(()) => return Ok(Some(Identity::Holder.into())),
                Err(missing) if missing.why == Why::Missing => {}
                Err(wrong) => denial = Some(wrong),
            }
        }
        // A sender who is wrong by one method may still sign the body.
        let signs =
            self.signed.as_ref().is_some_and(|signed| !matches!(signed.presented(&parts.headers), Ok(None)));
        match denial.filter(|_| !signs) {
            Some(denial) => Err(denial),
            None => Ok(None),
        }
    }

    async fn beside(&self, parts: &Parts) -> Option<Box<Beside>> {
        if self.bearer.is_none() && self.oidc.is_empty() {
            return None;
        }
        match self.bearer(parts).await {
            Ok(who) => Some(Box::new(Beside::Known(who))),
            Err(missing) if missing.why == Why::Missing => None,
            Err(wrong) => Some(Box::new(Beside::Refused(wrong))),
        }
    }

    async fn bearer(&self, parts: &Parts) -> Result<Identity, Denial> {
        if let Some(file) = &self.bearer {
            match file.check(&parts.headers, Instant::now()) {
                Ok(()) => return Ok(Identity::Bearer),
                Err(refusal) if self.oidc.is_empty() => return Err(refused(refusal)),
                Err(_) => {}
            }
        }
        if self.oidc.is_empty() {
            return Err(refused(token::Refusal::Missing));
        }
        let presented = token::presented(&parts.headers).map_err(refused)?;
        self.oidc.check(presented, unix_s()).await.map(Identity::Token)
    }

    /// How a caller may identify itself, by the first method that there is.
    fn scheme(&self) -> &'static str {
        if self.bearer.is_some() || !self.oidc.is_empty() {
            BEARER
        } else if self.signed.is_some() {
            BODY
        } else if self.secret.is_some() {
            SECRET
        } else {
            CERTIFICATE
        }
    }
}

impl Pass {
    /// Who it is.
    #[must_use]
    pub fn who(&self) -> &Identity {
        &self.who
    }

    /// Who it is by its token too, where a certificate made it known already.
    #[must_use]
    pub fn beside(&self) -> Option<&Identity> {
        match self.beside.as_deref() {
            Some(Beside::Known(who)) => Some(who),
            Some(Beside::Refused(_)) | None => None,
        }
    }

    /// Why it may not: by its token, where that is what is not good; it may be only for now.
    fn told(&self, denial: Denial) -> Denial {
        match self.beside.as_deref() {
            Some(Beside::Refused(token)) => token.clone(),
            Some(Beside::Known(_)) | None => denial,
        }
    }
}

/// The address of whoever is at the other end of the connection; none of a Unix socket.
fn client(parts: &Parts) -> Option<String> {
    let address = parts.extensions.get::<Remote>()?.address?;
    Some(address.ip().to_canonical().to_string())
}

fn refused(refusal: token::Refusal) -> Denial {
    let why = match refusal {
        token::Refusal::Missing => Why::Missing,
        token::Refusal::Wrong => Why::Token,
    };
    Denial::new(why, refusal.to_string())
}

/// The clock of the machine: a token's times are days and hours, not durations.
fn unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
