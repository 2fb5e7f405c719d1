//! What somebody may send: small rules from claims or a certificate to paths, sources and types. Pure.
//!
//! A rule is about those whom all of its first half fits, and allows what all of its second half fits; what a rule does
//! not name fits always. What no rule allows is refused. There is no rule that forbids: order does not count.

use super::{
    denial::{Denial, Why},
    glob::Glob,
    identity::{Identity, PeerPattern},
};
use serde_json::{Number, Value};
use std::sync::Arc;

/// One rule. Every empty list fits anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Claims of a token by name (or JSON pointer), each with what it may be. See [`super::jwt::Claims::any`].
    pub claims: Vec<(String, Vec<Wanted>)>,
    /// Client certificates.
    pub certificates: Vec<PeerPattern>,
    /// Methods, as [`Identity::method`] names them.
    pub methods: Vec<String>,
    /// Paths of requests.
    pub paths: Vec<Glob>,
    /// The attribute `source`.
    pub sources: Vec<Glob>,
    /// The attribute `type`.
    pub types: Vec<Glob>,
}

/// What a claim, or of a list one of its members, may be. Each fits its own kind alone: `true` is not `"true"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This flag.
    Flag(bool),
    /// A number of this value; how it is written does not count.
    Number(Number),
    /// A text that fits.
    Text(Glob),
}

impl Wanted {
    fn is(&self, claim: &Value) -> bool {
        match (self, claim) {
            (Self::Flag(wanted), Value::Bool(flag)) => wanted == flag,
            (Self::Number(wanted), Value::Number(number)) => {
                let whole = |number: &Number| number.as_i128();
                match (whole(wanted), whole(number)) {
                    (Some(wanted), Some(number)) => wanted == number,
                    _ => wanted.as_f64() == number.as_f64(),
                }
            }
            (Self::Text(wanted), Value::String(text)) => wanted.fits(text),
            _ => false,
        }
    }
}

/// All rules of a listener. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rules(Arc<[Rule]>);

/// What somebody may send to a path.
#[derive(Debug, Clone)]
pub struct Allowed {
    rules: Arc<[Rule]>,
    about: Vec<usize>,
}

impl Rules {
    /// The rules of one listener. Without any, nobody may do anything.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into())
    }

    /// What this one may send to `path` (of a URI, as it was sent, without its query).
    ///
    /// # Errors
    /// As [`Rules::about_all`].
    pub fn about(&self, who: &Identity, path: &str) -> Result<Allowed, Denial> {
        self.about_all(&[who], path)
    }

    /// The same for one who is known in several ways: each part of a rule may be fitted by another of them.
    ///
    /// Where a rule names paths, one that another reader may take for a different one (`/a/../b`, `//b`, `%2e`) is
    /// refused: a function that resolves it would be reached by a path that no rule saw.
    ///
    /// # Errors
    /// [`Why::Rule`] when no rule allows anything.
    pub fn about_all(&self, who: &[&Identity], path: &str) -> Result<Allowed, Denial> {
        if self.0.iter().any(|rule| !rule.paths.is_empty()) && !is_plain(path) {
            let detail =
                format!("the path {:?} could be read as another one, and rules name paths", cut(path));
            return Err(Denial::new(Why::Rule, detail));
        }
        let about = |rule: &Rule| rule.is_about(who) && (rule.paths.is_empty() || any(&rule.paths, path));
        let about: Vec<_> =
            self.0.iter().enumerate().filter(|(_, rule)| about(rule)).map(|(index, _)| index).collect();
        if about.is_empty() {
            return Err(Denial::new(
                Why::Rule,
                format!("no rule allows this sender the path {:?}", cut(path)),
            ));
        }
        Ok(Allowed { rules: self.0.clone(), about })
    }
}

impl Allowed {
    /// Whether an event of this source and type may be sent.
    ///
    /// # Errors
    /// [`Why::Rule`] when no rule says so.
    pub fn event(&self, source: &str, ty: &str) -> Result<(), Denial> {
        let allows = |rule: &Rule| {
            (rule.sources.is_empty() || any(&rule.sources, source))
                && (rule.types.is_empty() || any(&rule.types, ty))
        };
        if self.about.iter().any(|index| allows(&self.rules[*index])) {
            return Ok(());
        }
        let (source, ty) = (cut(source), cut(ty));
        let detail = format!("no rule allows this sender events of source {source:?} and type {ty:?}");
        Err(Denial::new(Why::Rule, detail))
    }

    /// Whether a request may be sent that is no event: a rule that names sources or types is not about those.
    ///
    /// # Errors
    /// [`Why::Rule`] when no rule says so.
    pub fn request(&self) -> Result<(), Denial> {
        let told = "every rule for this sender and path is about events, and the request is none";
        if self.whatever_it_is() { Ok(()) } else { Err(Denial::new(Why::Rule, told)) }
    }

    /// Whether an event may be sent of which only the data is known to be the sender's: what it says of its source and
    /// type fits no rule.
    ///
    /// # Errors
    /// [`Why::Rule`] when every rule asks for them.
    pub fn data(&self) -> Result<(), Denial> {
        let told = "every rule for this sender and path asks for sources or types, and the headers that name them are \
                    not signed; send the event in the structured mode";
        if self.whatever_it_is() { Ok(()) } else { Err(Denial::new(Why::Rule, told)) }
    }

    fn whatever_it_is(&self) -> bool {
        let allows = |rule: &Rule| rule.sources.is_empty() && rule.types.is_empty();
        self.about.iter().any(|index| allows(&self.rules[*index]))
    }
}

impl Rule {
    fn is_about(&self, who: &[&Identity]) -> bool {
        let by_method = self.methods.is_empty()
            || who.iter().any(|who| self.methods.iter().any(|method| method == who.method()));
        let has = |name: &str, wanted: &[Wanted]| {
            who.iter().any(|who| match who {
                Identity::Token(claims) => claims.any(name, |claim| wanted.iter().any(|it| it.is(claim))),
                _ => false,
            })
        };
        let by_claims = self.claims.iter().all(|(name, wanted)| has(name, wanted));
        let by_certificate = self.certificates.is_empty()
            || who.iter().any(|who| match who {
                Identity::Certificate(peer) => self.certificates.iter().any(|pattern| pattern.fits(peer)),
                _ => false,
            });
        by_method && by_claims && by_certificate
    }
}

fn any(patterns: &[Glob], text: &str) -> bool {
    patterns.iter().any(|pattern| pattern.fits(text))
}

/// Whether every reader takes the path for the same one: no empty segment, none that goes up or stays, and nothing
/// encoded that may be decoded into one.
fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let mut segments = rest.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let name = segment.split(';').next().unwrap_or_default();
        if (segment.is_empty() && !is_last) || matches!(name, "." | "..") {
            return false;
        }
    }
    let lower = path.to_ascii_lowercase();
    !["%2e", "%2f", "%5c", "%25", "%00", "\\"].iter().any(|hidden| lower.contains(hidden))
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(120).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{auth::jwt::Claims, tls::Peer};
    use proptest::prelude::*;
    use serde_json::json;

    fn token(claims: &[(&str, serde_json::Value)]) -> Identity {
        let claims: Claims = claims.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        Identity::Token(Arc::new(claims))
    }

    fn globs(patterns: &[&str]) -> Vec<Glob> {
        patterns.iter().map(|pattern| Glob::new(pattern)).collect()
    }

    fn claim(name: &str, wanted: Wanted) -> (String, Vec<Wanted>) {
        (name.to_owned(), vec![wanted])
    }

    fn text(pattern: &str) -> Wanted {
        Wanted::Text(Glob::new(pattern))
    }

    fn one(rule: Rule) -> Rules {
        Rules::new(vec![rule])
    }

    #[test]
    fn every_claim_that_a_rule_names_must_fit() {
        let claims = vec![claim("email", text("*@example.com")), claim("email_verified", Wanted::Flag(true))];
        let rules = one(Rule { claims, ..Rule::default() });
        let good = [("email", json!("me@example.com")), ("email_verified", json!(true))];
        assert!(rules.about(&token(&good), "/").is_ok());
        assert!(rules.about(&token(&good[..1]), "/").is_err());
        let other = [("email", json!("me@example.com.evil")), ("email_verified", json!(true))];
        assert!(rules.about(&token(&other), "/").is_err());
        assert!(rules.about(&Identity::Bearer, "/").is_err(), "one without claims has none that fit");
    }

    #[test]
    fn a_claim_may_be_a_list_or_lie_deeper() {
        let who = token(&[
            ("groups", json!(["dev", "ops"])),
            ("kubernetes.io", json!({"serviceaccount": {"name": "orders"}, "a/b": 7})),
        ]);
        for (name, pattern, fits) in [
            ("groups", "ops", true),
            ("groups", "op", false),
            ("/kubernetes.io/serviceaccount/name", "orders", true),
            ("/groups/0", "dev", true),
            ("/kubernetes.io/serviceaccount", "*", false),
            ("kubernetes.io/serviceaccount/name", "orders", false),
            ("/", "*", false),
        ] {
            let rules = one(Rule { claims: vec![claim(name, text(pattern))], ..Rule::default() });
            assert_eq!(rules.about(&who, "/").is_ok(), fits, "{name}: {pattern}");
        }
    }

    #[test]
    fn a_claim_fits_only_what_is_of_its_kind() {
        let number = |text: &str| Wanted::Number(text.parse().unwrap());
        for (wanted, fits, others) in [
            (
                Wanted::Flag(true),
                vec![json!(true), json!(["a", true])],
                vec![json!("true"), json!(false), json!(1)],
            ),
            (Wanted::Flag(false), vec![json!(false)], vec![json!("false"), json!(null), json!(0)]),
            (text("true"), vec![json!("true"), json!(["x", "true"])], vec![json!(true), json!([true])]),
            (
                text("*"),
                vec![json!(""), json!("7")],
                vec![json!(7), json!(true), json!(null), json!({"a": "b"})],
            ),
            (number("7"), vec![json!(7), json!(7.0), json!([7])], vec![json!("7"), json!(8), json!([["7"]])]),
            (number("0.5"), vec![json!(0.5)], vec![json!("0.5"), json!(0)]),
            (
                number("9007199254740993"),
                vec![json!(9_007_199_254_740_993_u64)],
                vec![json!(9_007_199_254_740_992_u64)],
            ),
        ] {
            let rules = one(Rule { claims: vec![claim("c", wanted)], ..Rule::default() });
            let about = |value: &Value| rules.about(&token(&[("c", value.clone())]), "/").is_ok();
            assert!(fits.iter().all(about) && !others.iter().any(about), "{rules:?}");
        }
    }

    #[test]
    fn a_certificate_and_a_method_are_rules_too() {
        let peer = Peer { spiffe_id: Some("spiffe://a/b".to_owned()), ..Peer::default() };
        let certificate = Identity::Certificate(Arc::new(peer));
        let rules = one(Rule {
            certificates: PeerPattern::read("spiffe://a/*").into_iter().collect(),
            ..Rule::default()
        });
        assert!(rules.about(&certificate, "/").is_ok());
        assert!(rules.about(&Identity::Bearer, "/").is_err());
        let rules = one(Rule { methods: vec!["bearer".to_owned()], ..Rule::default() });
        assert!(rules.about(&certificate, "/").is_err());
        assert!(rules.about(&Identity::Bearer, "/").is_ok());
    }

    #[test]
    fn what_one_rule_allows_is_not_mixed_with_another() {
        let to =
            |path: &str, ty: &str| Rule { paths: globs(&[path]), types: globs(&[ty]), ..Rule::default() };
        let rules = Rules::new(vec![to("/a", "com.a.*"), to("/b", "com.b.*"), to("/*", "com.all")]);
        let allowed = |path: &str, ty: &str| {
            rules.about(&Identity::Signer, path).and_then(|allowed| allowed.event("/s", ty)).is_ok()
        };
        assert!(allowed("/a", "com.a.x") && allowed("/b", "com.b.x") && allowed("/b", "com.all"));
        assert!(!allowed("/a", "com.b.x") && !allowed("/c", "com.a.x") && !allowed("/a", "com.a"));
        assert_eq!(rules.about(&Identity::Signer, "x").unwrap_err().why, Why::Rule);
        assert!(Rules::new(Vec::new()).about(&Identity::Signer, "/").is_err());
    }

    #[test]
    fn a_rule_about_events_allows_no_other_request() {
        let allowed =
            |rules: Vec<Rule>| Rules::new(rules).about(&Identity::Bearer, "/").unwrap().request().is_ok();
        let events = Rule { types: globs(&["*"]), ..Rule::default() };
        assert!(!allowed(vec![events.clone(), Rule { sources: globs(&["/a"]), ..Rule::default() }]));
        assert!(allowed(vec![events, Rule { paths: globs(&["/"]), ..Rule::default() }]));
    }

    #[test]
    fn what_is_not_the_senders_own_word_fits_no_rule_that_asks_for_it() {
        let data = |rules: Vec<Rule>| {
            Rules::new(rules).about(&Identity::Signer, "/").unwrap().data().map_err(|no| no.why)
        };
        let events = Rule { types: globs(&["*"]), ..Rule::default() };
        assert_eq!(data(vec![events.clone()]), Err(Why::Rule));
        assert_eq!(data(vec![events, Rule { methods: vec!["hmac".to_owned()], ..Rule::default() }]), Ok(()));
    }

    #[test]
    fn a_path_that_could_be_another_is_refused_where_rules_name_paths() {
        let rules = one(Rule { paths: globs(&["/public/*"]), ..Rule::default() });
        for path in [
            "/public/../admin",
            "/public/./x",
            "/public//x",
            "/public/%2e%2e/admin",
            "/public/..%2Fadmin",
            "/public/%252e%252e/admin",
            "/public/..;/admin",
            "/public/..\\admin",
            "/public/%5c..",
            "*",
        ] {
            assert!(rules.about(&Identity::Signer, path).is_err(), "{path}");
        }
        for path in ["/public/", "/public/a.b/..c", "/public/%20x"] {
            assert!(rules.about(&Identity::Signer, path).is_ok(), "{path}");
        }
        assert!(one(Rule::default()).about(&Identity::Signer, "/a/../b").is_ok(), "no rule names paths");
    }

    proptest! {
        #[test]
        fn a_plain_path_has_no_segment_that_moves(path in "/([a.%2fe/;\\\\]{0,12})") {
            if is_plain(&path) {
                prop_assert!(path.split('/').all(|segment| segment != ".." && segment != "."));
                prop_assert!(!path.contains("//"));
            }
        }
    }
}
