//! One token (RFC 7519, signed by RFC 7515's compact form): its parts, its claims at a given time, its signature.
//!
//! The reading and the judging of claims are ours: the time is handed in, and each refusal says what was found. The
//! cryptography is `jsonwebtoken`'s. A claim may be looked at before the signature is, to refuse and never to let in.

use super::{
    denial::{Denial, Why},
    jwks::Key,
};
use crate::token::TOKEN_BYTES_MAX;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value};
use std::time::Duration;

/// The longest name of a key that is looked for, in bytes.
const KEY_ID_BYTES_MAX: usize = 512;
/// How much of a claim is repeated in a message, in characters.
const SHOWN_CHARS_MAX: usize = 120;

/// A token that was taken apart, and of which nothing is believed yet.
#[derive(Debug)]
pub struct Unverified<'a> {
    /// The algorithm by which it says that it is signed, as it stands there.
    pub algorithm: String,
    /// The key by which it says that it is signed.
    pub key_id: Option<String>,
    /// What it claims.
    pub claims: Claims,
    message: &'a [u8],
    signature: &'a str,
}

/// What a token says, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claims(Map<String, Value>);

/// What a token must claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `iss`, exactly.
    pub issuer: String,
    /// `aud` must be, or hold, one of these.
    pub audiences: Vec<String>,
    /// How far the clocks may be apart.
    pub leeway: Duration,
}

/// When a token holds, in Unix seconds, leeway included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From this second on.
    pub from_s: i64,
    /// As long as it is before this second.
    pub until_s: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart: three parts in base64url, of at most 8 KiB in all; a header with `alg`, and claims that are
    /// a JSON object. Keys that a token brings along (`jwk`, `jku`, `x5u`, `x5c`) are not looked at.
    ///
    /// # Errors
    /// [`Why::Malformed`].
    pub fn read(token: &'a [u8]) -> Result<Self, Denial> {
        let no = |what: &str| Denial::new(Why::Malformed, format!("the token {what}"));
        if token.len() > TOKEN_BYTES_MAX {
            return Err(no("is longer than 8 KiB"));
        }
        let text = std::str::from_utf8(token).map_err(|_| no("is no text"))?;
        let parts: Vec<_> = text.splitn(6, '.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(no(if parts.len() == 5 {
                "is encrypted (five parts), which is not supported"
            } else {
                "is no signed JWT: it has not three parts"
            }));
        };
        let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = decoded(header)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| no("has a header that cannot be read"))?;
        if header.crit.is_some() {
            return Err(no("has a header that demands an extension (crit), and none is known here"));
        }
        if header.kid.as_ref().is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX) {
            return Err(no("names a key by more than 512 bytes"));
        }
        let claims = decoded(claims)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| no("has claims that cannot be read"))?;
        let message = &token[..token.len() - signature.len() - 1];
        let (algorithm, key_id) = (header.alg, header.kid);
        Ok(Self { algorithm, key_id, claims: Claims(claims), message, signature })
    }

    /// The claims, once the signature is found to be by this key. Takes tens of microseconds.
    ///
    /// # Errors
    /// [`Why::Signature`].
    pub fn verified(self, key: &Key, algorithm: Algorithm) -> Result<Claims, Denial> {
        match crypto::verify(self.signature, self.message, key.decoding(), algorithm) {
            Ok(true) => Ok(self.claims),
            _ => Err(Denial::new(Why::Signature, format!("the token's signature is not by {key}"))),
        }
    }
}

impl Claims {
    /// The claim of that name; a name that begins with `/` is a JSON pointer (RFC 6901) to one that lies deeper.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let Some(path) = name.strip_prefix('/') else { return self.0.get(name) };
        let mut steps = path.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = self.0.get(&steps.next()?)?;
        steps.try_fold(first, |value, step| match value {
            Value::Object(map) => map.get(&step),
            Value::Array(list) => list.get(step.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// Whether the claim is, or is a list that holds, something that `fits`.
    pub fn any(&self, name: &str, fits: impl Fn(&Value) -> bool) -> bool {
        match self.get(name) {
            Some(Value::Array(list)) => list.iter().any(fits),
            Some(value) => fits(value),
            None => false,
        }
    }

    /// Whom the token speaks for: `email`, else `sub`, else nobody by name.
    #[must_use]
    pub fn name(&self) -> &str {
        let named = ["email", "sub"].into_iter().filter_map(|name| self.0.get(name)?.as_str());
        named.filter(|name| !name.is_empty()).map(cut).next().unwrap_or_default()
    }

    /// Who issued the token, as it says (`iss`).
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss")?.as_str()
    }

    /// That its issuer is another than was `wanted`, in a phrase.
    pub(super) fn not_by(&self, wanted: &str) -> String {
        format!("the token's issuer is {}, not {wanted}", shown(self.0.get("iss")))
    }

    /// Whether these claims are `expected` at `now_s` (Unix seconds), and how long.
    ///
    /// `exp` must be there; `nbf` holds where it is there. A number may have a fraction (RFC 7519, section 2).
    ///
    /// # Errors
    /// [`Why::Issuer`], [`Why::Audience`], [`Why::Expired`], [`Why::NotYet`], or [`Why::Malformed`] for times that are
    /// no numbers.
    pub fn judge(&self, expected: &Expected, now_s: i64) -> Result<Validity, Denial> {
        if self.issuer() != Some(&expected.issuer) {
            return Err(Denial::new(Why::Issuer, self.not_by(&expected.issuer)));
        }
        let is_ours = |audience: &Value| expected.audiences.iter().any(|ours| audience == ours);
        let ours = match self.0.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().any(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !ours {
            let (found, wanted) = (shown(self.0.get("aud")), expected.audiences.join(" or "));
            return Err(Denial::new(Why::Audience, format!("the token is for {found}, not for {wanted}")));
        }
        let leeway_s = i64::try_from(expected.leeway.as_secs()).unwrap_or(0);
        let until_s = match self.seconds("exp", f64::ceil)? {
            Some(expires) => expires.saturating_add(leeway_s),
            None => return Err(Denial::new(Why::Malformed, "the token never expires (it has no exp)")),
        };
        if now_s >= until_s {
            let late = now_s.saturating_sub(until_s).saturating_add(leeway_s);
            let detail = format!("the token expired {late} s ago (or the clock here is that far ahead)");
            return Err(Denial::new(Why::Expired, detail));
        }
        let from_s = self.seconds("nbf", f64::floor)?.map_or(i64::MIN, |from| from.saturating_sub(leeway_s));
        if now_s < from_s {
            let early = from_s.saturating_sub(now_s).saturating_add(leeway_s);
            let detail = format!("the token holds only in {early} s (or the clock here is that far behind)");
            return Err(Denial::new(Why::NotYet, detail));
        }
        Ok(Validity { from_s, until_s })
    }

    /// A time, in whole seconds.
    fn seconds(&self, name: &str, round: fn(f64) -> f64) -> Result<Option<i64>, Denial> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        if let Some(seconds) = value.as_i64() {
            return Ok(Some(seconds));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is out of range becomes the end of the range"
        )]
        let seconds = value.as_f64().map(|seconds| round(seconds) as i64);
        let wrong = || Denial::new(Why::Malformed, format!("the token's {name} is no number"));
        seconds.map(Some).ok_or_else(wrong)
    }
}

impl Validity {
    /// Whether it holds at that time, in Unix seconds.
    #[must_use]
    pub fn holds(&self, now_s: i64) -> bool {
        (self.from_s..self.until_s).contains(&now_s)
    }
}

impl FromIterator<(String, Value)> for Claims {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

/// A claim of somebody unknown in a line of ours: escaped, and cut.
fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "not named".to_owned() };
    let text = value.to_string();
    format!("{}", cut(&text).escape_debug()).replace("\\\"", "\"")
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(SHOWN_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests;
