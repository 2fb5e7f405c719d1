//! A bearer token that is kept in a file, as mounted secrets are.
//!
//! The file is looked at again at most once a second, so a rotated secret needs no restart. A new file
//! that cannot be used leaves the old token in force: a rotation that went wrong must not lock every
//! producer out. Signed tokens and key sets are not handled here.

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Instant,
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

use crate::{stamp::Stamp, watched::Watched};

/// The longest token that is taken, ours or a presented one.
pub(crate) const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The token in force and where it came from. Its `Debug` shows the path, never the token.
pub struct TokenFile(Watched<Secret, TokenError>);

/// Why a request is not let in. Both are a 401; [`Refusal::Missing`] with `WWW-Authenticate: Bearer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No `Authorization: Bearer …` at all.
    #[error("a bearer token is needed: send the header \"Authorization: Bearer <token>\"")]
    Missing,
    /// Another token, or more than one `Authorization` header.
    #[error("the bearer token is not the one that is expected here")]
    Wrong,
}

/// Why a file gives no token. Nothing of its content is shown.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It cannot be read.
    #[error("the token file {path:?} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It holds nothing but blanks.
    #[error("the token file {path:?} is empty; write the token into it")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
    /// It holds more than 8 KiB.
    #[error("the token file {path:?} holds more than {TOKEN_BYTES_MAX} bytes, so it is no token")]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// It holds something that no header can carry.
    #[error(
        "the token file {path:?} holds a byte that no Authorization header can carry, at offset {offset}; \
         a token is visible ASCII on one line"
    )]
    Unsendable {
        /// Which file.
        path: PathBuf,
        /// Of the first such byte, counted after leading blanks.
        offset: usize,
    },
}

impl TokenFile {
    /// Reads the token: the file's content without blanks around it, 1 to 8,192 bytes of visible ASCII.
    ///
    /// # Errors
    /// [`TokenError`] when there is no such token in it.
    pub fn open(path: impl Into<PathBuf>, now: Instant) -> Result<TokenFile, TokenError> {
        Watched::open("token", path.into(), read, now).map(TokenFile)
    }

    /// Whether `headers` carry the token. The scheme's case does not matter.
    ///
    /// The time that the comparison takes depends on the presented token alone. At most once a second of
    /// `now` this also asks the file system, which a local file answers in microseconds.
    ///
    /// # Errors
    /// [`Refusal`] when they do not.
    pub fn check(&self, headers: &HeaderMap, now: Instant) -> Result<(), Refusal> {
        let presented = presented(headers)?;
        if self.0.with(now, |secret| secret.is(presented)) { Ok(()) } else { Err(Refusal::Wrong) }
    }

    /// The token as we send it: `Bearer …`, marked as what no log may show. Asks the file system as [`TokenFile::check`]
    /// does.
    #[must_use]
    pub fn authorization(&self, now: Instant) -> HeaderValue {
        let text = self.0.with(now, |secret| [b"Bearer ", &secret.padded[..secret.len]].concat());
        // What cannot be sent was refused when it was read.
        let mut value = HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for TokenFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFile").field("path", &self.0.path()).finish_non_exhaustive()
    }
}

/// The token, padded to the longest that may be presented, so that comparing never needs its length.
struct Secret {
    padded: Box<[u8; TOKEN_BYTES_MAX]>,
    len: usize,
}

impl Secret {
    fn new(token: &[u8]) -> Secret {
        let mut padded = Box::new([0; TOKEN_BYTES_MAX]);
        padded[..token.len()].copy_from_slice(token);
        Secret { padded, len: token.len() }
    }

    fn is(&self, presented: &[u8]) -> bool {
        let Some(same_length) = self.padded.get(..presented.len()) else { return false };
        (same_length.ct_eq(presented) & self.len.ct_eq(&presented.len())).into()
    }
}

/// The token of the one `Authorization: Bearer …`, without blanks around it.
pub(crate) fn presented(headers: &HeaderMap) -> Result<&[u8], Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Refusal::Missing)?;
    if values.next().is_some() {
        return Err(Refusal::Wrong);
    }
    let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len()).ok_or(Refusal::Missing)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer ") {
        return Err(Refusal::Missing);
    }
    Ok(token.trim_ascii())
}

fn read(path: &Path) -> Result<(Secret, Stamp), TokenError> {
    let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
    let file = fs::File::open(path).map_err(unreadable)?;
    let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
    let mut content = Vec::new();
    // Room for a line end and some blanks; whatever is longer is no token, and may be endless.
    let content_max = 2 * TOKEN_BYTES_MAX as u64;
    file.take(content_max + 1).read_to_end(&mut content).map_err(unreadable)?;
    let token = content.trim_ascii();
    if content.len() as u64 > content_max || token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::TooLong { path: path.to_owned() });
    }
    if token.is_empty() {
        return Err(TokenError::Empty { path: path.to_owned() });
    }
    if let Some(offset) = token.iter().position(|b| !b.is_ascii_graphic()) {
        return Err(TokenError::Unsendable { path: path.to_owned(), offset });
    }
    Ok((Secret::new(token), stamp))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Fixture {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: Instant,
    }

    impl Fixture {
        fn new(content: &[u8]) -> Fixture {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("token");
            fs::write(&path, content).unwrap();
            Fixture { _folder: folder, path, start: Instant::now() }
        }

        fn open(&self) -> Result<TokenFile, TokenError> {
            TokenFile::open(&self.path, self.start)
        }

        fn after_ms(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        /// As mounted secrets change: another file takes the name.
        fn replace(&self, content: &[u8]) {
            let new = self.path.with_extension("new");
            fs::write(&new, content).unwrap();
            fs::rename(new, &self.path).unwrap();
        }
    }

    fn bearing(authorization: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(authorization))])
    }

    #[test]
    fn only_the_whole_token_is_let_in() {
        let f = Fixture::new(b"  s3cret-token\n");
        let token = f.open().unwrap();
        let check = |value| token.check(&bearing(value), f.start);
        for right in ["Bearer s3cret-token", "bearer s3cret-token", "BEARER  s3cret-token "] {
            assert_eq!(check(right), Ok(()), "{right:?}");
        }
        for wrong in ["Bearer s3cret-toke", "Bearer s3cret-token2", "Bearer S3cret-token", "Bearer "] {
            assert_eq!(check(wrong), Err(Refusal::Wrong), "{wrong:?}");
        }
        for missing in ["Basic s3cret-token", "s3cret-token", "Bearers3cret-token", "Bearer", ""] {
            assert_eq!(check(missing), Err(Refusal::Missing), "{missing:?}");
        }
        assert_eq!(token.check(&HeaderMap::new(), f.start), Err(Refusal::Missing));
        let mut twice = bearing("Bearer s3cret-token");
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer s3cret-token"));
        assert_eq!(token.check(&twice, f.start), Err(Refusal::Wrong));
    }

    #[test]
    fn a_presented_token_of_any_length_is_only_compared() {
        let f = Fixture::new(&[b'x'; TOKEN_BYTES_MAX]);
        let token = f.open().unwrap();
        for (length, expected) in [(8191, Err(Refusal::Wrong)), (8192, Ok(())), (9000, Err(Refusal::Wrong))] {
            let value = HeaderValue::from_str(&format!("Bearer {}", "x".repeat(length))).unwrap();
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
            assert_eq!(token.check(&headers, f.start), expected, "{length}");
        }
    }

    #[test]
    fn a_replaced_file_counts_after_a_second_and_no_sooner() {
        let f = Fixture::new(b"old");
        let token = f.open().unwrap();
        f.replace(b"new");
        assert_eq!(token.check(&bearing("Bearer old"), f.after_ms(999)), Ok(()));
        assert_eq!(token.check(&bearing("Bearer old"), f.after_ms(1000)), Err(Refusal::Wrong));
        assert_eq!(token.check(&bearing("Bearer new"), f.after_ms(1001)), Ok(()));
    }

    #[test]
    fn a_bad_new_file_leaves_the_old_token_in_force_until_a_good_one_comes() {
        let f = Fixture::new(b"old");
        let token = f.open().unwrap();
        f.replace(b" \n");
        assert_eq!(token.check(&bearing("Bearer old"), f.after_ms(1000)), Ok(()));
        fs::remove_file(&f.path).unwrap();
        assert_eq!(token.check(&bearing("Bearer old"), f.after_ms(2000)), Ok(()));
        fs::write(&f.path, b"new").unwrap();
        assert_eq!(token.check(&bearing("Bearer new"), f.after_ms(3000)), Ok(()));
    }

    #[test]
    fn what_is_no_token_is_refused_with_its_reason_and_nothing_of_its_content() {
        let too_long = vec![b'q'; TOKEN_BYTES_MAX + 1];
        let endless = vec![b' '; 3 * TOKEN_BYTES_MAX];
        for (content, reason) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"two qqq", "at offset 3"),
            (b"qqq\xc3\xa9", "at offset 3"),
            (&too_long, "more than 8192 bytes"),
            (&endless, "more than 8192 bytes"),
        ] {
            let error = Fixture::new(content).open().unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("qqq"), "{error}");
        }
        let absent = TokenFile::open("/nonexistent/token", Instant::now()).unwrap_err().to_string();
        assert!(absent.starts_with("the token file \"/nonexistent/token\" cannot be read"), "{absent}");
    }

    #[test]
    fn debug_shows_the_path_and_never_the_token() {
        let shown = format!("{:?}", Fixture::new(b"s3cret").open().unwrap());
        assert!(shown.contains("token") && !shown.contains("s3cret"), "{shown}");
    }
}
