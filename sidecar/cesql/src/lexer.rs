//! From text to tokens.

use std::borrow::Cow;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'t> {
    /// A literal text, without its quotes, and with its own kind of quote in place of `\` and the quote.
    Text(Cow<'t, str>),
    /// Digits.
    Digits(&'t str),
    /// A keyword.
    Keyword(Keyword),
    /// The name of an attribute or a function: letters, digits and `_`.
    Word(&'t str),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// A text whose closing quote is missing.
    Unclosed,
    /// What means nothing here.
    Other(char),
    /// Nothing follows.
    End,
}

/// A word with a meaning of its own, in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    And,
    Or,
    Xor,
    Not,
    Like,
    Exists,
    In,
    True,
    False,
}

const KEYWORDS: [(&str, Keyword); 9] = [
    ("AND", Keyword::And),
    ("OR", Keyword::Or),
    ("XOR", Keyword::Xor),
    ("NOT", Keyword::Not),
    ("LIKE", Keyword::Like),
    ("EXISTS", Keyword::Exists),
    ("IN", Keyword::In),
    ("TRUE", Keyword::True),
    ("FALSE", Keyword::False),
];

/// Longer ones before those that they begin with.
const SYMBOLS: [&str; 15] = ["!=", "<>", "<=", ">=", "=", "<", ">", "+", "-", "*", "/", "%", "(", ")", ","];

/// A token with its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spanned<'t> {
    pub(crate) token: Token<'t>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The token that begins at `from` or, after blanks, behind it.
pub(crate) fn token(text: &str, from: usize) -> Spanned<'_> {
    let rest = text[from..].trim_start_matches([' ', '\t', '\r', '\n']);
    let start = text.len() - rest.len();
    let (token, length) = match rest.chars().next() {
        None => (Token::End, 0),
        Some(quote @ ('\'' | '"')) => literal(rest, quote),
        Some(first) if first.is_ascii_alphanumeric() || first == '_' => word(rest),
        Some(first) => match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => (Token::Symbol(symbol), symbol.len()),
            None => (Token::Other(first), first.len_utf8()),
        },
    };
    Spanned { token, start, end: start + length }
}

fn word(rest: &str) -> (Token<'_>, usize) {
    let length = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    let word = &rest[..length];
    let keyword = KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    let token = match keyword {
        Some((_, keyword)) => Token::Keyword(*keyword),
        None if word.bytes().all(|byte| byte.is_ascii_digit()) => Token::Digits(word),
        None => Token::Word(word),
    };
    (token, length)
}

/// A `\` keeps the character behind it from ending the text. It is itself part of the text unless that is the quote.
fn literal(rest: &str, quote: char) -> (Token<'_>, usize) {
    let inner = &rest[1..];
    let (mut read, mut copied, mut escaped) = (Cow::Borrowed(""), 0, false);
    for (at, character) in inner.char_indices() {
        if std::mem::take(&mut escaped) {
            if character == quote {
                read.to_mut().push_str(&inner[copied..at - 1]);
                copied = at;
            }
        } else if character == '\\' {
            escaped = true;
        } else if character == quote {
            let last = &inner[copied..at];
            match &mut read {
                Cow::Borrowed(_) => read = Cow::Borrowed(last),
                Cow::Owned(read) => read.push_str(last),
            }
            return (Token::Text(read), at + 2);
        }
    }
    (Token::Unclosed, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut from = 0;
        std::iter::from_fn(|| {
            let found = token(text, from);
            from = found.end;
            (found.token != Token::End).then_some(found.token)
        })
        .collect()
    }

    #[test]
    fn a_text_keeps_every_backslash_but_those_of_its_own_quote() {
        for (written, read) in [
            (r"'a\'b'", "a'b"),
            (r#""a\"b""#, "a\"b"),
            (r#"'a\"b'"#, "a\\\"b"),
            (r"'a\%\_\c'", r"a\%\_\c"),
            (r"'a\\'", r"a\\"),
            (r"'\\\''", r"\\'"),
            ("''", ""),
            ("'€\n'", "€\n"),
        ] {
            assert_eq!(tokens(written), [Token::Text(read.into())], "{written}");
        }
        assert_eq!(tokens(r"'a\'"), [Token::Unclosed]);
    }

    #[test]
    fn words_symbols_and_numbers_need_no_blanks() {
        use Token::{Digits, Symbol, Word};
        assert_eq!(
            tokens("a<=1-b2*(3c,not"),
            [
                Word("a"),
                Symbol("<="),
                Digits("1"),
                Symbol("-"),
                Word("b2"),
                Symbol("*"),
                Symbol("("),
                Word("3c"),
                Symbol(","),
                Token::Keyword(Keyword::Not),
            ]
        );
        assert_eq!(tokens("\u{a0}"), [Token::Other('\u{a0}')]);
    }
}
