//! A token endpoint, as a client meets it.

use super::{
    answer::{LIFE, LIFE_DEFAULT},
    *,
};
use crate::client::tests::{Endpoint, Flaw, certified};

fn settings(folder: &Path, url: &str) -> Settings {
    let client_secret_file = folder.join("secret");
    std::fs::write(&client_secret_file, "s3cret &\n").unwrap();
    Settings {
        url: url.parse().unwrap(),
        client: Named::Secret { client_id: "me:you".to_owned(), file: client_secret_file },
        scope: Some("kafka".to_owned()),
        ca_file: None,
        proxies: Proxies::default(),
    }
}

/// Credentials of an endpoint that answers so.
async fn credentials(
    folder: &Path,
    answers: &[(u16, &str)],
) -> (Arc<ClientCredentials>, Arc<Endpoint>, String) {
    let endpoint = Endpoint::answering(answers);
    let place = format!("http://{}/token", endpoint.serve(None).await);
    let settings = settings(folder, &format!("{place}?tenant=hidden"));
    (ClientCredentials::new(settings).unwrap(), endpoint, place)
}

const GOOD: (u16, &str) = (200, r#"{"access_token": "t1", "token_type": "Bearer", "expires_in": 100}"#);

#[tokio::test]
async fn a_token_is_asked_for_as_the_rfc_says() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, endpoint, _) = credentials(folder.path(), &[GOOD]).await;
    assert_eq!(credentials.current(0), Err("the first one is on its way".to_owned()));
    assert_eq!(credentials.refresh().await, Ok(Duration::from_secs(100)));
    let token = credentials.current(unix_ms()).unwrap();
    assert_eq!(token.value, "t1");
    assert!(token.expires_ms <= unix_ms() + 100_000, "it lives from when it was asked for");
    let seen = endpoint.seen.lock().unwrap().clone();
    let basic = general_purpose::STANDARD.encode("me%3Ayou:s3cret+%26");
    assert_eq!(seen, [(format!("Basic {basic}"), "grant_type=client_credentials&scope=kafka".to_owned())]);
    let shown = format!("{credentials:?} {token:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t1"), "{shown}");
}

#[tokio::test]
async fn an_assertion_of_somebody_trusted_stands_in_the_form_and_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, endpoint, place) = credentials(folder.path(), &[GOOD]).await;
    let file = folder.path().join("assertion");
    std::fs::write(&file, "a.b.c\n").unwrap();
    let client = Named::Assertion { client_id: "me".to_owned(), file: file.clone() };
    let settings = Settings { client, url: place.parse().unwrap(), ..credentials.settings.clone() };
    let credentials = ClientCredentials::new(settings).unwrap();
    credentials.refresh().await.unwrap();
    std::fs::write(&file, "d.e.f").unwrap();
    credentials.refresh().await.unwrap();
    let form = |assertion: &str| {
        format!(
            "grant_type=client_credentials&client_id=me&client_assertion_type=\
             urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}&scope=kafka"
        )
    };
    let seen = endpoint.seen.lock().unwrap().clone();
    assert_eq!(seen, [(String::new(), form("a.b.c")), (String::new(), form("d.e.f"))]);
}

#[tokio::test]
async fn a_machine_that_is_known_by_its_place_only_asks() {
    let folder = tempfile::tempdir().unwrap();
    let answer = (200, r#"{"access_token": "t1", "expires_in": "60", "token_type": "Bearer"}"#);
    let (credentials, endpoint, place) = credentials(folder.path(), &[answer]).await;
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, HeaderValue::from_static("here"))]);
    let url = format!("{place}?resource=r").parse().unwrap();
    let settings = Settings { client: Named::Place(headers), url, ..credentials.settings.clone() };
    let credentials = ClientCredentials::new(settings).unwrap();
    assert_eq!(credentials.refresh().await, Ok(Duration::from_mins(1)));
    assert_eq!(*endpoint.seen.lock().unwrap(), [("here".to_owned(), "/token?resource=r".to_owned())]);
}

#[tokio::test]
async fn an_expired_token_is_none_and_wakes_the_one_who_fetches() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, _, _) = credentials(folder.path(), &[GOOD]).await;
    credentials.refresh().await.unwrap();
    let end = credentials.current(unix_ms()).unwrap().expires_ms;
    assert!(credentials.current(end - 1).is_ok());
    let why = credentials.current(end).unwrap_err();
    assert_eq!(why, "the last one has expired, and a new one is on its way");
    credentials.expired.notified().await;
}

#[tokio::test]
async fn a_refusal_is_told_in_the_endpoints_words_and_the_secret_is_read_again() {
    let refusal = (401, r#"{"error": "invalid_client", "error_description": "wrong\n secret"}"#);
    let folder = tempfile::tempdir().unwrap();
    let (credentials, endpoint, place) = credentials(folder.path(), &[refusal, GOOD]).await;
    credentials.refresh().await.unwrap_err();
    let why = credentials.current(unix_ms()).unwrap_err();
    assert_eq!(why, format!("{place}: it refuses with 401 Unauthorized: invalid_client: wrong secret"));
    std::fs::write(folder.path().join("secret"), "other").unwrap();
    credentials.refresh().await.unwrap();
    assert!(credentials.current(unix_ms()).is_ok());
    let seen = endpoint.seen.lock().unwrap();
    assert_ne!(seen[0].0, seen[1].0);
}

#[tokio::test]
async fn a_token_that_holds_is_given_while_fetching_fails() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, _, place) = credentials(folder.path(), &[GOOD, (503, "<html>")]).await;
    credentials.refresh().await.unwrap();
    credentials.refresh().await.unwrap_err();
    let token = credentials.current(unix_ms()).unwrap();
    let why = credentials.current(token.expires_ms).unwrap_err();
    assert_eq!(why, format!("{place}: it answers 503 Service Unavailable"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, endpoint, _) = credentials(folder.path(), &[GOOD]).await;
    let file = &folder.path().join("secret");
    std::fs::write(file, " \n").unwrap();
    assert_eq!(credentials.fetch().await.unwrap_err(), format!("{}: it is empty", file.display()));
    std::fs::remove_file(file).unwrap();
    assert!(credentials.fetch().await.unwrap_err().starts_with(&format!("{}: No such file", file.display())));
    assert!(endpoint.seen.lock().unwrap().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn an_answer_that_is_no_bearer_token_is_told_without_its_content() {
    let folder = tempfile::tempdir().unwrap();
    for (answer, expected) in [
        ((200, "secret"), "the answer is no token (RFC 6749, section 5.1)"),
        ((200, r#"{"access_token": ""}"#), "the answer's access_token is empty or holds what no token may"),
        (
            (200, r#"{"access_token": "a b"}"#),
            "the answer's access_token is empty or holds what no token may",
        ),
        (
            (200, r#"{"access_token": "t", "token_type": "mac"}"#),
            "the answer's token_type is \"mac\", not Bearer",
        ),
        ((302, ""), "it answers 302 Found, which is not followed; name the place itself"),
    ] {
        let (credentials, _, _) = credentials(folder.path(), &[answer]).await;
        assert_eq!(credentials.fetch().await.unwrap_err(), expected);
    }
}

#[tokio::test]
async fn the_life_of_a_token_is_bounded_whatever_the_endpoint_says() {
    let folder = tempfile::tempdir().unwrap();
    for (expires_in, expected) in [
        (r#", "expires_in": 0"#, LIFE.0),
        (r#", "expires_in": 18446744073709551615"#, LIFE.1),
        (r#", "expires_in": 3600"#, Duration::from_hours(1)),
        ("", LIFE_DEFAULT),
    ] {
        let answer = format!(r#"{{"access_token": "t"{expires_in}}}"#);
        let (credentials, _, _) = credentials(folder.path(), &[(200, &answer)]).await;
        assert_eq!(credentials.refresh().await, Ok(expected));
        assert!(credentials.current(unix_ms()).is_ok());
    }
}

#[tokio::test]
async fn tokens_are_fetched_until_nobody_holds_the_credentials() {
    let folder = tempfile::tempdir().unwrap();
    let short = (200, r#"{"access_token": "t1", "expires_in": 1}"#);
    let (credentials, endpoint, _) = credentials(folder.path(), &[short]).await;
    let keeping = tokio::spawn(ClientCredentials::keep(Arc::downgrade(&credentials), Rng::with_seed(1)));
    while endpoint.seen.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(credentials);
    keeping.await.unwrap();
}

#[tokio::test]
async fn over_https_the_endpoints_own_authority_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, tls) = certified(folder.path(), Flaw::None);
    let address = Endpoint::answering(&[GOOD]).serve(Some(tls)).await;
    let mut settings = settings(folder.path(), &format!("https://localhost:{}/token", address.port()));
    settings.ca_file = Some(ca);
    ClientCredentials::new(settings).unwrap().refresh().await.unwrap();
}
