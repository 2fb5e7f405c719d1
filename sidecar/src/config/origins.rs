//! Other senders by HTTP, as the program uses the settings.

use std::time::Duration;

use super::{
    auth::{Auth, Hmac, Secret},
    build::Values,
};

/// A path that one kind of sender sends to.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The path.
    pub path: String,
    /// Who sends.
    pub from: From,
    /// A secret that is shown, or of GitHub signs; or nobody is asked.
    pub auth: Auth,
    /// The source of events of other requests, and of messages of SQS without a queue.
    pub source: Option<String>,
    /// The type of events of other requests.
    pub ty: Option<String>,
    /// The header that holds their id.
    pub id_header: Option<http::HeaderName>,
    /// The topics of SNS whose subscriptions are confirmed.
    pub topics: Vec<String>,
    /// Bound of confirming one.
    pub confirm_timeout: Duration,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
    /// The most events in one request.
    pub batch_events_max: usize,
    /// Whether its control events count.
    pub control: bool,
}

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Anybody, anything.
    Http,
    /// GitHub.
    GitHub,
    /// A service of AWS.
    Aws(Service),
}

/// A service of AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Amazon EventBridge.
    EventBridge,
    /// A trigger of AWS Lambda.
    Lambda,
    /// Amazon S3.
    S3,
    /// Amazon SNS.
    Sns,
    /// Amazon SQS, by a pipe.
    Sqs,
}

impl From {
    const ALL: [Self; 7] = [
        Self::Http,
        Self::GitHub,
        Self::Aws(Service::EventBridge),
        Self::Aws(Service::Lambda),
        Self::Aws(Service::S3),
        Self::Aws(Service::Sns),
        Self::Aws(Service::Sqs),
    ];

    /// Its name in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::GitHub => "github",
            Self::Aws(Service::EventBridge) => "eventbridge",
            Self::Aws(Service::Lambda) => "lambda",
            Self::Aws(Service::S3) => "s3",
            Self::Aws(Service::Sns) => "sns",
            Self::Aws(Service::Sqs) => "sqs",
        }
    }

    /// The one of this name; the table of settings knows no other.
    fn of(word: &str) -> Self {
        Self::ALL.into_iter().find(|from| from.name() == word).unwrap_or(Self::Http)
    }
}

impl Origin {
    /// Its name in keys, metrics and dead letters: who sends, and where.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.from.name(), self.path)
    }

    /// The source of events of other requests.
    #[must_use]
    pub fn source(&self) -> &str {
        self.source.as_deref().unwrap_or("/http")
    }

    /// Their type.
    #[must_use]
    pub fn ty(&self) -> &str {
        self.ty.as_deref().unwrap_or("http.request")
    }
}

pub(super) const SECTION: &str = "ingress.origins";

impl Values {
    /// The one of the section, or each of the list in its place that has a path.
    pub(super) fn origins(&self) -> Vec<Origin> {
        match self.several(SECTION) {
            Some(several) => several.iter().filter_map(Values::origin).collect(),
            None => self.origin().into_iter().collect(),
        }
    }

    fn origin(&self) -> Option<Origin> {
        let at = |name: &str| format!("{SECTION}.{name}");
        let from = From::of(self.word(&at("from")));
        let is_required = self.word(&at("auth")) == "required";
        Some(Origin {
            path: self.some_text(&at("path"))?,
            from,
            auth: if is_required { self.known_by_secret(from) } else { Auth::none() },
            source: self.some_text(&at("source")),
            ty: self.some_text(&at("type")),
            id_header: self.some_header(&at("id_header")),
            topics: self.list(&at("topics")).unwrap_or_default(),
            confirm_timeout: self.span(&at("confirm_timeout")),
            body_bytes_max: self.size(&at("body_bytes_max")),
            control: self.word(&at("control")) == "true",
            batch_events_max: self.count(&at("batch_events_max")),
        })
    }

    fn known_by_secret(&self, from: From) -> Auth {
        let at = |name: &str| format!("{SECTION}.{name}");
        let Some(file) = self.some_file(&at("secret_file")) else { return Auth::none() };
        if from == From::GitHub {
            let signed = Hmac {
                setting: at("secret_file"),
                secret_file: file,
                header: http::HeaderName::from_static("x-hub-signature-256"),
                prefix: "sha256=".to_owned(),
                is_base64: false,
                is_sha512: false,
            };
            return Auth { hmac: Some(signed), ..Auth::none() };
        }
        let query = self.some_text(&at("secret_query"));
        Auth {
            secret: Some(Secret { file, query, header: self.some_header(&at("secret_header")) }),
            ..Auth::none()
        }
    }
}
