//! Which of the clients that an authority vouches for may connect.

use super::peer::{Peer, is_spiffe_id};

/// Who may connect, by the certificate. Both lists empty: everybody whom an authority vouches for.
///
/// A client that one entry of either list names may connect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// Whole subjects as in [`Peer::subject`].
    pub subjects: Vec<String>,
    /// SPIFFE ids; one that ends in `/*` stands for every id below it. Each is one that [`Rules::is_spiffe`] takes.
    pub spiffe_ids: Vec<String>,
}

impl Rules {
    /// Whether `peer` may connect.
    #[must_use]
    pub fn allow(&self, peer: &Peer) -> bool {
        let anybody = self.subjects.is_empty() && self.spiffe_ids.is_empty();
        let by_id =
            peer.spiffe_id.as_deref().is_some_and(|id| self.spiffe_ids.iter().any(|rule| covers(rule, id)));
        anybody || by_id || self.subjects.contains(&peer.subject)
    }

    /// Whether `rule` can stand in [`Rules::spiffe_ids`].
    #[must_use]
    pub fn is_spiffe(rule: &str) -> bool {
        is_spiffe_id(rule.strip_suffix("/*").unwrap_or(rule))
    }
}

fn covers(rule: &str, id: &str) -> bool {
    match rule.strip_suffix('*') {
        // The slash stays: spiffe://a/b/* is not spiffe://a/bc.
        Some(above) => id.strip_prefix(above).is_some_and(|below| !below.is_empty()),
        None => rule == id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(subject: &str, id: Option<&str>) -> Peer {
        Peer { subject: subject.to_owned(), spiffe_id: id.map(str::to_owned), ..Peer::default() }
    }

    #[test]
    fn without_rules_everybody_is_allowed_whom_an_authority_vouches_for() {
        assert!(Rules::default().allow(&peer("", None)));
    }

    #[test]
    fn a_subject_is_compared_whole_and_an_id_by_its_path() {
        let rules = Rules {
            subjects: vec!["CN=a,O=b".to_owned()],
            spiffe_ids: vec!["spiffe://d/ns/x/*".to_owned(), "spiffe://d/one".to_owned()],
        };
        for (subject, id, expected) in [
            ("CN=a,O=b", None, true),
            ("CN=a", None, false),
            ("CN=a\\,O=b", None, false),
            ("", None, false),
            ("CN=z", Some("spiffe://d/ns/x/y"), true),
            ("CN=z", Some("spiffe://d/ns/x/y/z"), true),
            ("CN=z", Some("spiffe://d/ns/x"), false),
            ("CN=z", Some("spiffe://d/ns/xy"), false),
            ("CN=z", Some("spiffe://d/one"), true),
            ("CN=z", Some("spiffe://d/one/more"), false),
            ("CN=z", Some("spiffe://e/one"), false),
        ] {
            assert_eq!(rules.allow(&peer(subject, id)), expected, "{subject:?} {id:?}");
        }
    }

    #[test]
    fn a_rule_is_a_spiffe_id_or_all_below_one() {
        for good in ["spiffe://d", "spiffe://d/*", "spiffe://d/a/*", "spiffe://d/a"] {
            assert!(Rules::is_spiffe(good), "{good}");
        }
        for bad in [
            "",
            "*",
            "spiffe://",
            "spiffe://D",
            "spiffe://*",
            "spiffe://d/a*",
            "spiffe://d/../x",
            "https://d",
        ] {
            assert!(!Rules::is_spiffe(bad), "{bad}");
        }
    }
}
