//! How we say who we are: passwords and tokens that may change while we run, and what one client was made with.

use outrigger_core::{Error, Kind, Result};
use rdkafka::{ClientConfig, client::OAuthToken};
use std::{
    error::Error as StdError,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Who we are.
#[derive(Clone)]
pub enum Sasl {
    /// A name and a password.
    Password {
        /// The mechanism: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.
        mechanism: &'static str,
        /// The name.
        username: String,
        /// The password, read for each client that is made.
        password: Arc<dyn Secret>,
    },
    /// `OAUTHBEARER`: tokens that somebody else fetches.
    Token(Arc<dyn Tokens>),
}

/// A secret that may be changed while we run.
pub trait Secret: Send + Sync + 'static {
    /// What it is now.
    ///
    /// # Errors
    /// Why it cannot be read, in one line that names its setting.
    fn read(&self) -> Result<String, String>;
}

/// A bearer token for a broker.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The token itself.
    pub value: String,
    /// Whom it speaks for.
    pub principal: String,
    /// When it ends, in Unix milliseconds.
    pub expires_ms: i64,
}

/// Whoever keeps a token fresh.
pub trait Tokens: Send + Sync + 'static {
    /// The token that holds now. It does not block.
    ///
    /// # Errors
    /// Why there is none, in one line.
    fn current(&self) -> Result<Token, String>;
}

/// What one client says of itself, and whether that is still the right thing to say.
#[derive(Default)]
pub(crate) struct Login {
    sasl: Option<Sasl>,
    /// The password that the client was made with.
    password: Option<String>,
    /// Why the client was not let in, as last heard, until it is.
    refused: Mutex<Option<String>>,
}

impl Login {
    /// With the password as it is now.
    ///
    /// # Errors
    /// `Storage` when it cannot be read.
    pub(crate) fn read(sasl: Option<&Sasl>) -> Result<Arc<Self>> {
        let password = match sasl {
            Some(Sasl::Password { password, .. }) => {
                Some(password.read().map_err(|why| Error::new(Kind::Storage, why))?)
            }
            _ => None,
        };
        Ok(Arc::new(Self { sasl: sasl.cloned(), password, refused: Mutex::default() }))
    }

    /// Whether there is a token, where one is needed. A client that is made without one asks again only after ten
    /// seconds, so none is made before there is.
    ///
    /// # Errors
    /// `Unreachable` with the reason.
    pub(crate) fn proven(self: Arc<Self>) -> Result<Arc<Self>> {
        if let Some(Sasl::Token(tokens)) = &self.sasl {
            tokens.current().map_err(|why| {
                Error::new(Kind::Unreachable, format!("kafka: there is no token to enter with: {why}"))
            })?;
        }
        Ok(self)
    }

    pub(crate) fn set(&self, config: &mut ClientConfig) {
        match &self.sasl {
            None => {}
            Some(Sasl::Password { mechanism, username, .. }) => {
                config.set("sasl.mechanism", *mechanism).set("sasl.username", username);
                config.set("sasl.password", self.password.as_deref().unwrap_or_default());
            }
            Some(Sasl::Token(_)) => {
                config.set("sasl.mechanism", "OAUTHBEARER");
            }
        }
    }

    /// The token that holds now, as librdkafka wants it.
    pub(crate) fn token(&self) -> Result<OAuthToken, Box<dyn StdError>> {
        let Some(Sasl::Token(tokens)) = &self.sasl else {
            return Err("no source of tokens is configured".into());
        };
        let Token { value, principal, expires_ms } = tokens.current()?;
        Ok(OAuthToken { token: value, principal_name: principal, lifetime_ms: expires_ms })
    }

    /// The client was not let in: by its name, or already by the encryption.
    pub(crate) fn refuse(&self, why: &str) {
        *self.lock() = Some(why.to_owned());
    }

    /// The client was let in.
    pub(crate) fn let_in(&self) {
        *self.lock() = None;
    }

    /// Why the client is not let in. That no broker can be reached is only what follows.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the broker refused a password that was changed since: a new client may be let in.
    pub(crate) fn is_outdated(&self) -> bool {
        let Some(Sasl::Password { password, .. }) = &self.sasl else { return false };
        self.lock().is_some() && password.read().is_ok_and(|now| Some(now) != self.password)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Changing(Mutex<Result<String, String>>);

    impl Secret for Changing {
        fn read(&self) -> Result<String, String> {
            self.0.lock().unwrap().clone()
        }
    }

    fn sasl(secret: &Arc<Changing>) -> Sasl {
        Sasl::Password { mechanism: "PLAIN", username: "me".to_owned(), password: secret.clone() }
    }

    #[test]
    fn only_a_refused_password_that_was_changed_since_is_outdated() {
        let secret = Arc::new(Changing(Mutex::new(Ok("one".to_owned()))));
        let login = Login::read(Some(&sasl(&secret))).unwrap();
        *secret.0.lock().unwrap() = Ok("two".to_owned());
        assert!(!login.is_outdated(), "the broker has not refused it");
        login.refuse("who are you?");
        assert!(login.is_outdated());
        *secret.0.lock().unwrap() = Err("gone".to_owned());
        assert!(!login.is_outdated(), "there is none to go on with");
        *secret.0.lock().unwrap() = Ok("one".to_owned());
        assert!(!login.is_outdated(), "it is the same");
        assert_eq!(login.refusal(), Some("who are you?".to_owned()));
        login.let_in();
        assert_eq!(login.refusal(), None);
    }

    #[test]
    fn a_password_that_cannot_be_read_is_told_and_may_be_mended() {
        let secret = Arc::new(Changing(Mutex::new(Err("password_file: gone".to_owned()))));
        let Err(error) = Login::read(Some(&sasl(&secret))) else { panic!("there is no password") };
        assert_eq!(error.to_string(), "password_file: gone");
        assert_eq!(error.retry(), outrigger_core::Retry::Persistent);
    }
}
