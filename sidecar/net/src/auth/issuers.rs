//! Bearer tokens of one issuer or of several, of which the token's `iss` picks one.

use super::{
    denial::{Denial, Why},
    jwt::{Claims, Unverified},
    oidc::Oidc,
};
use std::sync::Arc;

/// The issuers of a listener, each another. Without any, no token is known.
#[derive(Debug, Default)]
pub struct Issuers(Vec<Arc<Oidc>>);

impl Issuers {
    /// These ones.
    #[must_use]
    pub fn new(issuers: Vec<Arc<Oidc>>) -> Self {
        Self(issuers)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whom the token speaks for, at `now_s` (Unix seconds), by the issuer that it names; see [`Oidc::check`]. With
    /// several, each token is taken apart to see which, also one that was seen before.
    ///
    /// # Errors
    /// As [`Oidc::check`]; [`Why::Issuer`] where it names none of them.
    ///
    /// # Cancellation
    /// Safe.
    pub async fn check(&self, token: &[u8], now_s: i64) -> Result<Arc<Claims>, Denial> {
        self.of(token)?.check(token, now_s).await
    }

    fn of(&self, token: &[u8]) -> Result<&Oidc, Denial> {
        if let [only] = self.0.as_slice() {
            return Ok(only); // it judges the issuer itself, after it has looked whether it knows the token
        }
        // Nothing of it is believed yet: who signs with another issuer's name is measured by that one's keys.
        let claims = Unverified::read(token)?.claims;
        let named = self.0.iter().find(|oidc| claims.issuer() == Some(oidc.issuer()));
        named.map(Arc::as_ref).ok_or_else(|| {
            let known: Vec<_> = self.0.iter().map(|oidc| oidc.issuer()).collect();
            Denial::new(Why::Issuer, claims.not_by(&known.join(" or ")))
        })
    }
}
