use super::*;
use crate::tls::made::{Made, expired, not_yet};

fn problems(files: &Pair) -> Vec<(String, String)> {
    pair(files, ["certificate", "key"]).map(drop).unwrap_err().problems
}

#[test]
fn a_pair_that_belongs_together_is_taken_in_one_file_or_two() {
    let made = Made::new();
    let two = made.pair("server", |_| {});
    assert_eq!(pair(&two, ["c", "k"]).unwrap().1.subject, "CN=server");
    let text = fs::read_to_string(&two.key).unwrap() + &fs::read_to_string(&two.certificate).unwrap();
    let one = made.write("both.pem", &text);
    assert!(pair(&Pair { certificate: one.clone(), key: one }, ["c", "k"]).is_ok());
}

#[test]
fn each_wrong_file_is_told_with_its_setting_and_what_to_do() {
    let made = Made::new();
    let (good, other) = (made.pair("server", |_| {}), made.pair("other", |_| {}));
    let encrypted = made.write(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let empty = made.write("empty.pem", "");
    let junk = made.write("junk.pem", "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n");
    let broken = made.write("broken.key", "-----BEGIN PRIVATE KEY-----\ngeheim");
    let large = made.write("large.pem", &"x".repeat((1 << 20) + 1));
    let absent = made.path("absent.pem");
    let with_certificate = |certificate: &Path| Pair { certificate: certificate.to_owned(), ..good.clone() };
    let with_key = |key: &Path| Pair { key: key.to_owned(), ..good.clone() };
    for (files, at, expected) in [
        (with_certificate(&absent), "certificate", "the file cannot be read: No such file"),
        (with_certificate(&empty), "certificate", "there is no certificate in it"),
        (with_certificate(&good.key), "certificate", "a private key in it and no certificate; were the two"),
        (with_certificate(&junk), "certificate", "the certificate cannot be read"),
        (with_certificate(&large), "certificate", "more than 1048576 bytes"),
        (with_key(&absent), "key", "the file cannot be read: No such file"),
        (with_key(&empty), "key", "there is no private key in it"),
        (with_key(&good.certificate), "key", "a certificate in it and no private key; name the key's file"),
        (with_key(&encrypted), "key", "the private key is encrypted; write it without a passphrase"),
        (with_key(&broken), "key", "this is no PEM"),
        (with_key(&other.key), "key", "the private key is not that of the certificate in"),
    ] {
        let found = problems(&files);
        let path = if at == "key" { &files.key } else { &files.certificate };
        let [(key, what)] = found.as_slice() else { panic!("{expected}: {found:?}") };
        assert_eq!(key, at, "{what}");
        assert!(what.starts_with(&path.display().to_string()), "{what}");
        assert!(what.contains(expected) && !what.contains("geheim"), "{expected}: {what}");
    }
    let both = problems(&Pair { certificate: absent.clone(), key: absent });
    assert_eq!(both.len(), 2, "both are told: {both:?}");
}

#[test]
fn a_chain_in_the_wrong_order_is_told_so() {
    let made = Made::new();
    let files = made.pair("server", |_| {});
    let chain = made.authority.pem() + &fs::read_to_string(&files.certificate).unwrap();
    let found = problems(&Pair { certificate: made.write("chain.pem", &chain), ..files });
    assert!(
        found[0].0 == "certificate" && found[0].1.contains("put it first, then its issuers"),
        "{found:?}"
    );
}

#[test]
fn a_certificate_that_does_not_hold_names_the_dates_and_the_clock() {
    let made = Made::new();
    let now = UNIX_EPOCH + Duration::from_hours(500_000);
    let wrong = |files: &Pair| pair(files, ["c", "k"]).unwrap().1.wrong(now);
    assert_eq!(wrong(&made.pair("good", |_| {})), None);
    let old = wrong(&made.pair("old", expired)).unwrap();
    assert_eq!(
        old,
        "the certificate of CN=old expired at 2020-01-01T00:00:00Z; renew it, or set this machine's clock, which says \
         2027-01-15T08:00:00Z"
    );
    let early = wrong(&made.pair("early", not_yet)).unwrap();
    assert!(
        early.starts_with("the certificate of CN=early is not valid before 4000-01-01T00:00:00Z; set"),
        "{early}"
    );
}

#[test]
fn authorities_are_certificates() {
    let made = Made::new();
    assert_eq!(authorities(&made.path("ca.pem"), "ca").unwrap().len(), 1);
    let error = authorities(&made.pair("x", |_| {}).key, "ca").unwrap_err();
    assert!(error.to_string().starts_with("ca: "), "{error}");
}
