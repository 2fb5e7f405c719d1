use super::*;
use crate::tls::{
    files,
    made::{Made, by_uri},
};
use rcgen::{CertificateParams, DnType, SanType};

fn peer(change: impl FnOnce(&mut CertificateParams)) -> Peer {
    let made = Made::new();
    let pair = made.pair("billing", change);
    let (certified, _) = files::pair(&pair, ["c", "k"]).unwrap();
    Peer::of(&certified.cert[0]).unwrap()
}

#[test]
fn every_kind_of_name_is_read() {
    let peer = peer(|params| {
        params.distinguished_name.push(DnType::OrganizationName, "Example");
        params.subject_alt_names = vec![
            SanType::DnsName("Host.Example".try_into().unwrap()),
            SanType::URI("https://example.org/x".try_into().unwrap()),
            SanType::Rfc822Name("me@example.org".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
        ];
        params.serial_number = Some(vec![0x0a, 0xbc].into());
    });
    assert_eq!(peer.subject, "O=Example,CN=billing");
    assert_eq!(peer.dns, ["host.example"]);
    assert_eq!(peer.uris, ["https://example.org/x"]);
    assert_eq!(peer.emails, ["me@example.org"]);
    assert_eq!(peer.addresses, ["192.0.2.1".parse::<IpAddr>().unwrap(), "2001:db8::1".parse().unwrap()]);
    assert_eq!((peer.spiffe_id, peer.serial.as_str()), (None, "0abc"));
}

#[test]
fn a_value_cannot_pass_for_another_part_of_the_subject() {
    for (name, expected) in [
        ("a,O=Example", "CN=a\\,O=Example"),
        ("a+O=b", "CN=a\\+O=b"),
        (" a ", "CN=\\ a\\ "),
        ("#a", "CN=\\#a"),
        ("a\\", "CN=a\\\\"),
        ("a\"<>;", "CN=a\\\"\\<\\>\\;"),
        ("a\nb", "CN=a\\0Ab"),
        ("ä", "CN=ä"),
    ] {
        let subject = peer(|params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, name);
        });
        assert_eq!(subject.subject, expected);
    }
}

#[test]
fn a_spiffe_id_is_the_only_uri_and_valid() {
    let id = "spiffe://example.org/ns/prod/billing";
    let named = peer(by_uri(id));
    assert_eq!(named.spiffe_id.as_deref(), Some(id));
    assert_eq!(named.to_string(), id);
    let two = peer(|params| {
        let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
        params.subject_alt_names = vec![uri(id), uri("spiffe://example.org/other")];
    });
    assert_eq!((two.spiffe_id, two.uris.len()), (None, 2));
    for bad in
        ["spiffe://example.org/../x", "spiffe://Example.org/x", "spiffe://example.org/x/", "spiffe://a:1/x"]
    {
        assert_eq!(peer(by_uri(bad)).spiffe_id, None, "{bad}");
    }
}

#[test]
fn what_is_no_certificate_is_nobody() {
    assert!(Peer::of(b"none").is_err());
}

static GOOD: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| {
    let made = Made::new();
    let pair = made.pair("billing", by_uri("spiffe://example.org/x"));
    files::pair(&pair, ["c", "k"]).unwrap().0.cert[0].to_vec()
});

proptest::proptest! {
    #[test]
    fn no_input_panics(bytes: Vec<u8>, at: usize, with: u8) {
        let _ = Peer::of(&bytes);
        let mut changed = GOOD.clone();
        let at = at % changed.len();
        changed[at] = with;
        let _ = Peer::of(&changed).map(|peer| peer.to_string());
    }
}
