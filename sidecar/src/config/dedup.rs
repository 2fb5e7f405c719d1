//! What is deduplicated, as the program uses it.

use std::{path::PathBuf, time::Duration};

use super::{
    build::Values,
    rules::{Rules, is_loopback},
    settings::SETTINGS,
    units::duration_text,
};

/// Events that come again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedup {
    /// How long they are known.
    pub window: Duration,
    /// What becomes of another payload under a known name.
    pub conflict: Conflict,
    /// What the marks may take of memory.
    pub bytes_max: usize,
    /// Where replicas share them; none is the journal.
    pub redis: Option<Redis>,
}

/// What becomes of another payload under a known name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// It is delivered.
    Deliver,
    /// It becomes a dead letter.
    Reject,
    /// It is dropped.
    Drop,
}

/// A store that replicas share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Where.
    pub url: String,
    /// As whom.
    pub username: Option<String>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// The authorities of TLS; none are the system's.
    pub ca: Option<PathBuf>,
    /// How long a question may take.
    pub timeout: Duration,
    /// What each key begins with.
    pub prefix: String,
}

impl Values {
    pub(super) fn dedup(&self) -> Option<Dedup> {
        let of_redis = |name: &str| format!("cache.dedup.redis.{name}");
        let redis = self.some_text(&of_redis("url")).map(|url| Redis {
            url,
            username: self.some_text(&of_redis("username")),
            password_file: self.some_file(&of_redis("password_file")),
            ca: self.some_file(&of_redis("ca_file")),
            timeout: self.span(&of_redis("timeout")),
            prefix: self.text(&of_redis("prefix")),
        });
        Some(Dedup {
            window: self.some_span("cache.dedup.window")?,
            conflict: match self.word("cache.dedup.conflict") {
                "reject" => Conflict::Reject,
                "drop" => Conflict::Drop,
                _ => Conflict::Deliver,
            },
            bytes_max: self.size("cache.dedup.bytes_max"),
            redis,
        })
    }
}

/// What needs the rest of the configuration.
pub(super) fn check(rules: &mut Rules<'_>) {
    let window_key = "cache.dedup.window";
    let Some(dedup) = &rules.config.dedup else {
        off(rules, "cache.dedup.", "cache.dedup.window, such as 1h,");
        return;
    };
    let (window, age_key) = (dedup.window, "journal.marks_age_max");
    let age_max = rules.config.journal.marks_age_max;
    if dedup.redis.is_none() && window > age_max && rules.are_read(&[window_key, age_key]) {
        let at = rules.given([window_key, age_key]);
        let found = format!("{window_key} {}", duration_text(window));
        rules.wrong(at, found, format!("at most {age_key}, which is {}", duration_text(age_max)));
    }
    let Some(redis) = &dedup.redis else {
        for name in ["username", "password_file", "ca_file", "timeout", "prefix"] {
            let key = format!("cache.dedup.redis.{name}");
            if rules.is_given(&key) && rules.differs(&key) {
                rules.wrong(
                    &key,
                    "no cache.dedup.redis.url",
                    "the store's URL beside it; or none of cache.dedup.redis",
                );
            }
        }
        return;
    };
    let url_key = "cache.dedup.redis.url";
    let rest = redis.url.strip_prefix("redis://");
    let is_here = rest.is_some_and(is_this_machine);
    if rest.is_none() && !redis.url.starts_with("rediss://") && rules.are_read(&[url_key]) {
        rules.wrong(url_key, "another scheme", "redis://HOST:PORT or rediss://HOST:PORT");
    } else if !is_place(&redis.url) && rules.are_read(&[url_key]) {
        let found = "something else behind the host"; // not the URL, in which a password may stand
        rules.wrong(
            url_key,
            found,
            "redis://HOST:PORT/DATABASE, the database a number and nothing behind it",
        );
    } else if rest.is_some() && !is_here && redis.password_file.is_some() && rules.are_read(&[url_key]) {
        let found = "redis:// to another machine, which shows the password to everybody on the way";
        rules.wrong(url_key, found, "rediss://; or no password_file");
    }
}

/// What is given below `section` although what turns it on is not.
pub(super) fn off(rules: &mut Rules<'_>, section: &str, switch: &str) {
    let mut below = SETTINGS.iter().map(|setting| setting.path).filter(|path| path.starts_with(section));
    let key = below.find(|key| rules.differs(key));
    if let Some(key) = key.filter(|_| rules.are_read(&[section.trim_end_matches('.')])) {
        rules.wrong(
            key,
            "a setting of what is off",
            format!("{switch} beside it, which turns it on; or no {key}"),
        );
    }
}

/// Whether behind the host stands nothing, or the number of a database.
fn is_place(url: &str) -> bool {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    let database = place.split_once('/').map(|(_, database)| database);
    !place.contains(['?', '#'])
        && database.is_none_or(|text| text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_this_machine(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Purpose, env::Nothing, reading};

    fn read(text: &str) -> Result<Option<Dedup>, String> {
        let text = format!("function: {{url: http://127.0.0.1:1}}\n{text}");
        let read = reading(&Nothing, "f.yaml", &text, &[], Purpose::Look);
        read.map(|read| read.config.dedup).map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_off_until_a_window_turns_it_on() {
        assert_eq!(read("").unwrap(), None);
        let dedup = read("cache: {dedup: {window: 10m, conflict: reject}}").unwrap().unwrap();
        assert_eq!((dedup.window, dedup.conflict), (Duration::from_mins(10), Conflict::Reject));
        assert!(read("cache: {dedup: {conflict: drop}}").unwrap_err().contains("which turns it on"));
    }

    #[test]
    fn a_window_is_within_what_the_journal_keeps_unless_replicas_share_one() {
        let long = "journal: {marks_age_max: 1h}\ncache: {dedup: {window: 2h";
        let error = read(&format!("{long}}}}}")).unwrap_err();
        assert!(error.contains("at most journal.marks_age_max, which is 1h"), "{error}");
        read(&format!("{long}, redis: {{url: \"redis://store.internal:6379/1\"}}}}}}")).unwrap();
    }

    #[test]
    fn a_password_goes_to_no_other_machine_in_the_clear() {
        let with = |url: &str| {
            read(&format!("cache: {{dedup: {{window: 1h, redis: {{url: \"{url}\", password_file: f}}}}}}"))
        };
        for good in
            ["redis://127.0.0.1:6379", "redis://[::1]:6379/2", "redis://localhost", "rediss://store.internal"]
        {
            with(good).unwrap();
        }
        assert!(with("redis://store.internal:6379").unwrap_err().contains("on the way"));
        assert!(with("redis://store@127.0.0.1.example").unwrap_err().contains("on the way"));
        assert!(with("http://127.0.0.1").unwrap_err().contains("redis://"));
        let error = read("cache: {dedup: {window: 1h, redis: {username: u}}}").unwrap_err();
        assert!(error.contains("no cache.dedup.redis.url"), "{error}");
        let error = read("cache: {dedup: {window: 1h, redis: {timeout: 1s}}}").unwrap_err();
        assert!(error.contains("no cache.dedup.redis.url"), "{error}");
    }

    #[test]
    fn behind_the_store_stands_the_number_of_a_database_and_nothing_else() {
        let at = |rest: &str| {
            read(&format!("cache: {{dedup: {{window: 1h, redis: {{url: \"redis://h:1{rest}\"}}}}}}"))
        };
        for good in ["", "/", "/0", "/15"] {
            at(good).unwrap();
        }
        for bad in ["/-1", "/0?foo=bar", "?foo", "/a", "/0/1"] {
            assert!(at(bad).unwrap_err().contains("the database a number"), "{bad}");
        }
    }
}
