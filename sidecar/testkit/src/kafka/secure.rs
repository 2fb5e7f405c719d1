//! A broker that asks its clients who they are, over TLS and without, and forbids what it is told to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    Broker, Client, Cluster, Settings,
    broker::{blocking, local},
    certificates,
    home::Home,
    node::finish,
    settings::Listener,
};
use crate::free_port;

/// Who may log in by password. A token names anybody.
const USERS: [(&str, &str); 2] = [("alice", "the-password-of-alice"), ("bob", "the-password-of-bob")];
/// What a token must be for.
const SCOPE: &str = "kafka";
const CLIENT: &str = "client";
const OAUTH: &str = "org.apache.kafka.common.security.oauthbearer";

/// A way into a secure broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Door {
    /// TLS, and who comes is nobody in particular.
    Tls,
    /// TLS with a certificate of the client, whose name it is known by.
    MutualTls,
    /// A login without TLS.
    Sasl,
    /// A login within TLS.
    SaslTls,
}

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login<'a> {
    /// A user and a password.
    Plain(&'a str, &'a str),
    /// A user and a password that does not travel.
    ScramSha256(&'a str, &'a str),
    /// A user and a password that does not travel.
    ScramSha512(&'a str, &'a str),
    /// The user and the scope of a token.
    OAuthBearer(&'a str, &'a str),
}

/// Something that can be forbidden to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic, by its name.
    Topic(&'a str),
    /// A group, by its name.
    Group(&'a str),
}

/// A broker with every [`Door`] beside its plain one. Who comes by the plain one or by [`Door::Tls`] may do
/// everything; the others may until it is [forbidden](Self::forbid) to them. The users `alice` and `bob` have
/// [passwords](Self::password).
#[derive(Debug)]
pub struct SecureBroker {
    broker: Broker,
    ports: BTreeMap<Door, u16>,
    files: PathBuf,
    home: Home,
}

impl SecureBroker {
    pub(crate) async fn start(home: Home, mut settings: Settings) -> Self {
        let folder = Arc::new(settings.temporary());
        // In the folder of the one node, so that they go when it does.
        let files = folder.path().join("1/certificates");
        certificates::write(&files, CLIENT);
        let mut ports = BTreeMap::new();
        let doors = [
            (Door::Tls, "TLS", "SSL"),
            (Door::MutualTls, "MUTUAL", "SSL"),
            (Door::Sasl, "SASL", "SASL_PLAINTEXT"),
            (Door::SaslTls, "SASLTLS", "SASL_SSL"),
        ];
        for (door, name, protocol) in doors {
            let port = free_port();
            ports.insert(door, port);
            settings.listeners.push(Listener { name, protocol, port, advertised: port });
        }
        // What the test itself sets comes last.
        let own = std::mem::replace(&mut settings.properties, properties(&files));
        settings.properties.extend(own);
        settings.format.extend(USERS.iter().flat_map(|(user, password)| scram(user, password)));
        let cluster = Cluster::start_in(folder, home.clone(), 1, settings).await;
        Self { broker: cluster.node(1).clone(), ports, files, home }
    }

    /// The broker, as one without doors: its plain one is for the test.
    #[must_use]
    pub fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Where clients begin that come by `door`: `host:port`.
    #[must_use]
    pub fn bootstrap(&self, door: Door) -> String {
        local(self.ports[&door]).to_string()
    }

    /// The authority that signed the broker's certificate and the client's.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.files.join("ca.pem")
    }

    /// A certificate for [`Door::MutualTls`]; the user that it names is `client`.
    #[must_use]
    pub fn client_certificate(&self) -> PathBuf {
        self.files.join("client.pem")
    }

    /// The key of the client's certificate: PKCS#8, not encrypted.
    #[must_use]
    pub fn client_key(&self) -> PathBuf {
        self.files.join("client.key")
    }

    /// The folder with those files and with their like from an authority that the broker does not trust:
    /// `stranger-ca.pem`, `stranger.pem` and `stranger.key`.
    #[must_use]
    pub fn files(&self) -> &Path {
        &self.files
    }

    /// The password of a user.
    ///
    /// # Panics
    /// There is no such user.
    #[must_use]
    pub fn password(user: &str) -> &'static str {
        let found = USERS.iter().find(|(name, _)| *name == user);
        found.unwrap_or_else(|| panic!("{user} is no user of the broker")).1
    }

    /// A client that comes by `door`, with the client's certificate where that is wanted, and logs in by `login`.
    #[must_use]
    pub fn client(&self, door: Door, login: Option<Login<'_>>) -> Client {
        let path = |file: PathBuf| file.to_string_lossy().into_owned();
        let protocol = match door {
            Door::Tls | Door::MutualTls => "ssl",
            Door::Sasl => "sasl_plaintext",
            Door::SaslTls => "sasl_ssl",
        };
        let mut client = Client::new(&self.bootstrap(door)).set("security.protocol", protocol);
        if door != Door::Sasl {
            client = client.set("ssl.ca.location", &path(self.ca()));
        }
        if door == Door::MutualTls {
            client = client.set("ssl.certificate.location", &path(self.client_certificate()));
            client = client.set("ssl.key.location", &path(self.client_key()));
        }
        let (mechanism, user, secret) = match login {
            None => return client,
            Some(Login::Plain(user, password)) => ("PLAIN", user, password),
            Some(Login::ScramSha256(user, password)) => ("SCRAM-SHA-256", user, password),
            Some(Login::ScramSha512(user, password)) => ("SCRAM-SHA-512", user, password),
            Some(Login::OAuthBearer(user, scope)) => {
                let client = client.set("sasl.mechanism", "OAUTHBEARER");
                let client = client.set("enable.sasl.oauthbearer.unsecure.jwt", "true");
                return client.set("sasl.oauthbearer.config", &format!("principal={user} scope={scope}"));
            }
        };
        client.set("sasl.mechanism", mechanism).set("sasl.username", user).set("sasl.password", secret)
    }

    /// A token for `OAUTHBEARER` as the broker takes it: a JWT without a signature, for so many seconds from now.
    ///
    /// # Panics
    /// The clock stands before 1970.
    #[must_use]
    pub fn token(user: &str, seconds: u64) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs();
        let claims = serde_json::json!({ "sub": user, "scope": SCOPE, "iat": now, "exp": now + seconds });
        let [head, claims] =
            [r#"{"alg":"none"}"#.to_owned(), claims.to_string()].map(|it| URL_SAFE_NO_PAD.encode(it));
        format!("{head}.{claims}.")
    }

    /// Forbids operations (`Read`, `Write`, `Describe`, … or `All`) on `resource` to `user`, from now on and for
    /// connections that are open. Everybody else still may. Takes a JVM: a second.
    ///
    /// # Panics
    /// Kafka refuses it.
    pub async fn forbid(&self, user: &str, operations: &[&str], resource: Resource<'_>) {
        // Whatever has any rule is closed to all whom no rule lets in.
        self.acl(&["--add", "--allow-principal", "User:*", "--operation", "All"], resource).await;
        self.denied("--add", user, operations, resource).await;
    }

    /// Takes back what [`forbid`](Self::forbid) forbade by the same arguments.
    ///
    /// # Panics
    /// Kafka refuses it.
    pub async fn allow(&self, user: &str, operations: &[&str], resource: Resource<'_>) {
        self.denied("--remove", user, operations, resource).await;
    }

    async fn denied(&self, change: &str, user: &str, operations: &[&str], resource: Resource<'_>) {
        let user = format!("User:{user}");
        let mut arguments = vec![change, "--deny-principal", &user];
        arguments.extend(operations.iter().flat_map(|operation| ["--operation", operation]));
        if change == "--remove" {
            arguments.push("--force");
        }
        self.acl(&arguments, resource).await;
    }

    async fn acl(&self, arguments: &[&str], resource: Resource<'_>) {
        let (kind, name) = match resource {
            Resource::Topic(name) => ("--topic", name),
            Resource::Group(name) => ("--group", name),
        };
        let at = self.broker.bootstrap();
        let all = [&["--bootstrap-server", &at, kind, name], arguments].concat();
        self.tool("org.apache.kafka.tools.AclCommand", &all).await;
    }

    /// Gives a user another password for both kinds of SCRAM, from the next login on. Takes two JVMs: some seconds.
    ///
    /// # Panics
    /// Kafka refuses it.
    pub async fn change_password(&self, user: &str, password: &str) {
        let at = self.broker.bootstrap();
        let place = ["--bootstrap-server", &at, "--entity-type", "users", "--entity-name", user];
        for kind in [256, 512] {
            let config = format!("SCRAM-SHA-{kind}=[password={password}]");
            let all = [&place[..], &["--alter", "--add-config", &config]].concat();
            self.tool("kafka.admin.ConfigCommand", &all).await;
        }
    }

    async fn tool(&self, class: &str, arguments: &[&str]) {
        let mut command = self.home.command(class, arguments);
        let said = blocking(move || finish(command.spawn().expect("sh can be started"))).await;
        assert!(said.is_ok(), "{class} {arguments:?}\n{}", said.unwrap_or_else(|said| said));
    }
}

/// The settings of all doors. TLS is the same for all; each login of each door is set on its own.
fn properties(files: &Path) -> BTreeMap<String, String> {
    let file = |name: &str| files.join(name).to_string_lossy().into_owned();
    let mut all: BTreeMap<String, String> = [
        ("ssl.keystore.type", "PEM".to_owned()),
        ("ssl.keystore.location", file("broker.pem")),
        ("ssl.truststore.type", "PEM".to_owned()),
        ("ssl.truststore.location", file("ca.pem")),
        ("ssl.principal.mapping.rules", "RULE:^CN=([^,]+).*$/$1/,DEFAULT".to_owned()),
        ("listener.name.mutual.ssl.client.auth", "required".to_owned()),
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER".to_owned()),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()),
        ("super.users", "User:ANONYMOUS".to_owned()),
        ("allow.everyone.if.no.acl.found", "true".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let users = USERS.map(|(user, password)| format!("user_{user}=\"{password}\"")).join(" ");
    let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required {users};");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let token = format!(
        "{OAUTH}.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\" \
         unsecuredValidatorRequiredScope=\"{SCOPE}\";"
    );
    for door in ["sasl", "sasltls"] {
        let mut set = |name: &str, value: &str| {
            all.insert(format!("listener.name.{door}.{name}"), value.to_owned());
        };
        set("plain.sasl.jaas.config", &plain);
        set("scram-sha-256.sasl.jaas.config", scram);
        set("scram-sha-512.sasl.jaas.config", scram);
        set("oauthbearer.sasl.jaas.config", &token);
        let handler =
            |of: &str| format!("{OAUTH}.internals.unsecured.OAuthBearerUnsecured{of}CallbackHandler");
        set("oauthbearer.sasl.server.callback.handler.class", &handler("Validator"));
        set("oauthbearer.sasl.login.callback.handler.class", &handler("Login"));
    }
    all
}

/// What makes a user with both kinds of SCRAM when the data folder is formatted.
fn scram(user: &str, password: &str) -> Vec<String> {
    let one = |kind: u16| format!("SCRAM-SHA-{kind}=[name={user},password={password}]");
    ["--add-scram".to_owned(), one(256), "--add-scram".to_owned(), one(512)].into()
}
