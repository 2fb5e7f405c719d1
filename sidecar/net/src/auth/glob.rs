//! The patterns of rules: a text in which `*` stands for anything, also for nothing. Everything else is itself.

/// A pattern, taken apart once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// What stands between the asterisks; one part is a text without any.
    parts: Vec<String>,
}

impl Glob {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self { parts: pattern.split('*').map(str::to_owned).collect() }
    }

    /// Whether the whole of `text` fits, in time that grows with the product of both lengths at worst. Case counts.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        // The first place where a part fits is as good as any later one: it leaves the most for the others.
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_asterisk_is_anything_and_everything_else_is_itself() {
        for (pattern, fits, others) in [
            ("", &[""][..], &["a"][..]),
            ("a.b", &["a.b"], &["axb", "a.b.c", "A.b", ""]),
            ("*", &["", "a", "a/b*"], &[]),
            ("com.example.*", &["com.example.", "com.example.a.b"], &["com.example", "xcom.example.a"]),
            ("*@example.com", &["me@example.com", "@example.com"], &["me@example.com.evil"]),
            ("/a/*/c*e", &["/a/b/cde", "/a//ce", "/a/x/c/c/e"], &["/a/c/e", "/a/b/cd"]),
            ("aa*aa", &["aaaa", "aabaa"], &["aa", "aaa"]),
        ] {
            for text in fits {
                assert!(Glob::new(pattern).fits(text), "{pattern:?} fits {text:?}");
            }
            for text in others {
                assert!(!Glob::new(pattern).fits(text), "{pattern:?} does not fit {text:?}");
            }
        }
    }

    /// As it is defined, without any cleverness.
    fn by_definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| by_definition(rest, &text[skip..])),
            [c, rest @ ..] => text.first() == Some(c) && by_definition(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn it_fits_what_its_definition_says(pattern in "[ab*]{0,8}", text in "[ab]{0,10}") {
            prop_assert_eq!(Glob::new(&pattern).fits(&text), by_definition(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn no_text_makes_it_panic(pattern in "\\PC*", text in "\\PC*") {
            let _ = Glob::new(&pattern).fits(&text);
        }
    }
}
