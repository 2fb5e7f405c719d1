//! Expressions in memory: a list of nodes, each after those that it refers to, none of them twice.
//!
//! The [`Builder`] gives a node that is there already instead of an equal one. So equal subexpressions, also those of
//! different expressions of one [`Set`](crate::Set), are one node and are evaluated once.

use std::collections::HashMap;

use crate::{functions::Function, like::Pattern, value::Value};

/// A node, by its place in the list.
pub(crate) type Id = u32;
/// An attribute, by its place in the list of names.
pub(crate) type Name = u32;

/// No place in the memory of an evaluation: such a node is wanted once at most, and its value is not kept.
pub(crate) const UNKEPT: u32 = u32::MAX;

/// A subexpression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Node {
    Boolean(bool),
    Integer(i32),
    Text(Box<str>),
    Attribute(Name),
    Exists(Name),
    Not(Id),
    Negate(Id),
    Compare(Comparison, Id, Id),
    Arithmetic(Arithmetic, Id, Id),
    /// At least two operands, of which none is itself of this operator: all three operators are associative.
    Logic(Logic, Box<[Id]>),
    Like(Id, Pattern),
    In(Id, Box<[Id]>),
    Call(Function, Box<[Id]>),
    /// Whether it is true, and without an error: what a filter makes of an expression.
    Holds(Id),
}

/// `!=`, `<>`, `NOT LIKE` and `NOT IN` are [`Node::Not`] of the others, as the specification defines them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Arithmetic {
    Multiply,
    Divide,
    Remainder,
    Add,
    Subtract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Logic {
    And,
    Or,
    Xor,
}

impl Node {
    /// The nodes that it refers to, in the order of the text.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Id> + Clone + '_ {
        let (fixed, list): ([Option<Id>; 2], &[Id]) = match self {
            Self::Boolean(_) | Self::Integer(_) | Self::Text(_) | Self::Attribute(_) | Self::Exists(_) => {
                ([None, None], &[])
            }
            Self::Not(part) | Self::Negate(part) | Self::Like(part, _) | Self::Holds(part) => {
                ([Some(*part), None], &[])
            }
            Self::Compare(_, left, right) | Self::Arithmetic(_, left, right) => {
                ([Some(*left), Some(*right)], &[])
            }
            Self::Logic(_, parts) | Self::Call(_, parts) => ([None, None], parts),
            Self::In(part, set) => ([Some(*part), None], set),
        };
        fixed.into_iter().flatten().chain(list.iter().copied())
    }

    /// The same node in a list where its parts and its attribute have other places.
    fn moved(&self, part: impl Fn(Id) -> Id, name: impl FnOnce(Name) -> Name) -> Self {
        let all = |parts: &[Id]| parts.iter().map(|id| part(*id)).collect();
        match self {
            Self::Boolean(_) | Self::Integer(_) | Self::Text(_) => self.clone(),
            Self::Attribute(which) => Self::Attribute(name(*which)),
            Self::Exists(which) => Self::Exists(name(*which)),
            Self::Not(of) => Self::Not(part(*of)),
            Self::Negate(of) => Self::Negate(part(*of)),
            Self::Compare(how, left, right) => Self::Compare(*how, part(*left), part(*right)),
            Self::Arithmetic(how, left, right) => Self::Arithmetic(*how, part(*left), part(*right)),
            Self::Logic(how, parts) => Self::Logic(*how, all(parts)),
            Self::Like(of, pattern) => Self::Like(part(*of), pattern.clone()),
            Self::In(of, set) => Self::In(part(*of), all(set)),
            Self::Call(function, arguments) => Self::Call(*function, all(arguments)),
            Self::Holds(of) => Self::Holds(part(*of)),
        }
    }

    /// The value that it has, whatever the event is.
    pub(crate) fn literal(&self) -> Option<Value<'_>> {
        match self {
            Self::Boolean(truth) => Some(Value::Boolean(*truth)),
            Self::Integer(number) => Some(Value::Integer(*number)),
            Self::Text(text) => Some(Value::from(&**text)),
            _ => None,
        }
    }

    /// Whether it always gives a Boolean, by itself.
    pub(crate) fn is_truth(&self) -> bool {
        match self {
            Self::Boolean(_)
            | Self::Exists(_)
            | Self::Not(_)
            | Self::Compare(..)
            | Self::Logic(..)
            | Self::Like(..)
            | Self::In(..)
            | Self::Holds(_) => true,
            Self::Integer(_)
            | Self::Text(_)
            | Self::Attribute(_)
            | Self::Negate(_)
            | Self::Arithmetic(..)
            | Self::Call(..) => false,
        }
    }

    /// Whether it costs nothing to have its value again.
    fn is_leaf(&self) -> bool {
        self.literal().is_some() || matches!(self, Self::Attribute(_) | Self::Exists(_))
    }
}

/// Nodes, each after its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) nodes: Vec<Node>,
    /// The names of attributes.
    pub(crate) names: Vec<Box<str>>,
    /// For each node its place among the kept values, or [`UNKEPT`].
    pub(crate) places: Vec<u32>,
    /// How many are kept.
    pub(crate) kept: Kept,
}

/// How many outcomes an evaluation keeps: of nodes that always give a Boolean, and of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) truths: usize,
    pub(crate) values: usize,
}

impl Program {
    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn name(&self, name: Name) -> &str {
        &self.names[name as usize]
    }
}

/// A program in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Builder {
    program: Program,
    ids: HashMap<Node, Id>,
    names: HashMap<Box<str>, Name>,
    /// Whether something refers to the node already.
    is_used: Vec<bool>,
    /// How many levels a node has, itself included.
    levels: Vec<usize>,
}

impl Builder {
    pub(crate) fn program(&self) -> &Program {
        &self.program
    }

    /// How many levels the node has, itself included.
    pub(crate) fn levels(&self, id: Id) -> usize {
        self.levels[id as usize]
    }

    /// The place of an attribute's name.
    pub(crate) fn name(&mut self, name: &str) -> Name {
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let place = place(self.program.names.len());
        self.program.names.push(name.into());
        self.names.insert(name.into(), place);
        place
    }

    /// The node, or the equal one that is there already.
    pub(crate) fn node(&mut self, node: Node) -> Id {
        if let Some(known) = self.ids.get(&node) {
            return *known;
        }
        let levels = node.parts().map(|part| self.levels(part)).max().unwrap_or(0) + 1;
        for part in node.parts() {
            self.using(part);
        }
        let id = place(self.program.nodes.len());
        self.ids.insert(node.clone(), id);
        self.program.nodes.push(node);
        self.program.places.push(UNKEPT);
        self.is_used.push(false);
        self.levels.push(levels);
        id
    }

    /// Notes that something more wants the node's value. From the second on it is kept.
    pub(crate) fn using(&mut self, id: Id) {
        let at = id as usize;
        if self.is_used[at] && self.program.places[at] == UNKEPT && !self.program.nodes[at].is_leaf() {
            let kept = &mut self.program.kept;
            let kept = if self.program.nodes[at].is_truth() { &mut kept.truths } else { &mut kept.values };
            self.program.places[at] = place(*kept);
            *kept += 1;
        }
        self.is_used[at] = true;
    }

    /// All operands under one operator; a single one is itself.
    pub(crate) fn logic(&mut self, logic: Logic, operands: &[Id]) -> Id {
        let mut flat = Vec::with_capacity(operands.len());
        for operand in operands {
            match self.program.node(*operand) {
                Node::Logic(same, parts) if *same == logic => flat.extend_from_slice(parts),
                _ => flat.push(*operand),
            }
        }
        match flat.as_slice() {
            [single] => *single,
            _ => self.node(Node::Logic(logic, flat.into_boxed_slice())),
        }
    }

    /// Takes over what `root` of another program is made of; gives its place here.
    pub(crate) fn adopt(&mut self, other: &Program, root: Id) -> Id {
        let root = root as usize;
        let mut is_wanted = vec![false; root + 1];
        is_wanted[root] = true;
        for at in (0..=root).rev() {
            if is_wanted[at] {
                for part in other.nodes[at].parts() {
                    is_wanted[part as usize] = true;
                }
            }
        }
        let mut here = vec![0; root + 1];
        for at in (0..=root).filter(|at| is_wanted[*at]) {
            let node = other.nodes[at].moved(|part| here[part as usize], |name| self.name(other.name(name)));
            here[at] = self.node(node);
        }
        here[root]
    }

    /// The program of `root` alone, with nothing that it does not need, and the place of `root` in it.
    pub(crate) fn finish(self, root: Id) -> (Program, Id) {
        let mut clean = Self::default();
        let root = clean.adopt(&self.program, root);
        (clean.program, root)
    }
}

/// Texts are at most 64 KiB long, and memory ends long before four thousand million nodes.
fn place(length: usize) -> u32 {
    u32::try_from(length).expect("fewer nodes than memory has bytes for")
}
