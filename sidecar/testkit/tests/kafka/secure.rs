//! Each door lets in who may come by it, and refuses the others for the right reason.

use std::{error::Error, time::Duration};

use outrigger_testkit::kafka::{
    self, Client, ClientConfig,
    Door::{MutualTls, Sasl, SaslTls, Tls},
    Login, RDKafkaErrorCode, Record, Resource, SecureBroker,
};
use rdkafka::{
    client::{ClientContext, OAuthToken},
    consumer::{BaseConsumer, Consumer, ConsumerContext},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Every way to log in, with what proves the user and with something else.
fn logins() -> Vec<[Login<'static>; 2]> {
    let right = SecureBroker::password("alice");
    vec![
        [Login::Plain("alice", right), Login::Plain("alice", "wrong")],
        [Login::ScramSha256("alice", right), Login::ScramSha256("alice", "wrong")],
        [Login::ScramSha512("alice", right), Login::ScramSha512("nobody", right)],
        [Login::OAuthBearer("alice", "kafka"), Login::OAuthBearer("alice", "another-scope")],
    ]
}

/// What comes in by `client` is there.
async fn writes(kafka: &SecureBroker, client: &Client, topic: &str) {
    kafka.broker().client().create_topic(topic, 1, &[]).await.unwrap();
    client.produce([Record::new(topic, "x")]).await.unwrap();
    assert_eq!(client.read(topic).await.unwrap().len(), 1);
}

#[tokio::test]
async fn each_login_is_let_in_with_its_secret_and_refused_without() {
    let Some(kafka) = kafka::secure("each_login_is_let_in_with_its_secret_and_refused_without").await else {
        return;
    };
    for door in [Sasl, SaslTls] {
        for (n, [right, wrong]) in logins().into_iter().enumerate() {
            let client = kafka.client(door, Some(right));
            assert_eq!(client.is_let_in(PATIENCE).await, Ok(()), "{door:?} {right:?}");
            writes(kafka, &client, &format!("login-{door:?}-{n}")).await;
            let refused = kafka.client(door, Some(wrong)).is_let_in(PATIENCE).await;
            assert_eq!(refused, Err(RDKafkaErrorCode::Authentication), "{door:?} {wrong:?}");
        }
    }
}

#[tokio::test]
async fn tls_is_for_those_who_trust_the_broker() {
    let Some(kafka) = kafka::secure("tls_is_for_those_who_trust_the_broker").await else { return };
    let client = kafka.client(Tls, None);
    assert_eq!(client.is_let_in(PATIENCE).await, Ok(()));
    writes(kafka, &client, "over-tls").await;
    let other = kafka.files().join("stranger-ca.pem");
    let distrustful = client.set("ssl.ca.location", other.to_str().unwrap());
    assert_eq!(distrustful.is_let_in(PATIENCE).await, Err(RDKafkaErrorCode::SSL));
}

#[tokio::test]
async fn mutual_tls_is_for_those_with_a_certificate_that_the_broker_trusts() {
    let test = "mutual_tls_is_for_those_with_a_certificate_that_the_broker_trusts";
    let Some(kafka) = kafka::secure(test).await else { return };
    let client = kafka.client(MutualTls, None);
    assert_eq!(client.is_let_in(PATIENCE).await, Ok(()));
    writes(kafka, &client, "over-mutual-tls").await;
    let file = |name: &str| kafka.files().join(name).to_str().unwrap().to_owned();
    let stranger = client.set("ssl.certificate.location", &file("stranger.pem"));
    let stranger = stranger.set("ssl.key.location", &file("stranger.key"));
    assert!(stranger.is_let_in(Duration::from_secs(2)).await.is_err());
    let nobody = kafka.client(Tls, None).set("bootstrap.servers", &kafka.bootstrap(MutualTls));
    assert!(nobody.is_let_in(Duration::from_secs(2)).await.is_err());
}

#[tokio::test]
async fn what_is_forbidden_to_one_is_allowed_to_the_others() {
    let Some(kafka) = kafka::secure("what_is_forbidden_to_one_is_allowed_to_the_others").await else {
        return;
    };
    let alice = kafka.client(Sasl, Some(Login::Plain("alice", SecureBroker::password("alice"))));
    let bob = kafka.client(Sasl, Some(Login::ScramSha256("bob", SecureBroker::password("bob"))));
    writes(kafka, &alice, "forbidden").await;
    let write = |client: &Client| {
        let client = client.clone();
        async move { client.produce([Record::new("forbidden", "x")]).await }
    };
    let topic = Resource::Topic("forbidden");
    kafka.forbid("alice", &["Write"], topic).await;
    let refused = write(&alice).await.unwrap_err().rdkafka_error_code();
    assert_eq!(refused, Some(RDKafkaErrorCode::TopicAuthorizationFailed));
    write(&bob).await.unwrap();
    assert_eq!(alice.read("forbidden").await.unwrap().len(), 2, "alice may still read");
    kafka.allow("alice", &["Write"], topic).await;
    write(&alice).await.unwrap();
    // Finding the group stays allowed: who may not even do that is refused by no answer, because librdkafka asks on.
    kafka.forbid("client", &["Read"], Resource::Group("theirs")).await;
    let mutual = kafka.client(MutualTls, None);
    let refused = mutual.commit("theirs", "forbidden", 0, 1, "").await.unwrap_err().rdkafka_error_code();
    assert_eq!(refused, Some(RDKafkaErrorCode::GroupAuthorizationFailed));
    alice.commit("theirs", "forbidden", 0, 1, "").await.unwrap();
}

/// Gives librdkafka a token as a sidecar does that got it from somewhere else.
struct Bearer(String);

impl ClientContext for Bearer {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        // In the year 2100: whether the token has expired is the broker's to find.
        let lifetime_ms = 4_102_444_800_000;
        Ok(OAuthToken { token: self.0.clone(), principal_name: "alice".to_owned(), lifetime_ms })
    }
}

impl ConsumerContext for Bearer {}

#[tokio::test]
async fn a_token_is_taken_until_it_expires() {
    let Some(kafka) = kafka::secure("a_token_is_taken_until_it_expires").await else { return };
    let asks = |token: String| {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", kafka.bootstrap(Sasl)).set("security.protocol", "sasl_plaintext");
        config.set("sasl.mechanism", "OAUTHBEARER").set("group.id", "bearer");
        tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer<Bearer> = config.create_with_context(Bearer(token)).unwrap();
            // The token is asked for by whoever polls.
            let _ = consumer.poll(Duration::from_millis(100));
            consumer.fetch_metadata(None, Duration::from_secs(2)).map(drop)
        })
    };
    asks(SecureBroker::token("alice", 60)).await.unwrap().unwrap();
    asks(SecureBroker::token("alice", 0)).await.unwrap().unwrap_err();
}
