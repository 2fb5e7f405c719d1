//! Patterns of LIKE: `%` is any number of characters, `_` is one, and `\%` and `\_` are these themselves.
//!
//! A pattern is a list of segments that lie between its `%`. The first begins where the text begins, the last ends where
//! it ends, and each in between is looked for once, at the first place where it fits: since a segment has a fixed number of
//! characters, a later place could only leave less room. So nothing is ever tried again, and no pattern is slow.

/// One piece of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    /// Exactly this text, which is never empty.
    Text(Box<str>),
    /// Any one character.
    One,
}

/// A pattern, ready to be matched. It has one segment more than it had `%`, of which several in a row are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pattern {
    segments: Box<[Box<[Piece]>]>,
}

impl Pattern {
    /// Reads what a literal says. Every text is a pattern; a `\` before anything but `%` and `_` is itself.
    pub(crate) fn new(literal: &str) -> Self {
        let (mut segments, mut segment, mut text) = (Vec::new(), Vec::new(), String::new());
        let close = |text: &mut String, segment: &mut Vec<Piece>| {
            if !text.is_empty() {
                segment.push(Piece::Text(std::mem::take(text).into_boxed_str()));
            }
        };
        let mut characters = literal.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => text.push(characters.next_if(|next| matches!(next, '%' | '_')).unwrap_or('\\')),
                '_' => {
                    close(&mut text, &mut segment);
                    segment.push(Piece::One);
                }
                '%' => {
                    close(&mut text, &mut segment);
                    // An empty segment in the middle says nothing.
                    if segments.is_empty() || !segment.is_empty() {
                        segments.push(std::mem::take(&mut segment).into_boxed_slice());
                    }
                }
                other => text.push(other),
            }
        }
        close(&mut text, &mut segment);
        segments.push(segment.into_boxed_slice());
        Self { segments: segments.into_boxed_slice() }
    }

    /// What begins with `text`, whatever characters are in it.
    pub(crate) fn prefix(text: &str) -> Self {
        Self { segments: [plain(text), plain("")].into() }
    }

    /// What ends with `text`, whatever characters are in it.
    pub(crate) fn suffix(text: &str) -> Self {
        Self { segments: [plain(""), plain(text)].into() }
    }

    /// Whether the whole of `text` fits. Takes time in proportion to the lengths of both, multiplied.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let Some((first, others)) = self.segments.split_first() else { return text.is_empty() };
        let Some(mut rest) = strip_start(first, text) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for segment in middle {
            match after(segment, rest) {
                Some(left) => rest = left,
                None => return false,
            }
        }
        ends_with(last, rest)
    }

    /// The literal that says it.
    pub(crate) fn literal(&self) -> String {
        let mut literal = String::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if index > 0 {
                literal.push('%');
            }
            for piece in segment {
                match piece {
                    Piece::One => literal.push('_'),
                    Piece::Text(text) => literal.push_str(&text.replace('%', "\\%").replace('_', "\\_")),
                }
            }
        }
        literal
    }
}

fn plain(text: &str) -> Box<[Piece]> {
    if text.is_empty() { [].into() } else { [Piece::Text(text.into())].into() }
}

/// What follows the segment, where the text begins with it.
fn strip_start<'t>(segment: &[Piece], text: &'t str) -> Option<&'t str> {
    segment.iter().try_fold(text, |rest, piece| match piece {
        Piece::Text(text) => rest.strip_prefix(&**text),
        Piece::One => {
            let mut characters = rest.chars();
            characters.next()?;
            Some(characters.as_str())
        }
    })
}

fn ends_with(segment: &[Piece], text: &str) -> bool {
    let before = segment.iter().rev().try_fold(text, |rest, piece| match piece {
        Piece::Text(text) => rest.strip_suffix(&**text),
        Piece::One => {
            let mut characters = rest.chars();
            characters.next_back()?;
            Some(characters.as_str())
        }
    });
    before.is_some()
}

/// What follows the segment at the first place where it fits.
fn after<'t>(segment: &[Piece], text: &'t str) -> Option<&'t str> {
    if let [Piece::Text(needle)] = segment {
        let at = text.find(&**needle)?;
        return Some(&text[at + needle.len()..]);
    }
    let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.find_map(|at| strip_start(segment, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, by trying everything.
    fn by_definition(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            (['\\', wildcard @ ('%' | '_'), pattern @ ..], [first, text @ ..]) => {
                wildcard == first && by_definition(pattern, text)
            }
            (['%', rest @ ..], text) => (0..=text.len()).any(|from| by_definition(rest, &text[from..])),
            (['_', pattern @ ..], [_, text @ ..]) => by_definition(pattern, text),
            ([wanted, pattern @ ..], [first, text @ ..]) => wanted == first && by_definition(pattern, text),
            ([], text) => text.is_empty(),
            (_, []) => false,
        }
    }

    #[test]
    fn a_prefix_and_a_suffix_are_taken_as_they_are() {
        assert!(Pattern::prefix("a%_\\").matches("a%_\\b"));
        assert!(!Pattern::prefix("a%").matches("ab"));
        assert!(Pattern::suffix("_b").matches("a_b"));
        assert!(!Pattern::suffix("_b").matches("aab"));
    }

    #[test]
    fn one_text_serves_no_two_segments() {
        assert!(!Pattern::new("ab%b").matches("ab"));
        assert!(!Pattern::new("%aa%a").matches("aa"));
        assert!(Pattern::new("%aa%a").matches("aaa"));
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        assert!(Pattern::new("_€_").matches("😀€ß"));
        assert!(!Pattern::new("__").matches("€"));
    }

    #[test]
    fn a_pattern_that_is_made_to_be_slow_is_not() {
        let text = "a".repeat(20_000);
        assert!(!Pattern::new(&"%a".repeat(5_000)).matches(&format!("{text}b")));
        assert!(Pattern::new(&format!("{}%", "%_a".repeat(5_000))).matches(&text));
    }

    proptest! {
        #[test]
        fn it_is_what_the_definition_says(pattern in "[ab%_\\\\]{0,8}", text in "[ab%_\\\\]{0,10}") {
            let characters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Pattern::new(&pattern).matches(&text), by_definition(&characters(&pattern), &characters(&text)));
        }

        #[test]
        fn its_literal_says_the_same(pattern in "[ab%_\\\\]{0,10}") {
            let read = Pattern::new(&pattern);
            prop_assert_eq!(Pattern::new(&read.literal()), read);
        }
    }
}
