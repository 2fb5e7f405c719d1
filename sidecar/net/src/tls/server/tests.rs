use super::*;
use crate::tls::made::{Made, expired, not_yet, settings};
use rcgen::CertificateParams;

/// A listener's TLS, whose files are replaced.
struct Fixture {
    made: Made,
    tls: ServerTls,
}

impl Fixture {
    fn new(change: impl FnOnce(&mut CertificateParams)) -> Fixture {
        let made = Made::new();
        let pair = made.pair("server", change);
        let tls = ServerTls::open(settings(pair), SystemTime::now()).unwrap();
        Fixture { made, tls }
    }

    /// Replaces the files by a new pair and looks until the change has rested. What is shown afterwards?
    fn replace(&self, change: impl FnOnce(&mut CertificateParams)) -> u64 {
        self.made.pair("server", change);
        self.looked()
    }

    fn looked(&self) -> u64 {
        for _ in 0..2 {
            self.tls.look_again(SystemTime::now());
        }
        self.tls.ends_unix_s()
    }
}

const END_OF_2030: u64 = 1_924_905_600;

fn until_2030(params: &mut CertificateParams) {
    params.not_after = rcgen::date_time_ymd(2030, 12, 31);
}

#[test]
fn a_new_pair_is_shown_and_a_half_of_one_is_not() {
    let f = Fixture::new(|_| {});
    let first = f.tls.ends_unix_s();
    let other = f.made.pair("other", |_| {});
    std::fs::copy(other.key, f.made.path("server.key")).unwrap();
    assert_eq!((f.looked(), f.tls.reloads()), (first, (0, 1)));
    assert_eq!((f.replace(until_2030), f.tls.reloads()), (END_OF_2030, (1, 1)));
    std::fs::remove_file(f.made.path("server.key")).unwrap();
    assert_eq!((f.looked(), f.tls.reloads()), (END_OF_2030, (1, 2)));
}

#[test]
fn a_certificate_that_does_not_hold_does_not_take_the_place_of_one_that_does() {
    let f = Fixture::new(until_2030);
    for wrong in [expired, not_yet] {
        assert_eq!(f.replace(wrong), END_OF_2030);
    }
    assert_eq!(f.tls.reloads(), (0, 2));
}

#[test]
fn one_that_does_not_hold_is_shown_at_the_start_and_replaced_by_any_other() {
    let f = Fixture::new(expired);
    assert_eq!(f.replace(not_yet), f.tls.ends_unix_s());
    assert_eq!(f.replace(until_2030), END_OF_2030);
    assert_eq!(f.tls.reloads(), (2, 0));
}

#[test]
fn check_tells_what_the_start_only_warns_of() {
    let made = Made::new();
    let refused = settings(made.pair("server", expired));
    let error = ServerTls::check(&refused, SystemTime::now()).unwrap_err().to_string();
    let start = format!(
        "ingress.http.tls.certificate_file: {}: the certificate of CN=server expired at",
        refused.pair.certificate.display()
    );
    assert!(error.starts_with(&start), "{error}");
    assert_eq!(ServerTls::check(&settings(made.pair("server", |_| {})), SystemTime::now()), Ok(()));
}

#[test]
fn a_file_of_lists_has_one_for_each_authority_and_no_age_locks_anybody_out() {
    let made = Made::new();
    let listed = |crl: PathBuf| {
        let mut settings = settings(made.pair("server", |_| {}));
        settings.clients = Some(Clients { crl: Some(crl), ..made.clients(true, Rules::default()) });
        ServerTls::open(settings, SystemTime::now())
    };
    let refused = |crl: PathBuf| listed(crl).unwrap_err().to_string();
    for crl in [made.path("absent.pem"), made.path("ca.pem"), made.write("text.pem", "no PEM")] {
        let error = refused(crl.clone());
        assert!(error.starts_with("ingress.http.tls.client_crl_file: "), "{crl:?}: {error}");
    }
    let other = Made::new();
    let error = refused(other.revokes(&[], 4000));
    assert!(error.contains("there is no list of the authority CN=authority"), "{error}");
    assert!(listed(made.revokes(&[], 4000)).is_ok());
    let old = listed(made.revokes(&[], 2021)).unwrap();
    assert!(old.stale.load(Relaxed), "it is said");
}

#[test]
fn an_authority_that_is_none_and_a_missing_key_are_told_together() {
    let made = Made::new();
    let mut wrong = settings(made.pair("server", |_| {}));
    wrong.pair.key = made.path("absent.key");
    wrong.clients =
        Some(Clients { ca: made.path("absent.pem"), crl: None, required: true, rules: Rules::default() });
    let error = ServerTls::open(wrong, SystemTime::now()).unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["ingress.http.tls.key_file", "ingress.http.tls.client_ca_file"]);
}
