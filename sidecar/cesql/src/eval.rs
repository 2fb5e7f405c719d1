//! Evaluation: a program and an event give values, and what went wrong.
//!
//! Every operator gives a value, also where something went wrong (section 3.3). The rules here, where the specification
//! leaves a choice: an operator whose operand brought an error gives the zero value of its own type (`false`, `0` or the
//! empty text), as does one that cannot cast an operand; a function that cannot work says itself what it gives. `NOT` of
//! what cannot be cast is `TRUE`, as the test kit wants it.

use std::{
    borrow::Cow,
    cell::{OnceCell, RefCell},
};

use crate::{
    error::{ErrorKind, EvaluationError, shortened},
    functions::{Function, TEXT_BYTES_MAX, Wrong},
    print::Printed,
    program::{Arithmetic, Comparison, Id, Logic, Name, Node, Program, UNKEPT},
    value::{Attributes, Type, Value},
};

/// What a node comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome<'a> {
    pub(crate) value: Value<'a>,
    /// Whether something went wrong on the way to it.
    pub(crate) has_failed: bool,
}

impl<'a> Outcome<'a> {
    fn good(value: Value<'a>) -> Self {
        Self { value, has_failed: false }
    }

    fn boolean(truth: bool) -> Self {
        Self::good(Value::Boolean(truth))
    }

    fn failed(value: Value<'a>) -> Self {
        Self { value, has_failed: true }
    }

    fn zero(of: Type) -> Self {
        Self::failed(Value::zero(of))
    }

    /// Whether an event with this outcome passes a filter.
    pub(crate) fn holds(&self) -> bool {
        !self.has_failed && self.value == Value::Boolean(true)
    }

    fn borrowed(&self) -> Outcome<'_> {
        Outcome { value: self.value.borrowed(), has_failed: self.has_failed }
    }
}

/// One program on one event. What is wanted more than once is evaluated once.
pub(crate) struct Run<'r, A: ?Sized> {
    program: &'r Program,
    event: &'r A,
    /// For each node its place in `kept`, or [`UNKEPT`].
    places: &'r [u32],
    kept: Box<[OnceCell<Outcome<'static>>]>,
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
        Self::new(program, event, places, places.len(), Some(RefCell::default()))
    }

    fn new(
        program: &'r Program,
        event: &'r A,
        places: &'r [u32],
        kept: usize,
        errors: Option<RefCell<Vec<(Id, EvaluationError)>>>,
    ) -> Self {
        let kept = (0..kept).map(|_| OnceCell::new()).collect();
        let attributes = (0..program.names.len()).map(|_| OnceCell::new()).collect();
        Self { program, event, places, kept, attributes, errors }
    }

    /// What the node comes to. Recursion ends at [`DEPTH_MAX`](crate::DEPTH_MAX) levels.
    pub(crate) fn outcome(&self, id: Id) -> Outcome<'_> {
        let place = self.places[id as usize];
        if place == UNKEPT {
            return self.evaluate(id);
        }
        let keep = || {
            let Outcome { value, has_failed } = self.evaluate(id);
            Outcome { value: value.into_owned(), has_failed }
        };
        self.kept[place as usize].get_or_init(keep).borrowed()
    }

    /// What a recorded run found at the node, if it was evaluated at all.
    pub(crate) fn recorded_outcome(&self, id: Id) -> Option<&Outcome<'static>> {
        self.kept.get(id as usize).and_then(OnceCell::get)
    }

    /// The errors, in the order in which they arose.
    pub(crate) fn into_errors(self) -> Vec<(Id, EvaluationError)> {
        self.errors.map(RefCell::into_inner).unwrap_or_default()
    }

    fn evaluate(&self, id: Id) -> Outcome<'_> {
        match self.program.node(id) {
            Node::Boolean(truth) => Outcome::boolean(*truth),
            Node::Integer(number) => Outcome::good(Value::Integer(*number)),
            Node::Text(text) => Outcome::good(Value::from(&**text)),
            Node::Attribute(name) => match self.attribute(*name) {
                Some(value) => Outcome::good(value.borrowed()),
                None => self.missing(id, *name),
            },
            Node::Exists(name) => Outcome::boolean(self.attribute(*name).is_some()),
            Node::Compare(how, left, right) => self.compare(id, *how, *left, *right),
            Node::Logic(how, parts) => self.logic(id, *how, parts),
            Node::Not(of) => self.not(id, *of),
            Node::Like(of, pattern) => {
                let outcome = self.outcome(*of);
                if outcome.has_failed {
                    return Outcome::zero(Type::Boolean);
                }
                Outcome::boolean(pattern.matches(&outcome.value.into_text()))
            }
            Node::In(of, set) => self.one_of(id, *of, set),
            Node::Holds(of) => Outcome::boolean(self.outcome(*of).holds()),
            Node::Negate(of) => match self.number(id, *of) {
                Ok(number) => self.whole(id, number.checked_neg()),
                Err(failed) => failed,
            },
            Node::Arithmetic(how, left, right) => self.arithmetic(id, *how, *left, *right),
            Node::Call(function, arguments) => self.call(id, *function, arguments),
        }
    }

    fn attribute(&self, name: Name) -> Option<&Value<'r>> {
        let ask = || self.event.attribute(self.program.name(name));
        self.attributes[name as usize].get_or_init(ask).as_ref()
    }

    fn not(&self, id: Id, of: Id) -> Outcome<'_> {
        let outcome = self.outcome(of);
        if outcome.has_failed {
            return Outcome::zero(Type::Boolean);
        }
        match outcome.value {
            Value::Boolean(truth) => Outcome::boolean(!truth),
            // The specification has a cast from Integer; its test kit wants this to be an error.
            Value::Integer(_) => self.uncastable(id, &outcome.value, Type::Boolean, Value::Boolean(true)),
            Value::String(_) => match outcome.value.to_boolean() {
                Some(truth) => Outcome::boolean(!truth),
                None => self.uncastable(id, &outcome.value, Type::Boolean, Value::Boolean(true)),
            },
        }
    }

    fn compare(&self, id: Id, how: Comparison, left: Id, right: Id) -> Outcome<'_> {
        if how == Comparison::Equal {
            let (left, right) = (self.outcome(left), self.outcome(right));
            if left.has_failed || right.has_failed {
                return Outcome::zero(Type::Boolean);
            }
            return self.equal(id, left.value, right.value).map_or_else(|failed| failed, Outcome::boolean);
        }
        let (left, right) = match (self.number(id, left), self.number(id, right)) {
            (Ok(left), Ok(right)) => (left, right),
            _ => return Outcome::zero(Type::Boolean),
        };
        Outcome::boolean(match how {
            Comparison::Equal => left == right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        })
    }

    /// Whether `cast`, as a value of `wanted`'s type, is the same value.
    fn equal(&self, id: Id, cast: Value<'_>, wanted: Value<'_>) -> Result<bool, Outcome<'_>> {
        let equal = match (&cast, &wanted) {
            (Value::String(cast), Value::String(wanted)) => Some(cast == wanted),
            (_, Value::Boolean(wanted)) => cast.to_boolean().map(|cast| cast == *wanted),
            (_, Value::Integer(wanted)) => cast.to_integer().map(|cast| cast == *wanted),
            (_, Value::String(wanted)) => return Ok(cast.into_text() == *wanted),
        };
        equal.ok_or_else(|| self.uncastable(id, &cast, wanted.type_of(), Value::Boolean(false)))
    }

    /// Elements are looked at from the left, up to the one that is equal.
    fn one_of(&self, id: Id, of: Id, set: &[Id]) -> Outcome<'_> {
        let wanted = self.outcome(of);
        let mut has_failed = wanted.has_failed;
        for element in set {
            let element = self.outcome(*element);
            if has_failed || element.has_failed {
                has_failed = true;
                continue;
            }
            match self.equal(id, element.value, wanted.value.borrowed()) {
                Ok(true) => return Outcome::boolean(true),
                Ok(false) => {}
                Err(_) => has_failed = true,
            }
        }
        if has_failed { Outcome::zero(Type::Boolean) } else { Outcome::boolean(false) }
    }

    /// `false AND` and `true OR` are decided: nothing that follows is evaluated.
    fn logic(&self, id: Id, how: Logic, parts: &[Id]) -> Outcome<'_> {
        let (mut truth, mut has_failed) = (how == Logic::And, false);
        for part in parts {
            let operand = match self.truth(id, *part) {
                Ok(operand) => operand,
                // To go on would only find more errors.
                Err(_) if how == Logic::And || self.errors.is_none() => return Outcome::zero(Type::Boolean),
                Err(_) => {
                    has_failed = true;
                    continue;
                }
            };
            truth = if how == Logic::Xor { truth ^ operand } else { operand };
            if !has_failed && ((how == Logic::And && !truth) || (how == Logic::Or && truth)) {
                break;
            }
        }
        if has_failed { Outcome::zero(Type::Boolean) } else { Outcome::boolean(truth) }
    }

    fn arithmetic(&self, id: Id, how: Arithmetic, left: Id, right: Id) -> Outcome<'_> {
        let (left, right) = match (self.number(id, left), self.number(id, right)) {
            (Ok(left), Ok(right)) => (left, right),
            _ => return Outcome::zero(Type::Integer),
        };
        let result = match how {
            Arithmetic::Divide | Arithmetic::Remainder if right == 0 => {
                return self.fail(id, ErrorKind::Math, Value::Integer(0), || "division by zero".to_owned());
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
                Some(Type::Boolean) => self.truth(id, *argument).map(Value::Boolean),
                Some(Type::String) => self.given(*argument).map(|value| Value::String(value.into_text())),
                None => self.given(*argument),
            };
            match cast {
                Ok(value) => values.push(value),
                Err(_) => has_failed = true,
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

    /// The value of an operand as it is; an error when something went wrong on the way to it.
    fn given(&self, operand: Id) -> Result<Value<'_>, Outcome<'_>> {
        let outcome = self.outcome(operand);
        if outcome.has_failed { Err(outcome) } else { Ok(outcome.value) }
    }

    fn number(&self, id: Id, operand: Id) -> Result<i32, Outcome<'_>> {
        let Ok(value) = self.given(operand) else { return Err(Outcome::zero(Type::Integer)) };
        let zero = || Value::Integer(0);
        value.to_integer().ok_or_else(|| self.uncastable(id, &value, Type::Integer, zero()))
    }

    fn truth(&self, id: Id, operand: Id) -> Result<bool, Outcome<'_>> {
        let Ok(value) = self.given(operand) else { return Err(Outcome::zero(Type::Boolean)) };
        let zero = || Value::Boolean(false);
        value.to_boolean().ok_or_else(|| self.uncastable(id, &value, Type::Boolean, zero()))
    }

    fn missing(&self, id: Id, name: Name) -> Outcome<'_> {
        let message = || format!("the event has no attribute {}", self.program.name(name));
        self.fail(id, ErrorKind::MissingAttribute, Value::Boolean(false), message)
    }

    fn uncastable<'a>(&self, id: Id, value: &Value<'_>, to: Type, gives: Value<'a>) -> Outcome<'a> {
        self.fail(id, ErrorKind::Cast, gives, || uncastable(&value.to_string(), to))
    }

    fn wrong<'a>(&self, id: Id, wrong: Wrong, gives: Value<'a>) -> Outcome<'a> {
        match wrong {
            Wrong::Cast(value, to) => self.fail(id, ErrorKind::Cast, gives, || uncastable(&value, to)),
            Wrong::Overflow => self.fail(id, ErrorKind::Math, gives, || {
                "the result is no number from -2147483648 to 2147483647".to_owned()
            }),
            Wrong::Length(length) => self.fail(id, ErrorKind::FunctionEvaluation, gives, || {
                format!("{length} is no length")
            }),
            Wrong::Position(position, characters) => {
                self.fail(id, ErrorKind::FunctionEvaluation, gives, || {
                    format!("position {position} is not within a text of {characters} characters")
                })
            }
            Wrong::TooLong => self.fail(id, ErrorKind::FunctionEvaluation, gives, || {
                format!("the result is longer than {TEXT_BYTES_MAX} bytes")
            }),
        }
    }

    fn fail<'a>(
        &self,
        id: Id,
        kind: ErrorKind,
        gives: Value<'a>,
        message: impl FnOnce() -> String,
    ) -> Outcome<'a> {
        if let Some(errors) = &self.errors {
            let expression = Printed::whole(self.program, id).to_string();
            errors.borrow_mut().push((id, EvaluationError { kind, expression, message: message() }));
        }
        Outcome::failed(gives)
    }
}

/// How much of a value an error shows, in characters.
const VALUE_CHARS: usize = 64;

fn uncastable(value: &str, to: Type) -> String {
    let value: Cow<'_, str> = shortened(value, VALUE_CHARS).into();
    format!("{value} cannot become {}", to.phrase())
}
