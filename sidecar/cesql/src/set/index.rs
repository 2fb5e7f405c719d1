//! Which filters of a set need no look, because of one thing that they all ask for.
//!
//! Many a filter can only hold where something is equal to a text: `type = 'order' AND …` or `region IN ('eu', 'us') AND …`.
//! That something is evaluated once for an event, and its text looked up; the filters that want another text are out,
//! however many they are. A filter that asks for several such things is found by the one that fewest share.

use std::collections::HashMap;

use crate::{
    eval::Run,
    program::{Comparison, Id, Logic, Node, Program},
    value::{Attributes, Value},
};

/// Filters, by what they ask for.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    subjects: Vec<Subject>,
    /// The place of a node among the subjects.
    places: HashMap<Id, usize>,
    /// Those that ask for no such thing.
    always: Bits,
}

/// Something that filters want to be equal to a text.
#[derive(Debug, Clone)]
struct Subject {
    id: Id,
    /// For each text the filters that want it.
    texts: HashMap<Box<str>, Vec<usize>>,
    /// Those that want it by IN, which compares numbers and truths in another way.
    sets: Vec<usize>,
}

/// A set of filters' places.
#[derive(Debug, Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn add(&mut self, place: usize) {
        let word = place / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (place % 64);
    }

    pub(super) fn has(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}

impl Index {
    /// Notes the filter at `place`, whose root is `root`.
    pub(super) fn push(&mut self, program: &Program, root: Id, place: usize) {
        let parts = match program.node(root) {
            Node::Logic(Logic::And, parts) => parts,
            _ => &[root][..],
        };
        let demands = parts.iter().filter_map(|part| demand(program, *part));
        match demands.min_by_key(|demand| self.sharing(demand)) {
            None => self.always.add(place),
            Some(demand) => self.note(demand, place),
        }
    }

    /// How many filters would be looked at together with one of this demand.
    fn sharing(&self, demand: &Demand<'_>) -> usize {
        let Some(at) = self.places.get(&demand.subject) else { return 0 };
        let texts = &self.subjects[*at].texts;
        demand.texts.iter().filter_map(|text| texts.get(*text)).map(Vec::len).sum()
    }

    fn note(&mut self, demand: Demand<'_>, place: usize) {
        let at = *self.places.entry(demand.subject).or_insert_with(|| {
            let (texts, sets) = (HashMap::new(), Vec::new());
            self.subjects.push(Subject { id: demand.subject, texts, sets });
            self.subjects.len() - 1
        });
        let subject = &mut self.subjects[at];
        if demand.is_set {
            subject.sets.push(place);
        }
        for text in demand.texts {
            subject.texts.entry(text.into()).or_default().push(place);
        }
    }

    /// The filters that may hold; the others do not.
    pub(super) fn candidates<A: Attributes + ?Sized>(&self, run: &Run<'_, A>) -> Bits {
        let mut candidates = self.always.clone();
        for subject in &self.subjects {
            let outcome = run.outcome(subject.id);
            if outcome.has_failed {
                continue;
            }
            if !matches!(outcome.value, Value::String(_)) {
                subject.sets.iter().for_each(|place| candidates.add(*place));
            }
            let wanted = subject.texts.get(&*outcome.value.into_text());
            wanted.into_iter().flatten().for_each(|place| candidates.add(*place));
        }
        candidates
    }
}

/// What a filter cannot hold without: the text of a node is one of these.
struct Demand<'p> {
    subject: Id,
    texts: Vec<&'p str>,
    is_set: bool,
}

fn demand(program: &Program, part: Id) -> Option<Demand<'_>> {
    let text = |id: &Id| match program.node(*id) {
        Node::Text(text) => Some(&**text),
        _ => None,
    };
    let (subject, texts, is_set) = match program.node(part) {
        Node::Holds(inner) => return demand(program, *inner),
        Node::Compare(Comparison::Equal, subject, wanted) => (*subject, vec![text(wanted)?], false),
        Node::In(subject, set) => (*subject, set.iter().map(text).collect::<Option<Vec<_>>>()?, true),
        _ => return None,
    };
    program.node(subject).literal().is_none().then_some(Demand { subject, texts, is_set })
}
