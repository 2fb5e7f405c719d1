//! The way to Pub/Sub: the project, the endpoint, and who we say that we are.

use google_cloud_auth::credentials::{
    self, anonymous, external_account, impersonated, service_account, user_account,
};
use outrigger_core::{Error, Kind, Result};
use serde_json::Value;

/// Who we say that we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// By Google's default chain: `GOOGLE_APPLICATION_CREDENTIALS`, the file of `gcloud auth`, else the metadata server,
    /// which workload identity answers too.
    Default,
    /// What a file of credentials holds, as JSON: a service account's key, a federated identity's configuration, an
    /// impersonation or a user's.
    Json(String),
    /// Nobody, as a local server wants it.
    Anonymous,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Default => "Default",
            Self::Json(_) => "Json(…)",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// The way to Pub/Sub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The project of names that say none.
    pub project: Option<String>,
    /// `http(s)://host:port` of another endpoint than Google's own: a region's, or a local server.
    pub endpoint: Option<String>,
    /// Who we say that we are.
    pub credentials: Credentials,
}

impl Link {
    /// The local server at `host:port`, as `PUBSUB_EMULATOR_HOST` names it.
    #[must_use]
    pub fn emulator(host: &str, project: Option<&str>) -> Self {
        let host = host.strip_prefix("http://").unwrap_or(host);
        Self {
            project: project.map(str::to_owned),
            endpoint: Some(format!("http://{host}")),
            credentials: Credentials::Anonymous,
        }
    }

    /// The whole name, such as `projects/P/subscriptions/S`, of one that may be short.
    ///
    /// # Errors
    /// `Invalid` when it is neither a whole name nor a short one with a project beside it.
    pub fn name(&self, collection: &str, given: &str) -> Result<String> {
        let wrong = |why: String| Err(Error::new(Kind::Invalid, why));
        match given.split('/').collect::<Vec<_>>()[..] {
            ["projects", project, of, name] if of == collection && !project.is_empty() && is_name(name) => {
                Ok(given.to_owned())
            }
            [name] if is_name(name) => match &self.project {
                Some(project) => Ok(format!("projects/{project}/{collection}/{name}")),
                None => wrong(format!(
                    "pubsub.project: nothing; a project for {given:?}, or its whole name projects/P/{collection}/{given}"
                )),
            },
            _ => wrong(format!("{given:?} is no name: NAME or projects/PROJECT/{collection}/NAME")),
        }
    }

    /// Whether Google's libraries take the credentials. Asks nobody; needs a runtime of tokio.
    ///
    /// # Errors
    /// `Invalid` with what is wrong.
    pub fn check(&self) -> Result<()> {
        self.credentials().map(drop)
    }

    /// The credentials that clients are made with.
    pub(crate) fn credentials(&self) -> Result<credentials::Credentials> {
        let built = match &self.credentials {
            Credentials::Anonymous => return Ok(anonymous::Builder::new().build()),
            Credentials::Default => credentials::Builder::default().build(),
            Credentials::Json(text) => {
                let json: Value = serde_json::from_str(text).map_err(|error| {
                    Error::new(Kind::Invalid, format!("pubsub.credentials_file: no JSON: {error}"))
                })?;
                match json.get("type").and_then(Value::as_str) {
                    Some("service_account") => service_account::Builder::new(json).build(),
                    Some("external_account") => external_account::Builder::new(json).build(),
                    Some("impersonated_service_account") => impersonated::Builder::new(json).build(),
                    Some("authorized_user") => user_account::Builder::new(json).build(),
                    other => {
                        let found = other.unwrap_or("nothing");
                        return Err(Error::new(
                            Kind::Invalid,
                            format!(
                                "pubsub.credentials_file: its \"type\" is {found}; service_account, external_account, \
                                 impersonated_service_account or authorized_user"
                            ),
                        ));
                    }
                }
            }
        };
        built.map_err(|error| {
            let whence = match self.credentials {
                Credentials::Json(_) => "pubsub.credentials_file",
                _ => "pubsub.credentials_file is none, and Google's default chain",
            };
            Error::new(Kind::Invalid, format!("{whence}: {}", crate::trouble::chain(&error)))
        })
    }
}

/// What Pub/Sub allows: 3 to 255 characters, the first of them a letter; not `goog…`.
fn is_name(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.starts_with("goog")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.~+%".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_with_a_project_or_whole() {
        let with = Link::emulator("localhost:1", Some("p"));
        let without = Link::emulator("localhost:1", None);
        let name = |link: &Link, given: &str| link.name("subscriptions", given).ok();
        assert_eq!(name(&with, "orders").as_deref(), Some("projects/p/subscriptions/orders"));
        assert_eq!(name(&without, "orders"), None);
        let whole = "projects/other/subscriptions/orders";
        assert_eq!(name(&with, whole).as_deref(), Some(whole));
        assert_eq!(name(&without, whole).as_deref(), Some(whole));
        for wrong in ["", "ab", "1orders", "google-orders", "a/b", "projects/p/topics/orders", "or ders"] {
            assert_eq!(name(&with, wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_file_of_credentials_says_what_it_is() {
        let link = |json: &str| Link {
            credentials: Credentials::Json(json.to_owned()),
            ..Link::emulator("localhost:1", None)
        };
        for (json, expected) in [
            ("{", "no JSON"),
            ("{}", "nothing"),
            ("{\"type\": \"robot\"}", "robot"),
            ("{\"type\": \"service_account\"}", "pubsub.credentials_file"),
        ] {
            let error = link(json).check().unwrap_err();
            assert!(error.message().contains(expected), "{error}");
        }
    }
}
