//! How we say who we are: an access key, a shared access signature, or a token of Microsoft Entra.
//!
//! Files are read again when they change; a new one that is no good leaves the old secret in force. Nothing of a secret
//! is ever shown.

use crate::sas;
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use outrigger_net::{client_credentials::ClientCredentials, stamp::Stamp};
use std::{
    fmt,
    io::Read as _,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// The largest file of a secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// How long a signature holds that is made for one request: clocks may be a few minutes apart.
const SIGNATURE_LIFE: Duration = Duration::from_hours(1);

/// Who we say that we are.
#[derive(Debug)]
pub enum Credential {
    /// The key itself, in a header.
    Key(SecretFile),
    /// A signature made with the key, which itself is not sent.
    Signed(SecretFile),
    /// A signature that somebody else made.
    Sas(SecretFile),
    /// A token for `https://eventgrid.azure.net/.default`.
    Entra(Arc<ClientCredentials>),
}

/// What is spoken to: they take the same secrets in different headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A namespace.
    Namespace,
    /// A custom topic.
    Topic,
}

impl Credential {
    /// Whether the files can be used now. Nobody is asked.
    ///
    /// # Errors
    /// What is wrong, in one line that names the file.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Entra(_) => Ok(()),
            Self::Key(file) | Self::Sas(file) => file.current().map(drop),
            Self::Signed(file) => signed(file, "https://example.com/", SystemTime::UNIX_EPOCH).map(drop),
        }
    }

    /// The header for a request to `resource` at `now`.
    ///
    /// # Errors
    /// Why there is none, in one line; it may pass.
    pub(crate) fn header(
        &self,
        place: Place,
        resource: &str,
        now: SystemTime,
    ) -> Result<(HeaderName, HeaderValue), String> {
        let (name, text) = match (self, place) {
            (Self::Key(file), Place::Topic) => (HeaderName::from_static("aeg-sas-key"), file.current()?),
            (Self::Key(file), Place::Namespace) => {
                (AUTHORIZATION, format!("SharedAccessKey {}", file.current()?).into())
            }
            (Self::Signed(file), Place::Topic) => {
                (HeaderName::from_static("aeg-sas-token"), signed(file, resource, now)?.into())
            }
            (Self::Signed(file), Place::Namespace) => {
                (AUTHORIZATION, format!("SharedAccessSignature {}", signed(file, resource, now)?).into())
            }
            (Self::Sas(file), Place::Topic) => (HeaderName::from_static("aeg-sas-token"), file.current()?),
            (Self::Sas(file), Place::Namespace) => {
                (AUTHORIZATION, format!("SharedAccessSignature {}", file.current()?).into())
            }
            (Self::Entra(credentials), _) => {
                let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
                let token = credentials.current(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
                let token = token.map_err(|why| format!("there is no token to enter with: {why}"))?;
                (AUTHORIZATION, format!("Bearer {}", token.value).into())
            }
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| "the secret holds what no header can carry; it is visible ASCII on one line")?;
        value.set_sensitive(true);
        Ok((name, value))
    }
}

fn signed(file: &SecretFile, resource: &str, now: SystemTime) -> Result<String, String> {
    let key = file.current()?;
    let expires = time::OffsetDateTime::from(now + SIGNATURE_LIFE);
    sas::sign(resource, &key, expires).map_err(|why| format!("{}: {why}", file.path.display()))
}

/// A secret in a file. It may be another one tomorrow.
pub struct SecretFile {
    path: PathBuf,
    known: Mutex<Option<Known>>,
}

struct Known {
    stamp: Option<Stamp>,
    secret: Arc<str>,
}

impl SecretFile {
    /// The secret in the file of this name, which is read when it is needed first.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, known: Mutex::default() }
    }

    /// The secret, without blanks around it. It asks the file system whether the file has changed.
    ///
    /// # Errors
    /// When there has never been one, in one line that names the file.
    pub fn current(&self) -> Result<Arc<str>, String> {
        let stamp = Stamp::now(&self.path);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.as_ref().filter(|known| known.stamp == stamp) {
            return Ok(known.secret.clone());
        }
        match (self.read(), known.as_mut()) {
            (Ok(secret), _) => {
                *known = Some(Known { stamp, secret: secret.clone() });
                Ok(secret)
            }
            (Err(why), None) => Err(why),
            (Err(why), Some(old)) => {
                tracing::warn!("{why}; the secret that was read before stays in force");
                old.stamp = stamp;
                Ok(old.secret.clone())
            }
        }
    }

    fn read(&self) -> Result<Arc<str>, String> {
        let wrong = |why: &dyn fmt::Display| format!("{}: {why}", self.path.display());
        let mut text = String::new();
        let opened = std::fs::File::open(&self.path).map_err(|error| wrong(&error))?;
        opened.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(|error| wrong(&error))?;
        match text.trim() {
            "" => Err(wrong(&"it is empty")),
            secret if secret.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(secret.into()),
            _ => Err(wrong(&"it holds what no header can carry; a secret is visible ASCII on one line")),
        }
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretFile").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a2V5MTIzNDU2Nzg5MA==";

    fn file(text: &str) -> (tempfile::TempDir, SecretFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, text).unwrap();
        (folder, SecretFile::new(path))
    }

    fn header(credential: &Credential, place: Place) -> (String, String) {
        let now = SystemTime::UNIX_EPOCH;
        let (name, value) = credential.header(place, "https://a/api/events", now).unwrap();
        assert!(value.is_sensitive());
        (name.to_string(), value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_key_and_a_signature_go_where_each_place_reads_them() {
        let (_folder, secret) = file(&format!("{KEY}\n"));
        let key = Credential::Key(secret);
        assert_eq!(header(&key, Place::Topic), ("aeg-sas-key".to_owned(), KEY.to_owned()));
        let as_said = format!("SharedAccessKey {KEY}");
        assert_eq!(header(&key, Place::Namespace), ("authorization".to_owned(), as_said));

        let (_folder, secret) = file("r=a&e=b&s=c");
        let sas = Credential::Sas(secret);
        assert_eq!(header(&sas, Place::Topic), ("aeg-sas-token".to_owned(), "r=a&e=b&s=c".to_owned()));
        let as_said = "SharedAccessSignature r=a&e=b&s=c".to_owned();
        assert_eq!(header(&sas, Place::Namespace), ("authorization".to_owned(), as_said));
    }

    #[test]
    fn a_signature_of_ours_holds_for_an_hour_and_does_not_show_the_key() {
        let (_folder, secret) = file(KEY);
        let (name, token) = header(&Credential::Signed(secret), Place::Topic);
        assert_eq!(name, "aeg-sas-token");
        assert!(
            token.starts_with("r=https%3A%2F%2Fa%2Fapi%2Fevents&e=1970-01-01%2001%3A00%3A00%2B00%3A00&s=")
        );
        assert!(!token.contains("a2V5"), "{token}");
    }

    #[test]
    fn a_secret_that_changes_is_read_again_and_one_that_is_no_good_changes_nothing() {
        let (folder, secret) = file("one");
        let path = folder.path().join("secret");
        assert_eq!(&*secret.current().unwrap(), "one");
        std::fs::write(&path, "another").unwrap();
        assert_eq!(&*secret.current().unwrap(), "another");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(&*secret.current().unwrap(), "another");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(&*secret.current().unwrap(), "another");
        let never = SecretFile::new(path);
        assert!(never.current().unwrap_err().contains("secret"));
    }
}
