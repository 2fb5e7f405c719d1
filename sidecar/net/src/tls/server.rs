//! What a listener shows of itself over TLS, and which clients it lets in.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest;
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

use tokio::sync::watch;

use super::{
    Pair, Peer, Rules, TlsError, Version,
    files::{self, Validity},
    provider,
    refusal::not_allowed,
    renewal::{Age, LOOK_EVERY, Looked, Renewed},
    revocation::{self, Lists},
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
    /// PEM: their lists of certificates that are taken back; none knows of none.
    pub crl: Option<PathBuf>,
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
    /// Whether it was said that the lists should have been followed by others.
    stale: AtomicBool,
    /// Rung when other clients may be let in than before.
    trust: watch::Sender<()>,
    renewed: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Clone)]
struct Material {
    config: Arc<ServerConfig>,
    validity: Validity,
    clients: Option<Trust>,
}

/// Which clients are let in.
#[derive(Debug, Clone)]
struct Trust {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Of the files that say so.
    fingerprint: [u8; 32],
    /// When their lists should have been followed by others.
    lists_next: Option<SystemTime>,
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
        files.extend(settings.clients.iter().filter_map(|clients| clients.crl.clone()));
        let material = Renewed::new(files, true, || Material::load(&settings))?;
        let validity = material.current().validity;
        let age = Age::of(&validity, now);
        age.say(&certificate_key(&settings), &validity, now);
        let (renewed, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        let tls = ServerTls {
            settings,
            material,
            age: Mutex::new(age),
            stale: AtomicBool::new(false),
            trust: watch::Sender::new(()),
            renewed,
            failed,
        };
        tls.say_stale(now);
        Ok(tls)
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

    /// What is in force now. A connection keeps what it began with, until its client would not be let in any more.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.material.current().config
    }

    /// Changes when other clients may be let in than before.
    pub(crate) fn trust(&self) -> watch::Receiver<()> {
        self.trust.subscribe()
    }

    /// Whether a client with these certificates would be let in now.
    pub(crate) fn takes(&self, shown: &[CertificateDer<'_>]) -> bool {
        let (Some(clients), [first, others @ ..]) = (self.material.current().clients, shown) else {
            return true;
        };
        clients.verifier.verify_client_cert(first, others, UnixTime::now()).is_ok()
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
        let mut others = false;
        let looked = self.material.look_again(|current| {
            let made = Material::load(&self.settings)?;
            let fingerprint =
                |material: &Material| material.clients.as_ref().map(|clients| clients.fingerprint);
            others = fingerprint(current) != fingerprint(&made);
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
                self.stale.store(false, Relaxed);
                if others {
                    self.trust.send_replace(());
                }
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
        self.say_stale(now);
    }

    /// Says once that the lists of revoked certificates are old.
    fn say_stale(&self, now: SystemTime) {
        let next = self.material.current().clients.and_then(|clients| clients.lists_next);
        if let Some(what) = revocation::stale(next, now)
            && !self.stale.swap(true, Relaxed)
        {
            tracing::error!("{}.client_crl_file: {what}", self.settings.section);
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
        let clients = settings.clients.as_ref().map(|clients| Trust::load(clients, section));
        let (pair, clients) = match (pair, clients.transpose()) {
            (Ok(pair), Ok(clients)) => (pair, clients),
            (pair, clients) => {
                let wrong = [pair.err(), clients.err()].into_iter().flatten();
                return Err(TlsError { problems: wrong.flat_map(|error| error.problems).collect() });
            }
        };
        let (certified, validity) = pair;
        let config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(settings.version_min.and_newer())
            .map_err(|error| TlsError::one(section, error.to_string()))?;
        let mutual = clients.is_some();
        let config = match &clients {
            Some(clients) => config.with_client_cert_verifier(Arc::clone(&clients.verifier)),
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
        Ok(Material { config: Arc::new(config), validity, clients })
    }
}

/// HTTP/2, as ALPN names it (RFC 9113, section 3.1).
pub(crate) const H2: &[u8] = b"h2";

impl Trust {
    fn load(clients: &Clients, section: &str) -> Result<Trust, TlsError> {
        let (ca, crl) = (format!("{section}.client_ca_file"), format!("{section}.client_crl_file"));
        let authorities = files::authorities(&clients.ca, &ca)?;
        let lists =
            clients.crl.as_ref().map(|path| revocation::lists(path, &crl, &clients.ca)).transpose()?;
        let mut fingerprint = digest::Context::new(&digest::SHA256);
        for root in &authorities.roots {
            fingerprint.update(&root.subject);
            fingerprint.update(&root.subject_public_key_info);
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider());
        let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
        let (builder, lists_next) = match lists {
            Some(Lists { lists, next }) => {
                for list in &lists {
                    fingerprint.update(list);
                }
                (builder.with_crls(lists), next)
            }
            None => (builder, None),
        };
        let chain = builder.build().map_err(|error| {
            let key = if clients.crl.is_some() { &crl } else { &ca };
            TlsError::one(key, error.to_string())
        })?;
        let verifier = Arc::new(ByRules { chain, rules: clients.rules.clone() });
        let fingerprint = fingerprint.finish().as_ref().try_into().unwrap_or_default();
        Ok(Trust { verifier, fingerprint, lists_next })
    }
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
