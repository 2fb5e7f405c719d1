//! What is no expression: where, and what was expected.

use super::expression;
use crate::{DEPTH_MAX, ErrorKind, Expression, TEXT_BYTES_MAX};

/// In the table below for what would be too long.
fn spelled_out(expected: &str) -> String {
    let expression = "an expression: an attribute's name, a value, a function, NOT, EXISTS or (";
    expected.replace("EXPR", expression).replace("OP", "an operator such as =, AND or LIKE, or the end")
}

#[test]
fn a_mistake_has_its_place_and_says_what_was_expected() {
    for (text, expected) in [
        ("", "column 1: found the end, expected EXPR"),
        ("a = ", "column 5: found the end, expected EXPR"),
        ("ABC(", "column 5: found the end, expected EXPR"),
        ("a b", "column 3: found `b`, expected OP"),
        ("(a", "column 3: found the end, expected an operator or `)`"),
        ("a)", "column 2: found `)`, expected OP"),
        ("x LIKE 123", "column 8: found `123`, expected a pattern in quotes, such as 'abc%'"),
        ("x NOT = 1", "column 7: found `=`, expected LIKE or IN behind NOT"),
        ("x IN 1", "column 6: found `1`, expected a set such as (1, 2)"),
        ("x IN ()", "column 7: found `)`, expected EXPR"),
        ("x IN (1 2)", "column 9: found `2`, expected an operator, `,` or `)`"),
        ("EXISTS (a)", "column 8: found `(`, expected the name of an attribute"),
        ("EXISTS true", "column 8: found `true`, expected the name of an attribute"),
        (
            "my_ext = 1",
            "column 1: found `my_ext`, expected the name of an attribute, which has only letters and digits",
        ),
        ("2147483648", "column 1: found `2147483648`, expected a number from -2147483648 to 2147483647"),
        (
            "1 + -2147483649",
            "column 5: found `-2147483649`, expected a number from -2147483648 to 2147483647",
        ),
        ("+ 1", "column 3: found `1`, expected digits right behind +"),
        (
            "'abc",
            "column 1: found a text without its closing quote, expected EXPR (a \\ before the closing quote makes it part of the text)",
        ),
        ("LEFT(a)", "column 1: found `LEFT` with 1 argument, expected LEFT(String, Integer)"),
        ("a == 1", "column 4: found `=`, expected EXPR (equality is a single =)"),
        ("a && b", "column 3: found `&`, expected OP (AND is spelled out)"),
        ("a = ‘x’", "column 5: found `‘`, expected EXPR (texts stand between ' or \")"),
        (
            "data.id = 1",
            "column 5: found `.`, expected OP (attributes have no members, and the data cannot be asked)",
        ),
        ("a = 'it''s'", "column 9: found `'s'`, expected OP (a quote within a text is written \\' or \\\")"),
        ("€\n€ = 'a' AND\n  b = ?", "column 1: found `€`, expected EXPR"),
        ("a = '€' AND\n  '€' = ?", "line 2, column 9: found `?`, expected EXPR"),
        ("a \u{1b}", "column 3: found `\\u{1b}`, expected OP"),
    ] {
        assert_eq!(Expression::parse(text).unwrap_err().to_string(), spelled_out(expected), "{text:?}");
    }
}

#[test]
fn an_unknown_function_is_told_with_those_that_there_are() {
    let error = Expression::parse("type = 'a' AND IS_INT(subject)").unwrap_err();
    assert_eq!((error.kind(), error.offset()), (ErrorKind::MissingFunction, 15));
    assert_eq!(error.found(), "`IS_INT` with 1 argument");
    assert!(error.expected().starts_with("one of the functions LENGTH, CONCAT, CONCAT_WS, LOWER,"));
}

#[test]
fn an_excerpt_marks_the_place() {
    let text = "type = 'a' AND\n\t'€' = ?";
    assert_eq!(Expression::parse(text).unwrap_err().excerpt(text), " '€' = ?\n       ^");
    let long = format!("{} ?", "a AND ".repeat(100));
    let excerpt = Expression::parse(&long).unwrap_err().excerpt(&long);
    let (line, mark) = excerpt.split_once('\n').unwrap();
    assert_eq!(line.chars().nth(mark.chars().count() - 1), Some('?'));
}

#[test]
fn what_nests_too_deep_is_refused_and_costs_no_stack() {
    let fits = |open: &str, inner: &str, close: &str, times: usize| {
        Expression::parse(&format!("{}{inner}{}", open.repeat(times), close.repeat(times)))
    };
    for (open, inner, close) in [
        ("(", "a", ")"),
        ("NOT ", "a", ""),
        ("-", "a", ""),
        ("LOWER(", "a", ")"),
        ("a IN (", "a", ")"),
        ("a OR 1 = 1 + 1 * (", "1", ")"),
    ] {
        fits(open, inner, close, 20).unwrap_or_else(|error| panic!("{open}: {error}"));
        let error = fits(open, inner, close, 3_000).unwrap_err();
        assert!(
            error.to_string().ends_with("found one level too many, expected at most 100 levels"),
            "{error}"
        );
    }
    let sums = |count: usize| Expression::parse(&vec!["1"; count].join(" + "));
    assert!(sums(DEPTH_MAX).is_ok() && sums(DEPTH_MAX + 1).is_err());
    let mixed = |count: usize| Expression::parse(&vec!["a OR b"; count].join(" AND "));
    assert!(mixed(DEPTH_MAX / 2 - 1).is_ok() && mixed(DEPTH_MAX).is_err());
    let deepest = fits("LOWER(", "a", ")", DEPTH_MAX - 1).unwrap();
    assert_eq!(expression(&deepest.to_string()), deepest);
    assert_eq!(deepest.explain(&[("a", "x".into())]).value, Some("x".into()));
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let text = " ".repeat(TEXT_BYTES_MAX) + "a";
    let error = Expression::parse(&text).unwrap_err();
    assert_eq!(error.to_string(), "column 1: found 65537 bytes, expected at most 65536 bytes");
    assert!(Expression::parse(&text[1..]).is_ok());
}
