//! A body that its sender signed with a shared secret: GitHub's `X-Hub-Signature-256`, and any other header that holds
//! an HMAC of the body as it was sent.

use super::denial::{Denial, Why};
use crate::{stamp::Stamp, watched::Watched};
use aws_lc_rs::hmac::{self, Key};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName};
use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Instant,
};

/// The largest file of secrets, and the most of them: each is tried with each body.
const FILE_BYTES_MAX: u64 = 64 << 10;
const SECRETS_MAX: usize = 4;

/// How a signature is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The header that holds it.
    pub header: HeaderName,
    /// What stands before it there; GitHub writes `sha256=`.
    pub prefix: String,
    /// How its bytes are written.
    pub encoding: Encoding,
    /// What it is made with.
    pub hash: Hash,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Two hexadecimal digits a byte, in either case.
    Hex,
    /// RFC 4648, section 4, with padding.
    Base64,
}

/// What an HMAC is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

/// The secrets in force and how signatures are written. Its `Debug` shows no secret.
pub struct Signed {
    form: Form,
    secrets: Watched<Vec<Vec<u8>>, SecretError>,
}

/// A signature that a request brought, to be held against its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

/// Why a file gives no secret. Nothing of its content is shown.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// It cannot be read.
    #[error("the secret file {path:?} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has none, more than four, or is too large.
    #[error("the secret file {path:?} {what}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: &'static str,
    },
}

impl Signed {
    /// Reads the secrets: one in each line of the file, at most four, so that an old one holds until all senders have
    /// the new one. Blanks around them do not count.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret in it.
    pub fn open(path: impl Into<PathBuf>, form: Form, now: Instant) -> Result<Self, SecretError> {
        Ok(Self { form, secrets: Watched::open("secret", path.into(), read, now)? })
    }

    /// The signature that `headers` bring; none where they have no such header.
    ///
    /// # Errors
    /// [`Why::Malformed`] when it cannot be read, or there are two.
    pub fn presented(&self, headers: &HeaderMap) -> Result<Option<Signature>, Denial> {
        let mut values = headers.get_all(&self.form.header).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let no = |what: &str| Denial::new(Why::Malformed, format!("the header {} {what}", self.form.header));
        if values.next().is_some() {
            return Err(no("is there twice"));
        }
        let written = value.as_bytes().strip_prefix(self.form.prefix.as_bytes());
        let written = written.ok_or_else(|| no(&format!("does not begin with {:?}", self.form.prefix)))?;
        let length = self.form.hash.algorithm().digest_algorithm().output_len();
        let bytes = match self.form.encoding {
            Encoding::Hex => from_hex(written),
            Encoding::Base64 => STANDARD.decode(written).ok(),
        };
        let bytes = bytes.filter(|bytes| bytes.len() == length);
        bytes.map(|bytes| Some(Signature(bytes))).ok_or_else(|| no("holds no signature of this form"))
    }

    /// Whether `body`, as it was sent, is signed with one of the secrets. Compared in constant time, and with every
    /// secret whether one fits or not. At most once a second of `now` this also asks the file system.
    ///
    /// # Errors
    /// [`Why::Body`] when it is not.
    pub fn check(&self, signature: &Signature, body: &[u8], now: Instant) -> Result<(), Denial> {
        let algorithm = self.form.hash.algorithm();
        let fits = |secret: &Vec<u8>| hmac::verify(&Key::new(algorithm, secret), body, &signature.0).is_ok();
        let fitting = self.secrets.with(now, |secrets| secrets.iter().filter(|secret| fits(secret)).count());
        let detail = "the body's signature is not with one of the secrets that are expected here";
        if fitting > 0 { Ok(()) } else { Err(Denial::new(Why::Body, detail)) }
    }
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("form", &self.form)
            .field("path", &self.secrets.path())
            .finish_non_exhaustive()
    }
}

impl Hash {
    fn algorithm(self) -> hmac::Algorithm {
        match self {
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }
}

fn from_hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// The secrets of a file: one in each line, at most four.
pub(super) fn read(path: &Path) -> Result<(Vec<Vec<u8>>, Stamp), SecretError> {
    let unreadable = |source| SecretError::Unreadable { path: path.to_owned(), source };
    let unusable = |what| SecretError::Unusable { path: path.to_owned(), what };
    let file = fs::File::open(path).map_err(unreadable)?;
    let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
    let mut content = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(unusable("holds more than 64 KiB, so it is no secret"));
    }
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let secrets: Vec<_> = lines.filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect();
    match secrets.len() {
        0 => Err(unusable("is empty; write the secret into it")),
        1..=SECRETS_MAX => Ok((secrets, stamp)),
        _ => Err(unusable("holds more than four secrets; take out those that no sender uses any more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;
    use std::time::Duration;

    const GITHUB: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    const SECRET: &str = "It's a Secret to Everybody";

    fn form(prefix: &str, encoding: Encoding, hash: Hash) -> Form {
        let header = HeaderName::from_static("x-hub-signature-256");
        Form { header, prefix: prefix.to_owned(), encoding, hash }
    }

    fn github() -> Form {
        form("sha256=", Encoding::Hex, Hash::Sha256)
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        path: PathBuf,
        start: Instant,
    }

    impl Fixture {
        fn new(content: &[u8]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("secret");
            fs::write(&path, content).unwrap();
            Self { _folder: folder, path, start: Instant::now() }
        }

        fn signed(&self, form: Form) -> Signed {
            Signed::open(&self.path, form, self.start).unwrap()
        }
    }

    fn header(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static("x-hub-signature-256"),
            HeaderValue::from_str(value).unwrap(),
        )])
    }

    fn verdict(signed: &Signed, value: &str, body: &[u8], now: Instant) -> Result<(), Why> {
        let signature = signed.presented(&header(value)).map_err(|denial| denial.why)?;
        signed.check(&signature.unwrap(), body, now).map_err(|denial| denial.why)
    }

    /// The example of GitHub's documentation.
    #[test]
    fn the_signature_of_github_is_let_in_and_no_other() {
        let f = Fixture::new(format!("{SECRET}\n").as_bytes());
        let signed = f.signed(github());
        assert_eq!(verdict(&signed, GITHUB, b"Hello, World!", f.start), Ok(()));
        let upper = format!("sha256={}", GITHUB[7..].to_uppercase());
        assert_eq!(verdict(&signed, &upper, b"Hello, World!", f.start), Ok(()));
        assert_eq!(verdict(&signed, GITHUB, b"Hello, World", f.start), Err(Why::Body));
        assert_eq!(verdict(&signed, GITHUB, b"", f.start), Err(Why::Body));
        let other = GITHUB.replace("757107", "757108");
        assert_eq!(verdict(&signed, &other, b"Hello, World!", f.start), Err(Why::Body));
    }

    #[test]
    fn what_is_no_signature_is_malformed_and_an_absent_one_is_absent() {
        let f = Fixture::new(SECRET.as_bytes());
        let signed = f.signed(github());
        for value in
            ["", "sha256=", &GITHUB[7..], &GITHUB[..69], &format!("{GITHUB}00"), &GITHUB.replace('7', "g")]
        {
            assert_eq!(verdict(&signed, value, b"", f.start), Err(Why::Malformed), "{value}");
        }
        let sha1 = "sha1=757107ea0eb2509fc211221cce984b8a37570b6d";
        assert_eq!(verdict(&signed, sha1, b"", f.start), Err(Why::Malformed));
        let mut twice = header(GITHUB);
        twice.append("x-hub-signature-256", HeaderValue::from_static(GITHUB));
        assert_eq!(signed.presented(&twice).unwrap_err().why, Why::Malformed);
        assert_eq!(signed.presented(&HeaderMap::new()).unwrap(), None);
    }

    /// The second case of RFC 4231.
    #[test]
    fn another_header_may_write_it_in_base64_and_by_sha_512() {
        let f = Fixture::new(b"Jefe");
        let value =
            "v1,Fkt6e/z4GeLjlfvnO1bgo4e9ZCIugx/WECcM1+olBVSXWL91wFqZSm0DT2X48Ob9yuqxo01Ka0tjbgcKOLznNw==";
        let signed = f.signed(form("v1,", Encoding::Base64, Hash::Sha512));
        assert_eq!(verdict(&signed, value, b"what do ya want for nothing?", f.start), Ok(()));
        assert_eq!(verdict(&signed, value, b"what do ya want for something?", f.start), Err(Why::Body));
        assert_eq!(verdict(&signed, &value.replace('=', ""), b"", f.start), Err(Why::Malformed));
    }

    #[test]
    fn several_secrets_hold_at_once_and_a_changed_file_counts_after_a_second() {
        let f = Fixture::new(format!("old\n  {SECRET}  \n\n").as_bytes());
        let signed = f.signed(github());
        assert_eq!(verdict(&signed, GITHUB, b"Hello, World!", f.start), Ok(()));
        fs::write(&f.path, "another secret").unwrap();
        assert_eq!(verdict(&signed, GITHUB, b"Hello, World!", f.start), Ok(()));
        let later = f.start + Duration::from_secs(1);
        assert_eq!(verdict(&signed, GITHUB, b"Hello, World!", later), Err(Why::Body));
    }

    #[test]
    fn a_bad_new_file_leaves_the_old_secret_in_force() {
        let f = Fixture::new(SECRET.as_bytes());
        let signed = f.signed(github());
        for (second, content) in [(1, "\n \n".to_owned()), (2, "a\n".repeat(5)), (3, "x".repeat(70_000))] {
            fs::write(&f.path, content).unwrap();
            let now = f.start + Duration::from_secs(second);
            assert_eq!(verdict(&signed, GITHUB, b"Hello, World!", now), Ok(()));
            let error = Signed::open(&f.path, github(), now).unwrap_err().to_string();
            assert!(error.starts_with("the secret file") && !error.contains("xx"), "{error}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let f = Fixture::new(b"s3cret-value");
        assert!(!format!("{:?}", f.signed(github())).contains("s3cret-value"));
    }

    proptest! {
        #[test]
        fn hexadecimal_reads_back(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap();
            let text: String = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
            prop_assert_eq!(from_hex(text.as_bytes()), Some(bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = from_hex(text.as_bytes());
        }
    }
}
