//! Messages that Google Pub/Sub pushes, as the program uses the settings.

use super::{
    auth::{Auth, Claim, Rule},
    build::Values,
};

/// A path that a push subscription sends to.
#[derive(Debug, Clone, PartialEq)]
pub struct PubsubPush {
    /// The path.
    pub path: String,
    /// The subscription's topic, as `projects/P/topics/T`; a rule asks for it.
    pub topic: String,
    /// Google's tokens for our audience, of the service account; or nobody is asked.
    pub auth: Auth,
    /// The largest body, in bytes.
    pub body_bytes_max: usize,
}

pub(super) const SECTION: &str = "ingress.pubsub_push";

impl Values {
    pub(super) fn pubsub_push(&self) -> Option<PubsubPush> {
        let at = |name: &str| format!("{SECTION}.{name}");
        let path = self.some_text(&at("path"))?;
        let accounts = self.list(&at("service_account")).unwrap_or_default();
        let required = self.word(&at("auth")) == "required";
        // Anyone can have Google sign a token for our audience: it is the account that tells who sends.
        let account = Rule {
            claims: vec![
                ("email".to_owned(), accounts.into_iter().map(Claim::Text).collect()),
                ("email_verified".to_owned(), vec![Claim::Flag(true)]),
            ],
            ..Rule::default()
        };
        let tokens = Auth {
            oidc: self.oidc(SECTION).into_iter().collect(),
            allow: Some(vec![account]),
            ..Auth::none()
        };
        Some(PubsubPush {
            path,
            topic: self.some_text(&at("topic")).unwrap_or_default(),
            auth: if required { tokens } else { Auth::none() },
            body_bytes_max: self.size(&at("body_bytes_max")),
        })
    }
}

/// Whether it is `projects/P/topics/T`.
pub(super) fn is_topic(text: &str) -> bool {
    let good = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~+%:".contains(&b))
    };
    let parts: Vec<_> = text.split('/').collect();
    matches!(parts[..], ["projects", project, "topics", topic] if good(project) && good(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_named_with_its_project() {
        for good in ["projects/p/topics/t", "projects/example.com:p-1/topics/a.b_c~d+e%25"] {
            assert!(is_topic(good), "{good}");
        }
        for bad in [
            "",
            "t",
            "projects/p/topics/",
            "projects//topics/t",
            "/projects/p/topics/t",
            "projects/p/subscriptions/s",
            "projects/p/topics/t/u",
            "projects/p/topics/ä",
        ] {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
