//! Many filters on one event.

mod index;

use self::index::Index;
use crate::{
    eval::Run,
    filter::Filter,
    program::{Builder, Id, Node},
    value::Attributes,
};

/// Filters that are asked about the same events, such as those of routes.
///
/// What is the same in several of them is there once, and is evaluated at most once for an event; so is each attribute
/// asked for at most once. The time grows no faster than the number of different subexpressions. Filters that can only hold
/// where something is equal to a text (`type = 'order' AND …`, `region IN ('eu', 'us') AND …`, the dialect `exact`) are found
/// by that text, and take no time where it is another one.
///
/// ```
/// use outrigger_cesql::{Expression, Set};
///
/// let mut routes = Set::default();
/// for text in ["type = 'order' AND region = 'eu'", "type = 'order' AND region = 'us'", "EXISTS region"] {
///     routes.push(&Expression::parse(text)?.into());
/// }
/// let event = [("type", "order".into()), ("region", "us".into())];
/// assert_eq!(routes.matches(&event).collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), outrigger_cesql::ParseError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Set {
    builder: Builder,
    roots: Vec<Id>,
    index: Index,
}

impl Set {
    /// Adds a filter and gives its place: 0 for the first one.
    pub fn push(&mut self, filter: &Filter) -> usize {
        let (program, root) = filter.parts();
        // Whether it holds is what is asked of a root anyway.
        let root = if let Node::Holds(inner) = program.node(root) { *inner } else { root };
        let root = self.builder.adopt(program, root);
        self.builder.using(root);
        let place = self.roots.len();
        self.index.push(self.builder.program(), root, place);
        self.roots.push(root);
        place
    }

    /// How many filters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.roots.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// How many different subexpressions they have: what an evaluation may have to look at.
    #[must_use]
    pub fn subexpressions(&self) -> usize {
        self.builder.program().nodes.len()
    }

    /// The places of the filters that the event passes, in ascending order.
    ///
    /// Which of them may pass is known at once; each of those is evaluated when the iterator comes to it.
    pub fn matches<'s, A: Attributes + ?Sized>(&'s self, event: &'s A) -> impl Iterator<Item = usize> + 's {
        let run = Run::quick(self.builder.program(), event);
        let candidates = self.index.candidates(&run);
        let roots = self.roots.iter().enumerate();
        roots.filter(move |(place, root)| candidates.has(*place) && run.holds(**root)).map(|(place, _)| place)
    }

    /// The same, and between them the places of those that the event does not pass because something went wrong, such as
    /// an attribute that it has not. Where a filter is never looked at, as it can only hold for another text, nothing can go
    /// wrong.
    pub fn judgements<'s, A: Attributes + ?Sized>(
        &'s self,
        event: &'s A,
    ) -> impl Iterator<Item = (usize, Judgement)> + 's {
        let run = Run::quick(self.builder.program(), event);
        let candidates = self.index.candidates(&run);
        let roots = self.roots.iter().enumerate();
        roots.filter_map(move |(place, root)| {
            if !candidates.has(place) {
                return None;
            }
            match run.judged(*root) {
                (true, _) => Some((place, Judgement::Passes)),
                (false, true) => Some((place, Judgement::Failed)),
                (false, false) => None,
            }
        })
    }
}

/// What becomes of an event that a filter does not simply refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It passes.
    Passes,
    /// It does not, because something went wrong.
    Failed,
}

impl<'f> FromIterator<&'f Filter> for Set {
    fn from_iter<I: IntoIterator<Item = &'f Filter>>(filters: I) -> Self {
        let mut set = Self::default();
        for filter in filters {
            set.push(filter);
        }
        set
    }
}
