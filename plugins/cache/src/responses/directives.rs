//! The directives of `Cache-Control` and of what stands in its place, read strictly. Pure.
//!
//! The crate that knows the semantics reads them by splitting at each comma and only in small letters, so it is given
//! them as they come out here.

use http::HeaderValue;
use std::{fmt::Write as _, time::Duration};

/// Longer than anybody waits; what is beyond counts as this (RFC 9111, section 1.2.2).
const SECONDS_MAX: u64 = 1 << 31;

/// A directive without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    NoStore,
    NoCache,
    Private,
    Public,
    MustRevalidate,
    ProxyRevalidate,
    MustUnderstand,
    OnlyIfCached,
}

const WORDS: [(&str, Word); 8] = [
    ("no-store", Word::NoStore),
    ("no-cache", Word::NoCache),
    ("private", Word::Private),
    ("public", Word::Public),
    ("must-revalidate", Word::MustRevalidate),
    ("proxy-revalidate", Word::ProxyRevalidate),
    ("must-understand", Word::MustUnderstand),
    ("only-if-cached", Word::OnlyIfCached),
];

/// What a request or an answer says of how it is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Directives {
    words: u8,
    pub(super) max_age: Option<u64>,
    pub(super) shared_max_age: Option<u64>,
    pub(super) min_fresh: Option<u64>,
    /// How stale an answer may be; without a number as stale as it likes.
    pub(super) max_stale: Option<u64>,
    pub(super) while_revalidate: Option<u64>,
    pub(super) if_error: Option<u64>,
}

impl Directives {
    /// Those of all lines of a header. Of two numbers the smaller one counts, and one that is none counts as 0: in doubt
    /// an answer is stale.
    pub(super) fn read<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let mut said = Self::default();
        for member in lines.into_iter().flat_map(|line| members(line.as_bytes())) {
            let (name, value) = match member.iter().position(|&byte| byte == b'=') {
                Some(at) => (&member[..at], Some(&member[at + 1..])),
                None => (member, None),
            };
            said.note(name, value);
            if !is_well_formed(member) {
                said.note_what_forbids(member);
            }
        }
        said
    }

    /// Of what is written wrongly, each word that forbids something: in doubt an answer is not kept.
    fn note_what_forbids(&mut self, member: &[u8]) {
        for piece in member.split(|&byte| !is_token(byte)) {
            let forbids = [Word::NoStore, Word::NoCache, Word::Private];
            let found = WORDS.iter().find(|(word, _)| piece.eq_ignore_ascii_case(word.as_bytes()));
            if let Some((_, word)) = found.filter(|(_, word)| forbids.contains(word)) {
                self.say(*word);
            }
        }
    }

    fn note(&mut self, name: &[u8], value: Option<&[u8]>) {
        let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
        if let Some((_, word)) = WORDS.iter().find(|(word, _)| is(word)) {
            return self.say(*word); // one that names fields counts for the whole answer, which is allowed and simple
        }
        let (number, without) = match name.first().map(u8::to_ascii_lowercase) {
            Some(b'm') if is("max-age") => (&mut self.max_age, 0),
            Some(b'm') if is("min-fresh") => (&mut self.min_fresh, SECONDS_MAX),
            Some(b'm') if is("max-stale") => (&mut self.max_stale, SECONDS_MAX),
            Some(b's') if is("s-maxage") => (&mut self.shared_max_age, 0),
            Some(b's') if is("stale-while-revalidate") => (&mut self.while_revalidate, 0),
            Some(b's') if is("stale-if-error") => (&mut self.if_error, 0),
            _ => return, // an extension that we do not know
        };
        let seconds = value.map_or(without, |value| seconds(value).unwrap_or(0));
        *number = Some(number.map_or(seconds, |other| other.min(seconds)));
    }

    pub(super) fn say(&mut self, word: Word) {
        self.words |= 1 << word as u8;
    }

    pub(super) fn says(&self, word: Word) -> bool {
        self.words & (1 << word as u8) != 0
    }

    /// As a header that can be read in one way only. What a shared cache does when an answer is stale stays out.
    pub(super) fn plain(&self) -> String {
        let mut plain = String::new();
        for (name, word) in WORDS {
            if self.says(word) && word != Word::ProxyRevalidate {
                let _ = write!(plain, "{name}, ");
            }
        }
        for (name, seconds) in [("max-age", self.max_age), ("s-maxage", self.shared_max_age)] {
            if let Some(seconds) = seconds {
                let _ = write!(plain, "{name}={seconds}, ");
            }
        }
        plain.truncate(plain.trim_end_matches(", ").len());
        plain
    }
}

/// A name, or one with a value that is a word or in quotes (RFC 9111, section 5.2).
fn is_well_formed(member: &[u8]) -> bool {
    let is_word = |text: &[u8]| !text.is_empty() && text.iter().all(|&byte| is_token(byte));
    let Some(at) = member.iter().position(|&byte| byte == b'=') else { return is_word(member) };
    let (name, value) = (&member[..at], &member[at + 1..]);
    is_word(name) && (is_word(value) || is_quoted(value))
}

fn is_quoted(value: &[u8]) -> bool {
    let Some(mut rest) = value.strip_prefix(b"\"") else { return false };
    loop {
        match rest {
            [b'"'] => return true,
            [b'"', ..] | [] => return false,
            [b'\\', _, after @ ..] | [_, after @ ..] => rest = after,
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A number of seconds as a span.
pub(super) fn span(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(0))
}

/// Digits and nothing else, also in quotes.
pub(super) fn seconds(value: &[u8]) -> Option<u64> {
    let inner = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    let digits = inner.unwrap_or(value);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().unwrap_or(SECONDS_MAX);
    Some(number.min(SECONDS_MAX))
}

/// The members of a list, without those that are empty. A comma in quotes parts nothing.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = line.split(move |&byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
        byte == b',' && !quoted
    });
    parts.map(<[u8]>::trim_ascii).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&'static str]) -> Directives {
        let lines: Vec<_> = lines.iter().map(|line| HeaderValue::from_static(line)).collect();
        Directives::read(&lines)
    }

    #[test]
    fn a_number_in_a_quoted_string_of_an_extension_is_none_of_ours() {
        assert_eq!(read(&["extension=\"max-age=3600, no-store\", max-age=1"]).max_age, Some(1));
        assert_eq!(read(&["max-age=\"1\", extension=\"a\\\", max-age=3600\""]).max_age, Some(1));
        assert!(!read(&["extension=\"no-store\""]).says(Word::NoStore));
        assert!(!read(&["extension=\"a \\\"no-store\\\" b\""]).says(Word::NoStore));
        assert!(!read(&["extension=no-store", "no-store-at-all", "x-private"]).says(Word::NoStore));
    }

    #[test]
    fn what_is_written_wrongly_forbids_what_its_words_forbid() {
        for odd in
            ["private;", "private; max-age=60", "max-age=60;private", "private:1", "x=\"private", "x private"]
        {
            assert!(read(&[odd]).says(Word::Private), "{odd}");
        }
        let both = read(&["no-cache;no-store"]);
        assert!(both.says(Word::NoCache) && both.says(Word::NoStore));
        assert!(!read(&["public; max-age=60"]).says(Word::Public), "what allows is read strictly");
    }

    #[test]
    fn in_doubt_an_answer_is_stale() {
        for odd in
            ["max-age=-1", "max-age='3600'", "max-age=3600.5", "max-age= 3600", "max-age=a3600", "max-age"]
        {
            assert_eq!(read(&[odd]).max_age, Some(0), "{odd}");
        }
        assert_eq!(read(&["max-age=1800", "MAX-age=1"]).max_age, Some(1));
        assert_eq!(read(&["max-age =3600"]).max_age, None);
    }

    #[test]
    fn a_number_may_have_zeros_before_it_and_be_larger_than_any_clock() {
        assert_eq!(read(&["max-age=003600"]).max_age, Some(3_600));
        assert_eq!(read(&["max-age=99999999999999999999999"]).max_age, Some(SECONDS_MAX));
    }

    #[test]
    fn the_plain_form_says_the_same() {
        let said = read(&["No-CaChE=\"a, b\", S-MAXAGE=\"7\" ,, public", "proxy-revalidate, max-age=9"]);
        assert_eq!(said.plain(), "no-cache, public, max-age=9, s-maxage=7");
        assert!(said.says(Word::ProxyRevalidate));
    }
}
