//! Of what is kept: what keeps nothing, or keeps for more than may be meant.

use crate::config::{Config, Tenant};

/// The setting's name, and what.
pub(super) fn warnings(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    [tenants(config), results(config)].into_iter().flatten()
}

/// Of answers that are kept for each subject, where all senders are one.
fn tenants(config: &Config) -> Option<(&'static str, String)> {
    let by_subject = config.responses.as_ref().is_some_and(|responses| responses.tenant == Tenant::Subject);
    let is_one = config.proxy.as_ref().is_some_and(|proxy| proxy.auth.ways() == ["bearer_file"]);
    let told = "subject, and all that proxy.auth knows is one token, so that everybody is one subject and answers are \
                kept for all of them together; name oidc or certificates at proxy.auth, or tenant: header";
    (by_subject && is_one).then(|| ("cache.responses.tenant", told.to_owned()))
}

/// Of results that are never kept: without anybody who takes a reply, an answer is nothing.
fn results(config: &Config) -> Option<(&'static str, String)> {
    let keeps_nothing = config.results.as_ref().is_some_and(|results| !results.keep_empty);
    let to = &config.replies;
    let is_taken = to.kafka_topic.is_some()
        || to.pubsub_topic.is_some()
        || to.eventgrid.is_some()
        || to.url.is_some()
        || config.ingress.http.as_ref().is_some_and(|http| http.sync);
    let told = "no reply goes anywhere, and an answer without one is no result, so none is kept; name a place at replies, \
                have senders wait (ingress.http.sync), or say cache.results.keep_empty: true";
    (keeps_nothing && !is_taken).then(|| ("cache.results", told.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Nothing, Purpose, read};

    fn warned(text: &str) -> Vec<&'static str> {
        let config = read(&Nothing, "f", text, &[], Purpose::Look);
        warnings(&config.unwrap_or_else(|problems| panic!("{problems}"))).map(|(key, _)| key).collect()
    }

    #[test]
    fn results_that_are_never_kept_are_warned_of() {
        let results = "cache: {results: {key: /data/q}}\n";
        assert_eq!(warned(results), ["cache.results"]);
        for taken in [
            "cache: {results: {key: /data/q, keep_empty: true}}\n".to_owned(),
            format!("{results}ingress: {{http: {{sync: true}}}}\n"),
            format!("{results}replies: {{url: http://127.0.0.1:1/}}\n"),
        ] {
            assert_eq!(warned(&taken), [""; 0], "{taken}");
        }
    }
}
