//! Who may come in: access keys, shared access signatures, and tokens of Microsoft Entra ID.
//!
//! Tokens are checked with the bare cryptography, so that this judge shares no library with what it judges.

use aws_lc_rs::{
    hmac,
    signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use http::{HeaderMap, header, request::Parts};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::{
    OffsetDateTime, PrimitiveDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

use crate::{answer::Refusal, clock::Moment};

/// For whom a token must be made out.
const AUDIENCE: &str = "https://eventgrid.azure.net";

/// What opens a namespace or a topic.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Access keys, in base64, of which the service has two. They also sign shared access signatures.
    pub keys: Vec<String>,
    /// Bearer tokens that are taken as they are: for clients whose token no issuer made.
    pub tokens: Vec<String>,
    /// Whose signed tokens are taken.
    pub issuer: Option<Issuer>,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            keys: vec![crate::config::TEST_KEY.to_owned()],
            tokens: vec![crate::config::TEST_TOKEN.to_owned()],
            issuer: None,
        }
    }
}

/// An issuer of tokens.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Issuer {
    /// Its name, as `iss` has it.
    pub name: String,
    /// Its keys: a JSON Web Key Set with RSA keys. Only RS256 is taken.
    pub jwks: Value,
    /// The audience; default Event Grid's own.
    #[serde(default = "audience")]
    pub audience: String,
}

fn audience() -> String {
    AUDIENCE.to_owned()
}

/// Which door a request knocks at: they take different credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// A namespace: `Authorization` only.
    Namespace,
    /// A custom topic: `aeg-sas-key`, `aeg-sas-token`, or `Authorization` without a bare key.
    Topic,
}

/// Lets a request in, and says by what.
///
/// # Errors
/// 401 with the reason.
pub(crate) fn enter(
    access: &Access,
    door: Door,
    parts: &Parts,
    now: Moment,
) -> Result<&'static str, Refusal> {
    let headers = &parts.headers;
    if door == Door::Topic {
        if let Some(key) = text(headers, "aeg-sas-key") {
            return check_key(access, key).map(|()| "aeg-sas-key");
        }
        if let Some(signature) = text(headers, "aeg-sas-token") {
            return check_signature(access, signature, parts, now).map(|()| "aeg-sas-token");
        }
    }
    let Some(authorization) = text(headers, header::AUTHORIZATION.as_str()) else {
        let wanted = match door {
            Door::Namespace => "the header 'Authorization'",
            Door::Topic => "one of: aeg-sas-key, aeg-sas-token, Authorization",
        };
        return Err(Refusal::unauthorized(format!("Request must contain {wanted}.")));
    };
    match authorization.split_once(' ') {
        Some(("SharedAccessKey", key)) if door == Door::Namespace => {
            check_key(access, key).map(|()| "SharedAccessKey")
        }
        Some(("SharedAccessSignature", signature)) => {
            check_signature(access, signature, parts, now).map(|()| "SharedAccessSignature")
        }
        Some(("Bearer", token)) => check_token(access, token, now).map(|()| "Bearer"),
        _ => Err(Refusal::unauthorized("The header 'Authorization' has no scheme that is taken here.")),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn check_key(access: &Access, key: &str) -> Result<(), Refusal> {
    if access.keys.iter().any(|known| known == key.trim()) {
        return Ok(());
    }
    Err(Refusal::unauthorized("The access key is not one of this resource."))
}

/// `r=<resource>&e=<expiry>&s=<signature of what stands before "&s=">`, each percent-coded.
fn check_signature(access: &Access, given: &str, parts: &Parts, now: Moment) -> Result<(), Refusal> {
    let no = |why: &str| Refusal::unauthorized(format!("The shared access signature {why}."));
    let (signed, _) = given.split_once("&s=").ok_or_else(|| no("has no '&s='"))?;
    let fields: Vec<_> = form_urlencoded::parse(given.as_bytes()).collect();
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
    let (Some(resource), Some(expiry), Some(signature)) = (field("r"), field("e"), field("s")) else {
        return Err(no("needs r, e and s"));
    };
    let signature = BASE64_STANDARD.decode(signature).map_err(|_| no("has an 's' that is not base64"))?;
    let valid = access.keys.iter().filter_map(|key| BASE64_STANDARD.decode(key).ok()).any(|key| {
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes(), &signature).is_ok()
    });
    if !valid {
        return Err(no("is signed with no key of this resource"));
    }
    let until =
        expiry_ms(expiry).ok_or_else(|| no(&format!("has an expiry that cannot be read: '{expiry}'")))?;
    if until <= i128::from(now.ms()) {
        return Err(no("has expired"));
    }
    if !covers(resource, parts) {
        return Err(no(&format!("is for another resource: '{resource}'")));
    }
    Ok(())
}

/// Whether the signed resource is the request's, or one that it lies below. The query is not compared.
fn covers(resource: &str, parts: &Parts) -> bool {
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let resource = resource.split_once("://").map_or(resource, |(_, rest)| rest);
    let resource = resource.split('?').next().unwrap_or_default().trim_end_matches('/').to_ascii_lowercase();
    let asked = format!("{host}{}", parts.uri.path()).to_ascii_lowercase();
    asked.strip_prefix(&resource).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

/// The expiry as Microsoft's clients write it: Python's and JavaScript's, .NET's in two ways.
fn expiry_ms(text: &str) -> Option<i128> {
    const PYTHON: &[BorrowedFormatItem<'_>] = format_description!(
        "[year]-[month]-[day] [hour]:[minute]:[second][offset_hour sign:mandatory]:[offset_minute]"
    );
    const DOT_NET: &[BorrowedFormatItem<'_>] = format_description!(
        "[month padding:none]/[day padding:none]/[year] [hour repr:12 padding:none]:[minute]:[second] [period]"
    );
    // A plus that was not percent-coded has become a space.
    let python = text.strip_suffix(" 00:00").map_or_else(|| text.to_owned(), |rest| format!("{rest}+00:00"));
    let at = OffsetDateTime::parse(text, &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&python, PYTHON))
        .or_else(|_| PrimitiveDateTime::parse(text, DOT_NET).map(PrimitiveDateTime::assume_utc))
        .ok()?;
    Some(at.unix_timestamp_nanos() / 1_000_000)
}

fn check_token(access: &Access, token: &str, now: Moment) -> Result<(), Refusal> {
    if access.tokens.iter().any(|known| known == token) {
        return Ok(());
    }
    let no = |why: &str| Refusal::unauthorized(format!("The bearer token {why}."));
    let issuer = access.issuer.as_ref().ok_or_else(|| no("is not known"))?;
    let parts: Vec<_> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { return Err(no("is not a signed JWT")) };
    let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| no("is not base64url"));
    let json = |part: &str| {
        serde_json::from_slice::<Value>(&decoded(part)?).map_err(|_| no("has a part that is not JSON"))
    };
    let (head, body) = (json(head)?, json(claims)?);
    if head["alg"] != "RS256" {
        return Err(no("is not signed with RS256"));
    }
    let keys = issuer.jwks["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    let key =
        keys.iter().find(|key| key["kid"] == head["kid"]).ok_or_else(|| no("names no key of its issuer"))?;
    let number = |name: &str| decoded(key[name].as_str().unwrap_or_default());
    let signed = &token[..token.len() - signature.len() - 1];
    RsaPublicKeyComponents { n: number("n")?, e: number("e")? }
        .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &decoded(signature)?)
        .map_err(|_| no("has a wrong signature"))?;
    if body["iss"] != issuer.name.as_str() {
        return Err(no("is of another issuer"));
    }
    let audience = issuer.audience.trim_end_matches('/');
    if body["aud"].as_str().map(|aud| aud.trim_end_matches('/')) != Some(audience) {
        return Err(no("is for another audience"));
    }
    let now_s = now.ms() / 1000;
    if body["exp"].as_u64().is_none_or(|until| until <= now_s) {
        return Err(no("has expired"));
    }
    if body["nbf"].as_u64().is_some_and(|from| from > now_s) {
        return Err(no("is not valid yet"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiries_are_read_as_each_client_of_microsofts_writes_them() {
        let expected = Some(1_893_456_000_000);
        for text in [
            "2030-01-01 00:00:00+00:00",
            "2030-01-01 00:00:00 00:00",
            "2030-01-01T00:00:00Z",
            "1/1/2030 12:00:00 AM",
        ] {
            assert_eq!(expiry_ms(text), expected, "{text}");
        }
        assert_eq!(expiry_ms("tomorrow"), None);
    }
}
