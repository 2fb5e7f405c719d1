//! Whom a client of ours believes over TLS, and what it shows of itself.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use hyper_rustls::ConfigBuilderExt as _;
use rustls::{
    ClientConfig, RootCertStore, client::ResolvesClientCert, pki_types::ServerName, sign::SingleCertAndKey,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    Pair, TlsError, Version,
    files::{self, Validity},
    provider,
    refusal::of_server,
    renewal::{Age, LOOK_EVERY, Looked, Renewed},
};

/// How a client of ours speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// The section of the configuration that says so, such as `function.tls`, for errors and log lines.
    pub section: String,
    /// Whose certificates are believed.
    pub authorities: Authorities,
    /// What is shown to a server that asks for a certificate.
    pub pair: Option<Pair>,
    /// The oldest version that is spoken.
    pub version_min: Version,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authorities {
    /// Nobody's.
    Nobody,
    /// Those of the system's authorities, as they were at the start.
    System,
    /// Those of the authorities in this file (PEM), and of no others.
    File(PathBuf),
}

/// TLS of one client. Files that change are read again at the next connection, at most once a second.
#[derive(Debug)]
pub struct ClientTls {
    settings: ClientSettings,
    material: Renewed<Arc<ClientConfig>>,
    looked: Mutex<Instant>,
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] with everything that is wrong: unreadable files, a key of another certificate, no authority.
    pub fn open(settings: ClientSettings) -> Result<ClientTls, TlsError> {
        let authorities = match &settings.authorities {
            Authorities::File(file) => Some(file),
            Authorities::Nobody | Authorities::System => None,
        };
        let pair = settings.pair.iter().flat_map(|pair| [&pair.certificate, &pair.key]);
        let files = authorities.into_iter().chain(pair).cloned().collect();
        let material = Renewed::new(files, false, || made(&settings))?;
        Ok(ClientTls { settings, material, looked: Mutex::new(Instant::now()) })
    }

    /// Everything that is wrong with the files at `now`: [`ClientTls::open`]'s errors, and a certificate of ours that
    /// does not hold.
    ///
    /// # Errors
    /// [`TlsError`] with all of it.
    pub fn check(settings: &ClientSettings, now: SystemTime) -> Result<(), TlsError> {
        let (_, validity) = load(settings)?;
        match (validity.and_then(|validity| validity.wrong(now)), &settings.pair) {
            (Some(wrong), Some(pair)) => {
                let file = pair.certificate.display();
                Err(TlsError::one(
                    format!("{}.certificate_file", settings.section),
                    format!("{file}: {wrong}"),
                ))
            }
            _ => Ok(()),
        }
    }

    /// What is in force now.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        let now = Instant::now();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(*looked) >= LOOK_EVERY {
            *looked = now;
            if self.material.look_again(|_| made(&self.settings)) == Looked::Renewed {
                tracing::info!("{}: the files changed and were read again", self.settings.section);
            }
        }
        drop(looked);
        self.material.current()
    }

    /// Speaks TLS over `stream` with the server `host`, a name or an address, which its certificate must be for.
    ///
    /// # Errors
    /// What is wrong, in one line with what to do.
    ///
    /// # Cancellation
    /// Dropping the future closes the stream.
    pub async fn connect<T>(&self, host: &str, stream: T) -> Result<TlsStream<T>, String>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // A URL brackets an IPv6 address, a certificate does not know it so.
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|_| format!("{host} is no name that a certificate can be for"))?;
        let connected = TlsConnector::from(self.config()).connect(name, stream).await;
        connected.map_err(|error: io::Error| {
            let tls = error.get_ref().and_then(|inner| of_server(inner));
            tls.unwrap_or_else(|| format!("the handshake failed: {error}"))
        })
    }
}

/// Reads the files, and says what is near its end.
fn made(settings: &ClientSettings) -> Result<Arc<ClientConfig>, TlsError> {
    let (config, validity) = load(settings)?;
    if let Some(validity) = validity {
        let now = SystemTime::now();
        Age::of(&validity, now).say(&format!("{}.certificate_file", settings.section), &validity, now);
    }
    Ok(config)
}

fn load(settings: &ClientSettings) -> Result<(Arc<ClientConfig>, Option<Validity>), TlsError> {
    let section = &settings.section;
    let ca = format!("{section}.ca_file");
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(settings.version_min.and_newer())
        .map_err(|error| TlsError::one(section, error.to_string()))?;
    let config = match &settings.authorities {
        Authorities::Nobody => Ok(config.with_root_certificates(RootCertStore::empty())),
        Authorities::System => config.with_native_roots().map_err(|error| {
            TlsError::one(
                &ca,
                format!("this system has no authorities ({error}); install them, or name a file"),
            )
        }),
        Authorities::File(file) => {
            files::authorities(file, &ca).map(|store| config.with_root_certificates(store))
        }
    };
    let keys = [format!("{section}.certificate_file"), format!("{section}.key_file")];
    let pair = settings.pair.as_ref().map(|pair| files::pair(pair, [&keys[0], &keys[1]])).transpose();
    match (config, pair) {
        (Ok(config), Ok(None)) => Ok((Arc::new(config.with_no_client_auth()), None)),
        (Ok(config), Ok(Some((certified, validity)))) => {
            let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(certified));
            Ok((Arc::new(config.with_client_cert_resolver(shown)), Some(validity)))
        }
        (config, pair) => {
            let wrong = [config.err(), pair.err()].into_iter().flatten();
            Err(TlsError { problems: wrong.flat_map(|error| error.problems).collect() })
        }
    }
}
