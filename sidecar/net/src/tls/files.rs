//! Certificates and keys in PEM files, and everything that can be wrong with them, said so that it can be mended.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
    sign::CertifiedKey,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{TlsError, peer::subject_text, provider};

/// The largest file that is read; the system's bundle of every public authority has a quarter of it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A certificate with its key, in two files (which may be one).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// PEM: the certificate first, then its issuers, without the root.
    pub certificate: PathBuf,
    /// PEM: the certificate's key (PKCS #8, PKCS #1 or SEC 1), not encrypted.
    pub key: PathBuf,
}

/// From when to when a certificate holds, and of whom it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) subject: String,
    pub(crate) begins: SystemTime,
    pub(crate) ends: SystemTime,
}

impl Validity {
    /// What is wrong with it at `now`, and what to do; `None` while it holds.
    pub(crate) fn wrong(&self, now: SystemTime) -> Option<String> {
        let Validity { subject, begins, ends } = self;
        let clock = date(now);
        if now > *ends {
            let ended = date(*ends);
            return Some(format!(
                "the certificate of {subject} expired at {ended}; renew it, or set this machine's clock, which says {clock}"
            ));
        }
        (now < *begins).then(|| {
            let begin = date(*begins);
            format!(
                "the certificate of {subject} is not valid before {begin}; set this machine's clock, which says {clock}, \
                 or take the certificate that is valid now"
            )
        })
    }
}

/// Reads a pair and holds its halves against each other; `keys` are the settings that name the two files.
pub(crate) fn pair(pair: &Pair, keys: [&str; 2]) -> Result<(Arc<CertifiedKey>, Validity), TlsError> {
    let chain = text(&pair.certificate, FILE_BYTES_MAX).and_then(|text| certificates(&text));
    let key = text(&pair.key, FILE_BYTES_MAX).and_then(|text| private_key(&text));
    let told = |(setting, path): (&str, &Path), what: String| {
        (setting.to_owned(), format!("{}: {what}", path.display()))
    };
    let (certificate_at, key_at) = ((keys[0], pair.certificate.as_path()), (keys[1], pair.key.as_path()));
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            let wrong = [
                chain.err().map(|what| told(certificate_at, what)),
                key.err().map(|what| told(key_at, what)),
            ];
            return Err(TlsError { problems: wrong.into_iter().flatten().collect() });
        }
    };
    let wrong_certificate = |what: String| TlsError { problems: vec![told(certificate_at, what)] };
    let validity = validity(&chain[0]).map_err(wrong_certificate)?;
    let wrong_key = |what: String| TlsError { problems: vec![told(key_at, what)] };
    let key = provider().key_provider.load_private_key(key);
    let key = key.map_err(|error| wrong_key(format!("the private key cannot be used: {error}")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // A key that does not tell its public half cannot be compared; the first handshake will tell.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => {}
        Err(rustls::Error::InconsistentKeys(_)) => return Err(mismatch(&certified, pair, keys)),
        Err(error) => return Err(wrong_certificate(format!("the certificate cannot be used: {error}"))),
    }
    Ok((Arc::new(certified), validity))
}

/// The halves do not belong together; where another certificate of the file is the key's, that is said.
fn mismatch(certified: &CertifiedKey, pair: &Pair, keys: [&str; 2]) -> TlsError {
    let is_its = |certificate: &CertificateDer<'static>| {
        let alone = CertifiedKey::new(vec![certificate.clone()], certified.key.clone());
        alone.keys_match().is_ok()
    };
    let (certificate, key) = (pair.certificate.display(), pair.key.display());
    if certified.cert.iter().skip(1).any(is_its) {
        let what = "the certificate of the key is there, but not the first; put it first, then its issuers";
        return TlsError::one(keys[0], format!("{certificate}: {what}"));
    }
    let what = format!(
        "the private key is not that of the certificate in {certificate}; take the two that were made together"
    );
    TlsError::one(keys[1], format!("{key}: {what}"))
}

/// Reads the authorities in a file; `setting` names it.
pub(crate) fn authorities(path: &Path, setting: &str) -> Result<RootCertStore, TlsError> {
    let wrong = |what: String| TlsError::one(setting, format!("{}: {what}", path.display()));
    let mut store = RootCertStore::empty();
    for certificate in certificates_in(path).map_err(wrong)? {
        let added = store.add(certificate);
        added.map_err(|error| wrong(format!("a certificate in it cannot be an authority's: {error}")))?;
    }
    Ok(store)
}

/// The certificates in a file, at least one.
pub(crate) fn certificates_in(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    certificates(&text(path, FILE_BYTES_MAX)?)
}

pub(crate) fn text(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut content));
    read.map_err(|error| format!("the file cannot be read: {error}"))?;
    if content.len() as u64 > bytes_max {
        return Err(format!(
            "the file has more than {bytes_max} bytes, so it is none of certificates or keys"
        ));
    }
    Ok(content)
}

/// At least one.
fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let found = found.map_err(|error| format!("this is no PEM: {error:?}"))?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match PrivateKeyDer::from_pem_slice(text) {
        Ok(_) => "there is a private key in it and no certificate; were the two files swapped?".to_owned(),
        Err(_) => "there is no certificate in it (PEM is wanted)".to_owned(),
    })
}

fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    match PrivateKeyDer::from_pem_slice(text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if has(text, b"ENCRYPTED PRIVATE KEY-----") => Err(
            "the private key is encrypted; write it without a passphrase (`openssl pkey -in FILE -out NEW`)"
                .to_owned(),
        ),
        Err(pem::Error::NoItemsFound) if certificates(text).is_ok() => {
            Err("there is a certificate in it and no private key; name the key's file".to_owned())
        }
        Err(pem::Error::NoItemsFound) => Err("there is no private key in it (PEM is wanted)".to_owned()),
        Err(error) => Err(format!("this is no PEM: {error:?}")),
    }
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn validity(certificate: &CertificateDer<'_>) -> Result<Validity, String> {
    let parsed = X509Certificate::from_der(certificate);
    let (_, parsed) = parsed.map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let at = |seconds: i64| {
        let span = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) }
            .unwrap_or(UNIX_EPOCH)
    };
    let validity = parsed.validity();
    Ok(Validity {
        subject: subject_text(parsed.subject()),
        begins: at(validity.not_before.timestamp()),
        ends: at(validity.not_after.timestamp()),
    })
}

/// `2026-01-31T12:00:00Z`
pub(crate) fn date(time: SystemTime) -> String {
    let whole = OffsetDateTime::from(time).replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
