//! Rules and targets of a scenario that has some: drawn from its seed, told as a user would write them, and judged
//! here without the sidecar's own code.

use super::Place;
use fastrand::Rng;

/// The most targets, the function included.
pub const TARGETS: usize = 3;
/// What they are called, by their numbers.
pub const NAMES: [&str; TARGETS] = ["function", "t1", "t2"];

/// Which record goes where.
#[derive(Debug, Clone)]
pub struct Routes {
    /// The targets besides the function; theirs are the numbers from 1 on.
    pub others: Vec<Other>,
    /// Whether a record goes wherever a rule says; else the first that fits decides.
    pub matches_all: bool,
    rules: Vec<Rule>,
    otherwise: Vec<usize>,
    /// The most copies that a disk takes.
    pub copies_max: usize,
}

/// A target besides the function.
#[derive(Debug, Clone, Copy)]
pub struct Other {
    /// Calls at once.
    pub concurrency: usize,
    /// The slowest answer while it is well.
    pub answer_ms_max: u64,
    /// The most that wait for it in memory while the rest waits on the disk, where it overflows.
    pub lane_max: Option<usize>,
}

#[derive(Debug, Clone)]
struct Rule {
    fits: Fits,
    to: Vec<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Fits {
    All,
    Key(u8),
    Keyed,
    Partition(i32),
    Offset(i64, i64),
    /// It goes wrong on every record, and so fits none.
    Fails,
}

impl Routes {
    /// Some rules.
    #[must_use]
    pub fn new(rng: &mut Rng) -> Self {
        let count = rng.usize(1..TARGETS);
        let other = |rng: &mut Rng| Other {
            concurrency: rng.usize(1..5),
            answer_ms_max: rng.u64(1..150),
            lane_max: rng.bool().then(|| rng.usize(1..6)),
        };
        let others = (0..count).map(|_| other(rng)).collect();
        let rule = |rng: &mut Rng| Rule { fits: Fits::new(rng), to: some(rng, count) };
        let rules = (0..rng.usize(1..5)).map(|_| rule(rng)).collect();
        let mut otherwise = some(rng, count);
        if otherwise.is_empty() && rng.bool() {
            otherwise.push(0);
        }
        let (matches_all, copies_max) = (rng.bool(), if rng.bool() { rng.usize(4..16) } else { 1_000 });
        Self { others, matches_all, rules, otherwise, copies_max }
    }

    /// The targets of a record; none discards it.
    #[must_use]
    pub fn to(&self, place: Place, key: Option<u8>) -> Vec<usize> {
        let mut fitting = self.rules.iter().filter(|rule| rule.fits.is_true(place, key));
        let Some(first) = fitting.next() else { return self.otherwise.clone() };
        let mut to = first.to.clone();
        if self.matches_all {
            to.extend(fitting.flat_map(|rule| rule.to.iter().copied()));
            to.sort_unstable();
            to.dedup();
        }
        to
    }

    /// The rules as a user would write them: a name, an expression, and the targets by name.
    pub fn rules(&self) -> impl Iterator<Item = (String, String, Vec<String>)> {
        let rule = |(n, Rule { fits, to }): (usize, &Rule)| (format!("r{n}"), fits.expression(), named(to));
        self.rules.iter().enumerate().map(rule)
    }

    /// The names of the targets of what fits no rule.
    #[must_use]
    pub fn otherwise(&self) -> Vec<String> {
        named(&self.otherwise)
    }
}

fn named(to: &[usize]) -> Vec<String> {
    to.iter().map(|target| NAMES[*target].to_owned()).collect()
}

/// Some of the function and `count` others; seldom none.
fn some(rng: &mut Rng, count: usize) -> Vec<usize> {
    if rng.u8(..) < 30 {
        return Vec::new();
    }
    let mut to: Vec<usize> = (0..=count).filter(|_| rng.u8(..) < 170).collect();
    if to.is_empty() {
        to.push(rng.usize(..=count));
    }
    to
}

impl Fits {
    fn new(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0 | 1 => Self::All,
            2 | 3 => Self::Key(rng.u8(..6)),
            4 => Self::Keyed,
            5 => Self::Partition(rng.i32(0..4)),
            6..9 => {
                let divisor = rng.i64(2..5);
                Self::Offset(divisor, rng.i64(0..divisor))
            }
            _ => Self::Fails,
        }
    }

    fn is_true(self, (partition, offset): Place, key: Option<u8>) -> bool {
        match self {
            Self::All => true,
            Self::Key(wanted) => key == Some(wanted),
            Self::Keyed => key.is_some(),
            Self::Partition(wanted) => partition == wanted,
            Self::Offset(divisor, rest) => offset % divisor == rest,
            Self::Fails => false,
        }
    }

    fn expression(self) -> String {
        match self {
            Self::All => "TRUE".to_owned(),
            Self::Key(wanted) => format!("partitionkey = 'k{wanted}'"),
            Self::Keyed => "EXISTS partitionkey".to_owned(),
            Self::Partition(wanted) => format!("kafkapartition = {wanted}"),
            Self::Offset(divisor, rest) => format!("INT(kafkaoffset) % {divisor} = {rest}"),
            Self::Fails => "INT(nowhere) > 0".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(matches_all: bool) -> Routes {
        let rule = |fits, to: &[usize]| Rule { fits, to: to.to_vec() };
        Routes {
            others: Vec::new(),
            matches_all,
            rules: vec![
                rule(Fits::Fails, &[2]),
                rule(Fits::Key(1), &[0, 2]),
                rule(Fits::Offset(2, 0), &[]),
                rule(Fits::Keyed, &[1]),
            ],
            otherwise: vec![0],
            copies_max: 1,
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides_or_all_do() {
        let cases = [((0, 1), Some(1)), ((0, 2), Some(3)), ((0, 2), None), ((0, 1), None)];
        let of = |routes: &Routes| cases.map(|(place, key)| routes.to(place, key));
        assert_eq!(of(&routes(false)), [vec![0, 2], vec![], vec![], vec![0]]);
        assert_eq!(of(&routes(true)), [vec![0, 1, 2], vec![1], vec![], vec![0]]);
    }
}
