//! Certificates that tests make, each as a file in a folder of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::{Clients, Pair, Rules, ServerSettings, Version};

/// Authorities so far: two of one name would be taken for one whose signature is wrong.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A folder and an authority.
pub(crate) struct Made {
    folder: tempfile::TempDir,
    pub(crate) authority: CertifiedIssuer<'static, KeyPair>,
}

impl Made {
    /// The authority's certificate is in `ca.pem`.
    pub(crate) fn new() -> Made {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::CrlSign];
        let number = COUNT.fetch_add(1, Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let made = Made { folder: tempfile::tempdir().unwrap(), authority };
        made.write("ca.pem", &made.authority.pem());
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// A certificate for localhost in `NAME.pem`, its key in `NAME.key`; its subject is `CN=NAME`.
    pub(crate) fn pair(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let mut params =
            CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.authority).unwrap();
        Pair {
            certificate: self.write(&format!("{name}.pem"), &certificate.pem()),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    /// A list in `crl.pem` of the authority that revokes these serial numbers and was to be followed in `year`.
    pub(crate) fn revokes(&self, serials: &[u64], year: i32) -> PathBuf {
        let revoked = |&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(year, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        self.write("crl.pem", &list.signed_by(&self.authority).unwrap().pem().unwrap())
    }

    /// Clients with a certificate of this authority.
    pub(crate) fn clients(&self, required: bool, rules: Rules) -> Clients {
        Clients { ca: self.path("ca.pem"), crl: None, required, rules }
    }
}

/// A listener that shows `pair` and asks for no certificate.
pub(crate) fn settings(pair: Pair) -> ServerSettings {
    ServerSettings {
        section: "ingress.http.tls".to_owned(),
        pair,
        clients: None,
        version_min: Version::Tls12,
        http2: true,
    }
}

/// The authorities in a file, as another client than ours reads them.
pub(crate) fn authorities(file: &Path) -> RootCertStore {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).unwrap() {
        store.add(certificate.unwrap()).unwrap();
    }
    store
}

/// Names the certificate by a URI, and by nothing else.
pub(crate) fn by_uri(uri: &str) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())]
}

/// It has this serial number.
pub(crate) fn numbered(serial: u64) -> impl FnOnce(&mut CertificateParams) {
    move |params| params.serial_number = Some(SerialNumber::from(serial))
}

/// It ended long ago.
pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
}

/// It has not begun.
pub(crate) fn not_yet(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(4000, 1, 1);
}
