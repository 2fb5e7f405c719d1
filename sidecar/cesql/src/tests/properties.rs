//! What holds for every text, every expression and every event.

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    Expression, Filter, Set, Value,
    functions::Function,
    lexer::{Token, token},
    like::Pattern,
    print::Printed,
    program::{Arithmetic, Builder, Comparison, Id, Logic, Node},
};

/// An expression, before it is nodes.
#[derive(Debug, Clone)]
enum Tree {
    Boolean(bool),
    Integer(i32),
    Text(String),
    Attribute(&'static str),
    Exists(&'static str),
    Not(Box<Tree>),
    Negate(Box<Tree>),
    Compare(Comparison, Box<Tree>, Box<Tree>),
    Arithmetic(Arithmetic, Box<Tree>, Box<Tree>),
    Logic(Logic, Vec<Tree>),
    Like(Box<Tree>, String),
    In(Box<Tree>, Vec<Tree>),
    Call(Function, Vec<Tree>),
}

impl Tree {
    fn build(&self, builder: &mut Builder) -> Id {
        let node = match self {
            Self::Boolean(truth) => Node::Boolean(*truth),
            Self::Integer(number) => Node::Integer(*number),
            Self::Text(text) => Node::Text(text.as_str().into()),
            Self::Attribute(name) => Node::Attribute(builder.name(name)),
            Self::Exists(name) => Node::Exists(builder.name(name)),
            Self::Not(of) => Node::Not(of.build(builder)),
            Self::Negate(of) => Node::Negate(of.build(builder)),
            Self::Compare(how, left, right) => Node::Compare(*how, left.build(builder), right.build(builder)),
            Self::Arithmetic(how, left, right) => {
                Node::Arithmetic(*how, left.build(builder), right.build(builder))
            }
            Self::Logic(how, parts) => {
                let parts: Vec<_> = parts.iter().map(|part| part.build(builder)).collect();
                return builder.logic(*how, &parts);
            }
            Self::Like(of, pattern) => Node::Like(of.build(builder), Pattern::new(pattern)),
            Self::In(of, set) => Node::In(of.build(builder), set.iter().map(|e| e.build(builder)).collect()),
            Self::Call(function, arguments) => {
                Node::Call(*function, arguments.iter().map(|a| a.build(builder)).collect())
            }
        };
        builder.node(node)
    }

    /// As it is printed, and whether that is read as the same nodes.
    fn printed(&self) -> (String, bool) {
        let mut builder = Builder::default();
        let root = self.build(&mut builder);
        let (program, root) = builder.finish(root);
        let text = Printed::whole(&program, root).to_string();
        let mut again = Builder::default();
        let read = crate::parser::parse(&text, &mut again).map(|(root, _)| again.finish(root));
        (text, read == Ok((program, root)))
    }
}

/// A text that a literal can say.
fn text() -> impl Strategy<Value = String> {
    "[ab%_€ \n'\"\\\\]{0,6}".prop_map(|inner| match token(&format!("'{inner}'"), 0).token {
        Token::Text(text) => text.into_owned(),
        _ => "x'".to_owned(),
    })
}

fn name() -> impl Strategy<Value = &'static str> {
    select(&["type", "id", "3c", "ttl", "left", "missing", "flag"])
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Tree::Boolean),
        prop_oneof![-3..3, Just(i32::MIN), Just(i32::MAX)].prop_map(Tree::Integer),
        text().prop_map(Tree::Text),
        name().prop_map(Tree::Attribute),
        name().prop_map(Tree::Exists),
    ];
    let comparison = select(&[
        Comparison::Equal,
        Comparison::Less,
        Comparison::LessOrEqual,
        Comparison::Greater,
        Comparison::GreaterOrEqual,
    ]);
    let arithmetic = select(&[
        Arithmetic::Multiply,
        Arithmetic::Divide,
        Arithmetic::Remainder,
        Arithmetic::Add,
        Arithmetic::Subtract,
    ]);
    let logic = select(&[Logic::And, Logic::Or, Logic::Xor]);
    let call = select(&[
        ("LENGTH", 1),
        ("CONCAT", 0),
        ("CONCAT", 3),
        ("CONCAT_WS", 3),
        ("LOWER", 1),
        ("UPPER", 1),
        ("TRIM", 1),
        ("LEFT", 2),
        ("RIGHT", 2),
        ("SUBSTRING", 2),
        ("SUBSTRING", 3),
        ("ABS", 1),
        ("INT", 1),
        ("BOOL", 1),
        ("STRING", 1),
    ]);
    leaf.prop_recursive(6, 48, 4, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            boxed.clone().prop_map(Tree::Not),
            boxed.clone().prop_map(Tree::Negate),
            (comparison.clone(), boxed.clone(), boxed.clone())
                .prop_map(|(how, l, r)| Tree::Compare(how, l, r)),
            (arithmetic.clone(), boxed.clone(), boxed.clone())
                .prop_map(|(how, l, r)| Tree::Arithmetic(how, l, r)),
            (logic.clone(), vec(inner.clone(), 2..4)).prop_map(|(how, parts)| Tree::Logic(how, parts)),
            (boxed.clone(), text()).prop_map(|(of, pattern)| Tree::Like(of, pattern)),
            (boxed, vec(inner.clone(), 1..4)).prop_map(|(of, set)| Tree::In(of, set)),
            (call.clone(), vec(inner, 3)).prop_map(|((name, count), mut arguments)| {
                arguments.truncate(count);
                Tree::Call(Function::find(name, count).unwrap(), arguments)
            }),
        ]
    })
}

fn event() -> impl Strategy<Value = Vec<(&'static str, Value<'static>)>> {
    let value = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-3..3).prop_map(|number: i32| number.to_string().into()),
        text().prop_map(Value::from),
        demanded().prop_map(Value::from),
    ];
    vec((select(&["type", "id", "3c", "ttl", "left", "flag"]), value), 0..6)
}

/// A text that the event may well have, in one way of writing or another.
fn demanded() -> impl Strategy<Value = &'static str> {
    select(&["order", "true", "TRUE", "1", "01", "+1", "0", "", "x"])
}

/// Pieces of expressions in any order: more of them are expressions than of texts of any characters.
fn pieces() -> impl Strategy<Value = String> {
    let piece = select(&[
        "a",
        "type",
        "1",
        "-1",
        "2147483647",
        "'x'",
        "'%'",
        "TRUE",
        "AND",
        "OR",
        "XOR",
        "NOT",
        "LIKE",
        "IN",
        "EXISTS",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "LEFT(",
        "CONCAT(",
        "INT(",
        "SUBSTRING('abc',",
        "\"",
        "'",
        "\\",
        "€",
        "\n",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.join(" "))
}

/// What must hold for a text and an event, whatever they are.
fn check(text: &str, event: &[(&str, Value<'_>)]) -> Result<(), TestCaseError> {
    match Expression::parse(text) {
        Err(error) => {
            prop_assert!(text.is_char_boundary(error.offset()));
            let said = error.to_string();
            prop_assert!(!said.contains('\n') && said.chars().count() < 400, "{said:?}");
            prop_assert!(error.excerpt(text).lines().count() <= 2);
        }
        Ok(expression) => {
            let evaluation = expression.evaluate(event);
            let passes = evaluation.value == Value::Boolean(true) && evaluation.errors.is_empty();
            prop_assert_eq!(expression.matches(event), passes);
            let explanation = expression.explain(event);
            prop_assert_eq!(explanation.holds, passes);
            prop_assert!(!explanation.to_string().is_empty());
            prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), event in event()) {
        check(&text, &event)?;
    }

    #[test]
    fn no_order_of_pieces_makes_it_panic(text in pieces(), event in event()) {
        check(&text, &event)?;
    }

    #[test]
    fn what_is_printed_is_read_as_the_same(tree in tree()) {
        let (text, is_same) = tree.printed();
        prop_assert!(is_same, "{}", text);
    }

    #[test]
    fn a_well_formed_expression_always_has_a_value(tree in tree(), event in event()) {
        check(&tree.printed().0, &event)?;
    }

    #[test]
    fn a_set_says_what_each_says_alone(trees in vec(tree(), 1..6), event in event()) {
        let filters: Vec<_> = trees.iter()
            .map(|tree| Filter::from(Expression::parse(&tree.printed().0).unwrap()))
            .collect();
        let set: Set = filters.iter().collect();
        let alone: Vec<_> = (0..filters.len()).filter(|at| filters[*at].matches(event.as_slice())).collect();
        prop_assert_eq!(set.matches(event.as_slice()).collect::<Vec<_>>(), alone);
    }

    #[test]
    fn a_set_that_finds_filters_by_their_texts_says_the_same(
        demands in vec((name(), vec(demanded(), 1..3), any::<bool>(), tree()), 1..12),
        event in event(),
    ) {
        let tree = |(name, texts, is_set, rest): &(&'static str, Vec<&'static str>, bool, Tree)| {
            let (subject, texts) = (Box::new(Tree::Attribute(name)), texts.iter().map(|t| Tree::Text((*t).to_owned())));
            let mut texts: Vec<_> = texts.collect();
            let demand = if *is_set { Tree::In(subject, texts) } else { Tree::Compare(Comparison::Equal, subject, Box::new(texts.remove(0))) };
            Tree::Logic(Logic::And, vec![rest.clone(), demand])
        };
        let alone = Tree::Attribute("flag");
        let trees = demands.iter().map(tree).chain(demands.iter().map(|(.., rest)| rest.clone())).chain([alone]);
        let filters: Vec<_> =
            trees.map(|tree| Filter::from(Expression::parse(&tree.printed().0).unwrap())).collect();
        let set: Set = filters.iter().collect();
        let alone: Vec<_> = (0..filters.len()).filter(|at| filters[*at].matches(event.as_slice())).collect();
        prop_assert_eq!(set.matches(event.as_slice()).collect::<Vec<_>>(), alone);
    }

    #[test]
    fn filters_negated_are_the_others(tree in tree(), event in event()) {
        let filter = Filter::from(Expression::parse(&tree.printed().0).unwrap());
        prop_assert_ne!(filter.matches(event.as_slice()), filter.negated().unwrap().matches(event.as_slice()));
    }
}
