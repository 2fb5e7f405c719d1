//! The certificates of one secure broker and of its clients, made anew for each.

use std::{fs, path::Path};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

/// Writes to `folder`: `ca.pem`; `broker.pem`, a key and its certificate for loopback; `client.pem` and
/// `client.key` for the name `client`; and `stranger.…` of the same shapes from an authority that nobody trusts.
pub(crate) fn write(folder: &Path, client: &str) {
    fs::create_dir_all(folder).expect("the folder of the test can be written");
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).expect("the folder of the test can be written");
    };
    let (ours, theirs) = (authority("trusted"), authority("stranger"));
    put("ca.pem", &ours.pem());
    put("stranger-ca.pem", &theirs.pem());
    let (certificate, key) = issue(&ours, "broker");
    put("broker.pem", &(key + &certificate));
    for (file, issuer) in [("client", &ours), ("stranger", &theirs)] {
        let (certificate, key) = issue(issuer, client);
        put(&format!("{file}.pem"), &certificate);
        put(&format!("{file}.key"), &key);
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, key()).expect("a certificate")
}

/// A certificate and its key, both as PEM.
fn issue(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str) -> (String, String) {
    let key = key();
    let certificate = named(name).signed_by(&key, issuer).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn named(name: &str) -> CertificateParams {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mut params = CertificateParams::new(names).expect("the names of loopback");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}
