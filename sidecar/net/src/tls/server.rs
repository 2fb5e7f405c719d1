//! What a listener shows of itself over TLS, and which clients it lets in.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::SingleCertAndKey,
};

use super::{
    Pair, Peer, Rules, TlsError, Version,
    files::{self, Validity},
    provider,
    refusal::not_allowed,
    renewal::{Age, LOOK_EVERY, Looked, Renewed},
};

/// How a listener speaks TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings {
    /// The section of the configuration that says so, such as `ingress.http.tls`, for errors and log lines.
    pub section: String,
    /// The listener's certificate and key.
    pub pair: Pair,
    /// Whether clients show certificates, and which; `None` asks for none.
    pub clients: Option<Clients>,
    /// The oldest version that is spoken.
    pub version_min: Version,
    /// Whether HTTP/2 is offered beside HTTP/1.1 (ALPN).
    pub http2: bool,
}

/// Which certificates clients show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    /// PEM: the authorities whose certificates are taken.
    pub ca: PathBuf,
    /// Whether a client that shows none is turned away.
    pub required: bool,
    /// Which of those that show one may connect.
    pub rules: Rules,
}

/// TLS of one listener. [`crate::listen::Listener::secured`] takes it.
#[derive(Debug)]
pub struct ServerTls {
    settings: ServerSettings,
    material: Renewed<Material>,
    age: Mutex<Age>,
    renewed: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Clone)]
struct Material {
    config: Arc<ServerConfig>,
    validity: Validity,
}

impl ServerTls {
    /// Reads the files. A certificate that does not hold at `now` is said in the log, and shown all the same: the
    /// clock may be what is wrong, and each client judges for itself. [`ServerTls::check`] is stricter.
    ///
    /// # Errors
    /// [`TlsError`] with everything that is wrong: unreadable files, a key of another certificate, no authority.
    pub fn open(settings: ServerSettings, now: SystemTime) -> Result<ServerTls, TlsError> {
        let mut files = vec![settings.pair.certificate.clone(), settings.pair.key.clone()];
        files.extend(settings.clients.iter().map(|clients| clients.ca.clone()));
        let material = Renewed::new(files, true, || Material::load(&settings))?;
        let validity = material.current().validity;
        let age = Age::of(&validity, now);
        age.say(&certificate_key(&settings), &validity, now);
        let (renewed, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(ServerTls { settings, material, age: Mutex::new(age), renewed, failed })
    }

    /// Everything that is wrong with the files at `now`, without using them: [`ServerTls::open`]'s errors, and a
    /// certificate that does not hold.
    ///
    /// # Errors
    /// [`TlsError`] with all of it.
    pub fn check(settings: &ServerSettings, now: SystemTime) -> Result<(), TlsError> {
        match Material::load(settings)?.validity.wrong(now) {
            Some(wrong) => {
                let file = settings.pair.certificate.display();
                Err(TlsError::one(certificate_key(settings), format!("{file}: {wrong}")))
            }
            None => Ok(()),
        }
    }

    /// What is in force now. A connection keeps what it began with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.material.current().config
    }

    /// The section of the configuration that it comes from.
    #[must_use]
    pub fn section(&self) -> &str {
        &self.settings.section
    }

    /// When the certificate that is shown ends, in Unix seconds.
    #[must_use]
    pub fn ends_unix_s(&self) -> u64 {
        self.material.current().validity.ends.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    /// How often the files were read anew, and how often they could not be used.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.renewed.load(Relaxed), self.failed.load(Relaxed))
    }

    /// Looks after the files once a second, for ever. [`crate::server::serve`] does it for its listener.
    pub(crate) async fn keep(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look_again(SystemTime::now());
        }
    }

    /// Takes changed files, and says when the certificate nears its end. A change counts once it has rested from one
    /// look to the next. A certificate that does not hold at `now` is not taken in place of one that does.
    fn look_again(&self, now: SystemTime) {
        let section = &self.settings.section;
        let looked = self.material.look_again(|current| {
            let made = Material::load(&self.settings)?;
            match made.validity.wrong(now).filter(|_| current.validity.wrong(now).is_none()) {
                Some(wrong) => Err(TlsError::one(certificate_key(&self.settings), wrong)),
                None => Ok(made),
            }
        });
        let validity = self.material.current().validity;
        match looked {
            Looked::Same => {}
            Looked::Renewed => {
                self.renewed.fetch_add(1, Relaxed);
                let (subject, ends) = (&validity.subject, files::date(validity.ends));
                tracing::info!(
                    "{section}: the files changed; new connections get the certificate of {subject}, which ends at {ends}"
                );
            }
            Looked::Failed => {
                self.failed.fetch_add(1, Relaxed);
            }
        }
        let age = Age::of(&validity, now);
        let before = std::mem::replace(&mut *self.age.lock().unwrap_or_else(PoisonError::into_inner), age);
        if age != before || looked == Looked::Renewed {
            age.say(&certificate_key(&self.settings), &validity, now);
        }
    }
}

fn certificate_key(settings: &ServerSettings) -> String {
    format!("{}.certificate_file", settings.section)
}

impl Material {
    fn load(settings: &ServerSettings) -> Result<Material, TlsError> {
        let section = &settings.section;
        let keys = [certificate_key(settings), format!("{section}.key_file")];
        let pair = files::pair(&settings.pair, [&keys[0], &keys[1]]);
        let verifier =
            settings.clients.as_ref().map(|clients| verifier(clients, &format!("{section}.client_ca_file")));
        let (pair, verifier) = match (pair, verifier.transpose()) {
            (Ok(pair), Ok(verifier)) => (pair, verifier),
            (pair, verifier) => {
                let wrong = [pair.err(), verifier.err()].into_iter().flatten();
                return Err(TlsError { problems: wrong.flat_map(|error| error.problems).collect() });
            }
        };
        let (certified, validity) = pair;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.version_min.and_newer())
            .map_err(|error| TlsError::one(section, error.to_string()))?;
        let mutual = verifier.is_some();
        let config = match verifier {
            Some(verifier) => config.with_client_cert_verifier(verifier),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let http2 = settings.http2.then(|| H2.to_vec());
        config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
        if mutual {
            // A resumed session would outlive the certificate that it began with.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Material { config: Arc::new(config), validity })
    }
}

/// HTTP/2, as ALPN names it (RFC 9113, section 3.1).
pub(crate) const H2: &[u8] = b"h2";

fn verifier(clients: &Clients, key: &str) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = files::authorities(&clients.ca, key)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider());
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    let chain = builder.build().map_err(|error| TlsError::one(key, error.to_string()))?;
    Ok(Arc::new(ByRules { chain, rules: clients.rules.clone() }))
}

/// First the chain to an authority, then the rules.
#[derive(Debug)]
struct ByRules {
    chain: Arc<dyn ClientCertVerifier>,
    rules: Rules,
}

impl ClientCertVerifier for ByRules {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        // What cannot be read names nobody, so no rule allows it.
        let peer = Peer::of(end_entity)
            .map_err(|_| Error::InvalidCertificate(rustls::CertificateError::BadEncoding))?;
        if self.rules.allow(&peer) { Ok(verified) } else { Err(not_allowed(&peer)) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests;
