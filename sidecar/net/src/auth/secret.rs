//! A shared secret that a sender shows as it is, in the URL's query or in a header: what webhooks can do that know no
//! better way.

use super::{
    denial::{Denial, Why},
    hmac::{self, SecretError},
};
use crate::{stamp::Stamp, watched::Watched};
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use http::{HeaderName, request::Parts};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Instant,
};
use subtle::{Choice, ConstantTimeEq as _};

/// Of one length, so that comparing tells nothing about a secret's own.
type Fingerprint = [u8; SHA256_OUTPUT_LEN];

/// The secrets in force, and where they are shown. Its `Debug` shows none of them.
pub struct Shared {
    query: Option<String>,
    header: Option<HeaderName>,
    secrets: Watched<Vec<Fingerprint>, SecretError>,
}

impl Shared {
    /// Reads the secrets: one in each line of the file, at most four, so that an old one holds until the sender has the
    /// new one. They are shown in the query's parameter `query`, in `header`, or in either.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret in the file.
    pub fn open(
        path: impl Into<PathBuf>,
        query: Option<String>,
        header: Option<HeaderName>,
        now: Instant,
    ) -> Result<Self, SecretError> {
        Ok(Self { query, header, secrets: Watched::open("secret", path.into(), read, now)? })
    }

    /// Whether the head of a request shows one of the secrets. Compared in constant time, and with every secret whether
    /// one fits or not. At most once a second of `now` this also asks the file system.
    ///
    /// # Errors
    /// [`Why::Missing`] when it shows nothing, [`Why::Token`] when it is another, [`Why::Malformed`] when there are two.
    pub fn check(&self, parts: &Parts, now: Instant) -> Result<(), Denial> {
        let shown = self.shown(parts)?;
        let fits =
            |known: &[Fingerprint]| known.iter().fold(Choice::from(0), |any, one| any | one.ct_eq(&shown));
        if self.secrets.with(now, |known| fits(known)).into() {
            return Ok(());
        }
        Err(Denial::new(Why::Token, "the secret is not one of those that are expected here"))
    }

    fn shown(&self, parts: &Parts) -> Result<Fingerprint, Denial> {
        let query = parts.uri.query().unwrap_or_default();
        let named = |name: &str| self.query.as_deref() == Some(name);
        let pairs = form_urlencoded::parse(query.as_bytes());
        let mut found: Vec<_> =
            pairs.filter(|(name, _)| named(name)).map(|(_, value)| fingerprint(value.as_bytes())).collect();
        if let Some(header) = &self.header {
            found.extend(parts.headers.get_all(header).iter().map(|value| fingerprint(value.as_bytes())));
        }
        match found[..] {
            [one] => Ok(one),
            [] => Err(Denial::new(Why::Missing, "the request shows no secret")),
            _ => Err(Denial::new(Why::Malformed, "the request shows a secret twice")),
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("query", &self.query)
            .field("header", &self.header)
            .field("path", &self.secrets.path())
            .finish_non_exhaustive()
    }
}

fn fingerprint(secret: &[u8]) -> Fingerprint {
    let mut fingerprint = [0; SHA256_OUTPUT_LEN];
    fingerprint.copy_from_slice(digest(&SHA256, secret).as_ref());
    fingerprint
}

fn read(path: &Path) -> Result<(Vec<Fingerprint>, Stamp), SecretError> {
    let (secrets, stamp) = hmac::read(path)?;
    Ok((secrets.iter().map(|secret| fingerprint(secret)).collect(), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use std::{fs, time::Duration};

    fn verdict(shared: &Shared, uri: &str, headers: &[&str], now: Instant) -> Result<(), Why> {
        let mut request = Request::post(uri);
        for value in headers {
            request = request.header("x-secret", *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        shared.check(&parts, now).map_err(|denial| denial.why)
    }

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, content).unwrap();
        (folder, path)
    }

    #[test]
    fn a_secret_is_taken_from_its_parameter_or_its_header_and_nowhere_else() {
        let (_folder, path) = file("old\n n+w&\n");
        let (query, header) = (Some("code".to_owned()), Some(HeaderName::from_static("x-secret")));
        let now = Instant::now();
        let both = Shared::open(&path, query.clone(), header.clone(), now).unwrap();
        assert_eq!(verdict(&both, "/?code=old", &[], now), Ok(()));
        assert_eq!(verdict(&both, "/a?b=c&code=n%2Bw%26", &[], now), Ok(()));
        assert_eq!(verdict(&both, "/", &["old"], now), Ok(()));
        for (uri, headers) in
            [("/?code=old&code=old", &[][..]), ("/?code=old", &["old"]), ("/", &["old", "x"])]
        {
            assert_eq!(verdict(&both, uri, headers, now), Err(Why::Malformed), "{uri} {headers:?}");
        }
        for uri in ["/?code=", "/?code=ol", "/?code=oldd", "/?code=Old", "/?code=old%20"] {
            assert_eq!(verdict(&both, uri, &[], now), Err(Why::Token), "{uri}");
        }
        for uri in ["/", "/?", "/?kode=old", "/?old", "/code=old"] {
            assert_eq!(verdict(&both, uri, &[], now), Err(Why::Missing), "{uri}");
        }
        let query = Shared::open(&path, query, None, now).unwrap();
        assert_eq!(verdict(&query, "/", &["old"], now), Err(Why::Missing));
        let header = Shared::open(&path, None, header, now).unwrap();
        assert_eq!(verdict(&header, "/?code=old", &[], now), Err(Why::Missing));
    }

    #[test]
    fn a_changed_file_counts_after_a_second_and_a_bad_one_never() {
        let (_folder, path) = file("old");
        let start = Instant::now();
        let shared = Shared::open(&path, Some("s".to_owned()), None, start).unwrap();
        let at = |second, uri| verdict(&shared, uri, &[], start + Duration::from_secs(second));
        fs::write(&path, "new-one").unwrap();
        assert_eq!(
            (at(0, "/?s=old"), at(1, "/?s=old"), at(1, "/?s=new-one")),
            (Ok(()), Err(Why::Token), Ok(()))
        );
        fs::write(&path, "\n").unwrap();
        assert_eq!(at(2, "/?s=new-one"), Ok(()));
        assert!(!format!("{shared:?}").contains("new-one"));
    }
}
