//! Why an event passes, or why not: what each subexpression comes to.

use std::fmt;

use crate::{
    error::{EvaluationError, shortened},
    eval::Run,
    outcome::Outcome,
    print::Printed,
    program::{Comparison, Id, Node, Program},
    value::{Attributes, Value},
};

/// What an expression comes to on an event, with all that it is made of.
///
/// Its [`Display`](fmt::Display) is a tree, one subexpression a line and indented below the one that it is part of: what
/// it comes to, its text, and what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The subexpression.
    pub expression: String,
    /// What it comes to. `None` where that was not asked, because what stands before it in an AND or OR decided, or where
    /// it is an attribute that the event has not.
    pub value: Option<Value<'static>>,
    /// Whether it was evaluated at all.
    pub is_evaluated: bool,
    /// Whether it is true, and nothing went wrong on the way to it: of the whole, whether the event passes.
    pub holds: bool,
    /// What went wrong in this very subexpression.
    pub errors: Vec<EvaluationError>,
    /// Its parts but for literals, in the order of the text.
    pub parts: Vec<Explanation>,
}

/// How much of a subexpression or a value a line shows, in characters.
const LINE_CHARS: usize = 160;

impl Explanation {
    fn lines(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let value = match &self.value {
            Some(Value::Boolean(truth)) => truth.to_string(),
            Some(value) => shortened(&value.to_string(), LINE_CHARS),
            None if self.is_evaluated => "absent".to_owned(),
            None => "–".to_owned(),
        };
        let indent = depth * 2;
        write!(f, "{:indent$}{value:<5}  {}", "", shortened(&self.expression, LINE_CHARS))?;
        for error in &self.errors {
            write!(f, "  <- {}", error.message())?;
        }
        writeln!(f)?;
        self.parts.iter().try_for_each(|part| part.lines(f, depth + 1))
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f, 0)
    }
}

/// What `root` of the program comes to on the event.
pub(crate) fn explain<A: Attributes + ?Sized>(program: &Program, root: Id, event: &A) -> Explanation {
    let places: Vec<u32> = (0..).take(program.nodes.len()).collect();
    let run = Run::recorded(program, event, &places);
    run.outcome(root);
    let found: Vec<_> = (0..).take(program.nodes.len()).map(|id| run.recorded_outcome(id)).collect();
    let mut raised = vec![Vec::new(); program.nodes.len()];
    for (at, error) in run.into_errors() {
        raised[at as usize].push(error);
    }
    let of = |id: Id| (found[id as usize].as_ref(), raised[id as usize].clone());
    tree(program, root, &of)
}

type Found<'a> = (Option<&'a Outcome<'static>>, Vec<EvaluationError>);

fn tree<'a>(program: &Program, id: Id, of: &impl Fn(Id) -> Found<'a>) -> Explanation {
    let node = program.node(id);
    let (outcome, errors) = of(id);
    let is_absent = matches!(node, Node::Attribute(_)) && !errors.is_empty();
    let mut explanation = Explanation {
        expression: Printed::whole(program, id).to_string(),
        value: outcome.filter(|_| !is_absent).map(|outcome| outcome.value.clone()),
        is_evaluated: outcome.is_some(),
        holds: outcome.is_some_and(Outcome::holds),
        errors,
        parts: Vec::new(),
    };
    let parts = |id: Id| program.node(id).parts().filter(|part| program.node(*part).literal().is_none());
    match node {
        // One line for what is one operator in the text.
        Node::Not(inner) if is_one_operator(program.node(*inner)) => {
            explanation.errors.extend(of(*inner).1);
            explanation.parts = parts(*inner).map(|part| tree(program, part, of)).collect();
        }
        // Its text is that of the expression, and an error within makes it false.
        Node::Holds(inner) => {
            let inner = tree(program, *inner, of);
            explanation.errors = inner.errors;
            explanation.parts = inner.parts;
        }
        _ => explanation.parts = parts(id).map(|part| tree(program, part, of)).collect(),
    }
    explanation
}

fn is_one_operator(node: &Node) -> bool {
    matches!(node, Node::Compare(Comparison::Equal, ..) | Node::Like(..) | Node::In(..))
}
