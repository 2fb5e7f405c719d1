//! Certificates for a site, of an authority of its own.

use super::Site;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DistinguishedName,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};

/// The authority of one site; its certificate is in `ca.pem`.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    pub fn of(site: &Site) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(site.path("ca.pem"), authority.pem()).unwrap();
        Self(authority)
    }

    /// Writes `NAME.pem` and `NAME.key` for `CN=NAME` and localhost.
    pub fn issue(&self, site: &Site, name: &str, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        std::fs::write(site.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        std::fs::write(site.path(&format!("{name}.pem")), certificate.pem()).unwrap();
    }

    /// The same for a client with this SPIFFE id.
    pub fn issue_spiffe(&self, site: &Site, name: &str, id: &str) {
        self.issue(site, name, |params| {
            params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        });
    }

    /// Writes `crl.pem`, which takes back the certificates with these serial numbers.
    pub fn revoke(&self, site: &Site, serials: &[u64]) {
        let revoked = |&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(4000, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.0).unwrap().pem().unwrap();
        std::fs::write(site.path("crl.pem"), list).unwrap();
    }
}
