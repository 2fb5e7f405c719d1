//! Lists of revoked certificates (CRL, RFC 5280, section 5), read from a file for the authorities of a listener.
//!
//! Whoever names such a file wants no revoked certificate let in: a client is refused whose issuer has no list in it,
//! and an authority without one is told at the start, as none of its clients could enter. A list whose time is over
//! stays in force and is said in the log, since an authority that is late must not lock everybody out.

use std::{
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::{
    TlsError,
    files::{self, date},
    peer::subject_text,
};

/// The largest file of lists that is read; a list has some forty bytes for each certificate.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// What a file of lists says.
#[derive(Debug)]
pub(crate) struct Lists {
    pub(crate) lists: Vec<CertificateRevocationListDer<'static>>,
    /// When the first of them should have been followed by another.
    pub(crate) next: Option<SystemTime>,
}

/// Reads the lists in `path`, which `setting` names: at least one for each authority in `authorities`.
pub(crate) fn lists(path: &Path, setting: &str, authorities: &Path) -> Result<Lists, TlsError> {
    let wrong = |what: String| TlsError::one(setting, format!("{}: {what}", path.display()));
    let text = files::text(path, FILE_BYTES_MAX).map_err(wrong)?;
    let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    let lists = found.map_err(|error| wrong(format!("this is no PEM: {error:?}")))?;
    if lists.is_empty() {
        let what = "there is no revocation list in it (PEM is wanted; `openssl crl -inform DER -in FILE -out NEW` makes it)";
        return Err(wrong(what.to_owned()));
    }
    let (mut issuers, mut next) = (Vec::new(), None);
    for list in &lists {
        let parsed = CertificateRevocationList::from_der(list);
        let (_, parsed) = parsed.map_err(|error| wrong(format!("a list in it cannot be read: {error}")))?;
        issuers.push(parsed.issuer().as_raw().to_vec());
        let ends = parsed.next_update().map(|time| at(time.timestamp()));
        next = [next, ends].into_iter().flatten().min();
    }
    // They were read for the verifier before; what cannot be is told there.
    let certificates = files::certificates_in(authorities).unwrap_or_default();
    match certificates.iter().find_map(|certificate| without_list(certificate, &issuers)) {
        Some(name) => {
            let what = format!(
                "there is no list of the authority {name} in it, so none of its clients could connect; add it"
            );
            Err(wrong(what))
        }
        None => Ok(Lists { lists, next }),
    }
}

/// The name of the authority, where it has no list.
fn without_list(certificate: &CertificateDer<'_>, issuers: &[Vec<u8>]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let listed = issuers.iter().any(|issuer| issuer == parsed.subject().as_raw());
    (!listed).then(|| subject_text(parsed.subject()))
}

/// What is to be said of lists that should have been followed by others at `next`; `None` while they are fresh.
pub(crate) fn stale(next: Option<SystemTime>, now: SystemTime) -> Option<String> {
    let next = next.filter(|next| *next < now)?;
    Some(format!(
        "a revocation list should have been followed by another at {}; what it revokes stays refused, what was revoked \
         since is not known: fetch the new one",
        date(next)
    ))
}

fn at(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}
