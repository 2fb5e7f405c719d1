//! Evaluation: a program and an event give values, and what went wrong.
//!
//! Every operator gives a value, also where something went wrong (section 3.3). The rules here, where the specification
//! leaves a choice: an operator whose operand brought an error gives the zero value of its own type (`false`, `0` or the
//! empty text), as does one that cannot cast an operand; a function that cannot work says itself what it gives. `NOT` of
//! what cannot be cast is `TRUE`, as the test kit wants it.

use std::cell::{Cell, OnceCell, RefCell};

use crate::{
    error::{ErrorKind, EvaluationError, shortened},
    functions::{Function, TEXT_BYTES_MAX, Wrong},
    like::Pattern,
    outcome::{Failed, Outcome, Truth},
    print::Printed,
    program::{Arithmetic, Comparison, Id, Kept, Logic, Name, Node, Program, UNKEPT},
    value::{Attributes, Type, Value},
};

/// One program on one event. What is wanted more than once is evaluated once.
pub(crate) struct Run<'r, A: ?Sized> {
    program: &'r Program,
    event: &'r A,
    /// For each node its place in `truths` or `values`, or [`UNKEPT`].
    places: &'r [u32],
    truths: Box<[Cell<Option<Truth>>]>,
    values: Box<[OnceCell<Outcome<'static>>]>,
    attributes: Box<[OnceCell<Option<Value<'r>>>]>,
    /// Where errors go, with the nodes that raised them; without it evaluation may stop at the first.
    errors: Option<RefCell<Vec<(Id, EvaluationError)>>>,
}

impl<'r, A: Attributes + ?Sized> Run<'r, A> {
    /// To know who passes: stops at an error.
    pub(crate) fn quick(program: &'r Program, event: &'r A) -> Self {
        Self::new(program, event, &program.places, program.kept, None)
    }

    /// To have the value and every error.
    pub(crate) fn complete(program: &'r Program, event: &'r A) -> Self {
        Self::new(program, event, &program.places, program.kept, Some(RefCell::default()))
    }

    /// The same, and every value is kept: at its node's place.
    pub(crate) fn recorded(program: &'r Program, event: &'r A, places: &'r [u32]) -> Self {
        let kept = Kept { truths: places.len(), values: places.len() };
        Self::new(program, event, places, kept, Some(RefCell::default()))
    }

    fn new(
        program: &'r Program,
        event: &'r A,
        places: &'r [u32],
        kept: Kept,
        errors: Option<RefCell<Vec<(Id, EvaluationError)>>>,
    ) -> Self {
        let truths = vec![Cell::new(None); kept.truths].into_boxed_slice();
        let values = (0..kept.values).map(|_| OnceCell::new()).collect();
        let attributes = (0..program.names.len()).map(|_| OnceCell::new()).collect();
        Self { program, event, places, truths, values, attributes, errors }
    }

    /// What the node comes to. Recursion ends with the levels that a program may have.
    pub(crate) fn outcome(&self, id: Id) -> Outcome<'_> {
        let node = self.program.node(id);
        if node.is_truth() {
            return self.truth(id).into();
        }
        let place = self.places[id as usize];
        if place == UNKEPT {
            return self.value(id, node);
        }
        let keep = || {
            let Outcome { value, has_failed } = self.value(id, node);
            Outcome { value: value.into_owned(), has_failed }
        };
        self.values[place as usize].get_or_init(keep).borrowed()
    }

    /// What a node comes to that gives a Boolean ([`Node::is_truth`]).
    pub(crate) fn truth(&self, id: Id) -> Truth {
        let place = self.places[id as usize];
        if place == UNKEPT {
            return self.decide(id);
        }
        let kept = &self.truths[place as usize];
        kept.get().unwrap_or_else(|| {
            let truth = self.decide(id);
            kept.set(Some(truth));
            truth
        })
    }

    /// Whether an event with the node's outcome passes a filter.
    pub(crate) fn holds(&self, id: Id) -> bool {
        if self.program.node(id).is_truth() { self.truth(id).holds() } else { self.outcome(id).holds() }
    }

    /// Whether an event with the node's outcome passes a filter, and whether something went wrong on the way to that.
    pub(crate) fn judged(&self, id: Id) -> (bool, bool) {
        if self.program.node(id).is_truth() {
            let truth = self.truth(id);
            (truth.holds(), truth.has_failed)
        } else {
            let outcome = self.outcome(id);
            (outcome.holds(), outcome.has_failed)
        }
    }

    /// What a recorded run found at the node, if it was evaluated at all.
    pub(crate) fn recorded_outcome(&self, id: Id) -> Option<Outcome<'static>> {
        let value = self.values[id as usize].get().cloned();
        value.or_else(|| self.truths[id as usize].get().map(Outcome::from))
    }

    /// The errors, in the order in which they arose.
    pub(crate) fn into_errors(self) -> Vec<(Id, EvaluationError)> {
        self.errors.map(RefCell::into_inner).unwrap_or_default()
    }

    fn value(&self, id: Id, node: &'r Node) -> Outcome<'_> {
        match node {
            Node::Integer(number) => Outcome::good(Value::Integer(*number)),
            Node::Text(text) => Outcome::good(Value::from(&**text)),
            Node::Attribute(name) => match self.attribute(*name) {
                Some(value) => Outcome::good(value.borrowed()),
                None => self.missing(id, *name),
            },
            Node::Negate(of) => match self.number(id, *of) {
                Ok(number) => self.whole(id, number.checked_neg()),
                Err(Failed) => Outcome::zero(Type::Integer),
            },
            Node::Arithmetic(how, left, right) => self.arithmetic(id, *how, *left, *right),
            Node::Call(function, arguments) => self.call(id, *function, arguments),
            Node::Boolean(_)
            | Node::Exists(_)
            | Node::Not(_)
            | Node::Compare(..)
            | Node::Logic(..)
            | Node::Like(..)
            | Node::In(..)
            | Node::Holds(_) => self.decide(id).into(),
        }
    }

    fn decide(&self, id: Id) -> Truth {
        match self.program.node(id) {
            Node::Boolean(truth) => Truth::good(*truth),
            Node::Exists(name) => Truth::good(self.attribute(*name).is_some()),
            Node::Compare(how, left, right) => self.compare(id, *how, *left, *right),
            Node::Logic(how, parts) => self.logic(id, *how, parts),
            Node::Not(of) => self.not(id, *of),
            Node::Like(of, pattern) => self.like(*of, pattern),
            Node::In(of, set) => self.one_of(id, *of, set),
            Node::Holds(of) => Truth::good(self.holds(*of)),
            Node::Integer(_)
            | Node::Text(_)
            | Node::Attribute(_)
            | Node::Negate(_)
            | Node::Arithmetic(..)
            | Node::Call(..) => self.boolean(id, id).map_or(Truth::FAILED, Truth::good),
        }
    }

    fn attribute(&self, name: Name) -> Option<&Value<'r>> {
        let ask = || self.event.attribute(self.program.name(name));
        self.attributes[name as usize].get_or_init(ask).as_ref()
    }

    /// The text of an attribute that is one: what most comparisons are about, without the way by its outcome. Only in a
    /// quick run, as the others note what they pass.
    fn attribute_text(&self, id: Id) -> Option<&str> {
        if self.errors.is_some() {
            return None;
        }
        let Node::Attribute(name) = self.program.node(id) else { return None };
        let Value::String(text) = self.attribute(*name)? else { return None };
        Some(text)
    }

    fn not(&self, id: Id, of: Id) -> Truth {
        let outcome = self.outcome(of);
        if outcome.has_failed {
            return Truth::FAILED;
        }
        let negated = match &outcome.value {
            Value::Boolean(truth) => Some(!truth),
            // The specification has a cast from Integer; its test kit wants this to be an error.
            Value::Integer(_) => None,
            Value::String(_) => outcome.value.to_boolean().map(|truth| !truth),
        };
        negated.map_or_else(
            || {
                self.uncastable(id, &outcome.value, Type::Boolean);
                Truth { value: true, has_failed: true }
            },
            Truth::good,
        )
    }

    fn like(&self, of: Id, pattern: &Pattern) -> Truth {
        if let Some(text) = self.attribute_text(of) {
            return Truth::good(pattern.matches(text));
        }
        let outcome = self.outcome(of);
        if outcome.has_failed {
            return Truth::FAILED;
        }
        Truth::good(pattern.matches(&outcome.value.into_text()))
    }

    fn compare(&self, id: Id, how: Comparison, left: Id, right: Id) -> Truth {
        if how == Comparison::Equal {
            if let (Some(text), Node::Text(wanted)) = (self.attribute_text(left), self.program.node(right)) {
                return Truth::good(*text == **wanted);
            }
            let (left, right) = (self.outcome(left), self.outcome(right));
            if left.has_failed || right.has_failed {
                return Truth::FAILED;
            }
            return self.equal(id, left.value, &right.value).map_or(Truth::FAILED, Truth::good);
        }
        let (Ok(left), Ok(right)) = (self.number(id, left), self.number(id, right)) else {
            return Truth::FAILED;
        };
        Truth::good(match how {
            Comparison::Equal => left == right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        })
    }

    /// Whether `cast`, as a value of `wanted`'s type, is the same value.
    fn equal(&self, id: Id, cast: Value<'_>, wanted: &Value<'_>) -> Result<bool, Failed> {
        let equal = match (&cast, wanted) {
            (Value::String(cast), Value::String(wanted)) => Some(cast == wanted),
            (_, Value::Boolean(wanted)) => cast.to_boolean().map(|cast| cast == *wanted),
            (_, Value::Integer(wanted)) => cast.to_integer().map(|cast| cast == *wanted),
            (_, Value::String(wanted)) => return Ok(cast.into_text() == *wanted),
        };
        equal.ok_or_else(|| self.uncastable(id, &cast, wanted.type_of()))
    }

    /// Elements are looked at from the left, up to the one that is equal.
    fn one_of(&self, id: Id, of: Id, set: &[Id]) -> Truth {
        let text = self.attribute_text(of);
        let wanted = self.outcome(of);
        let mut has_failed = wanted.has_failed;
        for element in set {
            if let (Some(text), Node::Text(element)) = (text, self.program.node(*element)) {
                if **element == *text {
                    return Truth::good(true);
                }
                continue;
            }
            let element = self.outcome(*element);
            if has_failed || element.has_failed {
                has_failed = true;
                continue;
            }
            match self.equal(id, element.value, &wanted.value) {
                Ok(true) => return Truth::good(true),
                Ok(false) => {}
                Err(Failed) => has_failed = true,
            }
        }
        if has_failed { Truth::FAILED } else { Truth::good(false) }
    }

    /// `false AND` and `true OR` are decided: nothing that follows is evaluated.
    fn logic(&self, id: Id, how: Logic, parts: &[Id]) -> Truth {
        let (mut truth, mut has_failed) = (how == Logic::And, false);
        for part in parts {
            let operand = match self.boolean(id, *part) {
                Ok(operand) => operand,
                // To go on would only find more errors.
                Err(Failed) if how == Logic::And || self.errors.is_none() => return Truth::FAILED,
                Err(Failed) => {
                    has_failed = true;
                    continue;
                }
            };
            truth = if how == Logic::Xor { truth ^ operand } else { operand };
            if !has_failed && ((how == Logic::And && !truth) || (how == Logic::Or && truth)) {
                break;
            }
        }
        if has_failed { Truth::FAILED } else { Truth::good(truth) }
    }

    fn arithmetic(&self, id: Id, how: Arithmetic, left: Id, right: Id) -> Outcome<'_> {
        let (Ok(left), Ok(right)) = (self.number(id, left), self.number(id, right)) else {
            return Outcome::zero(Type::Integer);
        };
        let result = match how {
            Arithmetic::Divide | Arithmetic::Remainder if right == 0 => {
                self.fail(id, ErrorKind::Math, || "division by zero".to_owned());
                return Outcome::zero(Type::Integer);
            }
            Arithmetic::Multiply => left.checked_mul(right),
            Arithmetic::Divide => left.checked_div(right),
            Arithmetic::Remainder => Some(left.wrapping_rem(right)),
            Arithmetic::Add => left.checked_add(right),
            Arithmetic::Subtract => left.checked_sub(right),
        };
        self.whole(id, result)
    }

    fn whole(&self, id: Id, number: Option<i32>) -> Outcome<'_> {
        match number {
            Some(number) => Outcome::good(Value::Integer(number)),
            None => self.wrong(id, Wrong::Overflow, Value::Integer(0)),
        }
    }

    fn call(&self, id: Id, function: Function, arguments: &[Id]) -> Outcome<'_> {
        let mut has_failed = false;
        let mut values = Vec::with_capacity(arguments.len());
        for (place, argument) in arguments.iter().enumerate() {
            let cast = match function.wants(place) {
                Some(Type::Integer) => self.number(id, *argument).map(Value::Integer),
                Some(Type::Boolean) => self.boolean(id, *argument).map(Value::Boolean),
                Some(Type::String) => self.given(*argument).map(|value| Value::String(value.into_text())),
                None => self.given(*argument),
            };
            match cast {
                Ok(value) => values.push(value),
                Err(Failed) => has_failed = true,
            }
        }
        if has_failed {
            return Outcome::zero(function.gives());
        }
        match function.call(values) {
            (value, None) => Outcome::good(value),
            (value, Some(wrong)) => self.wrong(id, wrong, value),
        }
    }

    /// The value of an operand as it is.
    fn given(&self, operand: Id) -> Result<Value<'_>, Failed> {
        let outcome = self.outcome(operand);
        if outcome.has_failed { Err(Failed) } else { Ok(outcome.value) }
    }

    fn number(&self, id: Id, operand: Id) -> Result<i32, Failed> {
        let value = self.given(operand)?;
        value.to_integer().ok_or_else(|| self.uncastable(id, &value, Type::Integer))
    }

    fn boolean(&self, id: Id, operand: Id) -> Result<bool, Failed> {
        if self.program.node(operand).is_truth() {
            let truth = self.truth(operand);
            return if truth.has_failed { Err(Failed) } else { Ok(truth.value) };
        }
        let value = self.given(operand)?;
        value.to_boolean().ok_or_else(|| self.uncastable(id, &value, Type::Boolean))
    }

    fn missing(&self, id: Id, name: Name) -> Outcome<'_> {
        let name = || shortened(self.program.name(name), VALUE_CHARS);
        let message = || format!("the event has no attribute {}", name());
        self.fail(id, ErrorKind::MissingAttribute, message);
        Outcome::zero(Type::Boolean)
    }

    fn uncastable(&self, id: Id, value: &Value<'_>, to: Type) -> Failed {
        self.fail(id, ErrorKind::Cast, || uncastable(&value.to_string(), to))
    }

    fn wrong<'a>(&self, id: Id, wrong: Wrong, value: Value<'a>) -> Outcome<'a> {
        let kind = match &wrong {
            Wrong::Cast(..) => ErrorKind::Cast,
            Wrong::Overflow => ErrorKind::Math,
            Wrong::Length(_) | Wrong::Position(..) | Wrong::TooLong => ErrorKind::FunctionEvaluation,
        };
        self.fail(id, kind, || match wrong {
            Wrong::Cast(value, to) => uncastable(&value, to),
            Wrong::Overflow => "the result is no number from -2147483648 to 2147483647".to_owned(),
            Wrong::Length(length) => format!("{length} is no length"),
            Wrong::Position(position, characters) => {
                format!("position {position} is not within a text of {characters} characters")
            }
            Wrong::TooLong => format!("the result is longer than {TEXT_BYTES_MAX} bytes"),
        });
        Outcome { value, has_failed: true }
    }

    fn fail(&self, id: Id, kind: ErrorKind, message: impl FnOnce() -> String) -> Failed {
        if let Some(errors) = &self.errors {
            let expression = Printed::whole(self.program, id).to_string();
            errors.borrow_mut().push((id, EvaluationError { kind, expression, message: message() }));
        }
        Failed
    }
}

/// How much of a value or a name an error shows, in characters.
const VALUE_CHARS: usize = 64;

fn uncastable(value: &str, to: Type) -> String {
    format!("{} cannot become {}", shortened(value, VALUE_CHARS), to.phrase())
}
