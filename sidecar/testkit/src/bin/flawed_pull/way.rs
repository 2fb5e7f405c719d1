//! Which event goes where, and what of that is on the disk: a line in `marks` for each target that has an event of several,
//! in `discarded` for each that a rule discards, in `overflow` for each that waits for a slow target, in `gone` for each of
//! those that does no longer.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fs::{self, File},
    io::{self, Write as _},
};

use outrigger_testkit::{
    Producer,
    suite::{Routes, Setup, routes::FUNCTION, toy::Carried},
};
use serde::{Deserialize, Serialize};

/// Tokens of what comes from the disk: those of the broker are below.
const FROM_DISK: u64 = 1 << 40;

/// An event that waits for a slow target.
#[derive(Clone, Serialize, Deserialize)]
struct Copy {
    target: usize,
    id: String,
    key: String,
    event: Carried,
}

/// The ways that events go.
pub(crate) struct Way {
    routes: Routes,
    flaw: String,
    targets: Vec<Producer>,
    /// By token, the targets that do not have it yet and the number of all.
    open: HashMap<u64, (HashSet<usize>, usize)>,
    marks: HashSet<String>,
    /// What waits, for each target by number.
    waiting: BTreeMap<usize, VecDeque<(u64, Copy)>>,
    kept: u64,
}

impl Way {
    pub(crate) fn open(setup: &Setup, flaw: &str) -> io::Result<Self> {
        let routes = setup.routes.clone();
        let urls = std::iter::once(&setup.function).chain(routes.targets.iter().map(|target| &target.url));
        let lines = |name| fs::read_to_string(name).unwrap_or_default(); // there may be none yet
        let known = if flaw == "oblivious" { String::new() } else { lines("marks") };
        let (targets, marks) =
            (urls.map(|url| Producer::new(url)).collect(), known.lines().map(str::to_owned).collect());
        let gone: HashSet<u64> = lines("gone").lines().filter_map(|line| line.parse().ok()).collect();
        let mut waiting = BTreeMap::<usize, VecDeque<(u64, Copy)>>::new();
        if fs::exists("discarded")? {
            fs::remove_file("discarded")?; // counted since the start
        }
        let mut kept = 0;
        for line in lines("overflow").lines() {
            let copy: Copy = serde_json::from_str(line)?;
            kept += 1;
            if !gone.contains(&kept) {
                waiting.entry(copy.target).or_default().push_back((kept, copy));
            }
        }
        Ok(Self { routes, flaw: flaw.to_owned(), targets, open: HashMap::new(), marks, waiting, kept })
    }

    pub(crate) fn target(&self, target: usize) -> Producer {
        self.targets[target].clone()
    }

    /// The most that are in hand for one that overflows.
    pub(crate) fn lane_max(&self, target: usize) -> usize {
        target.checked_sub(1).and_then(|n| self.routes.targets[n].lane_max).unwrap_or(0)
    }

    pub(crate) fn overflowing(&self) -> Vec<usize> {
        (0..self.targets.len()).filter(|target| self.lane_max(*target) > 0).collect()
    }

    /// An event has come. Gives back the targets that are to be called with it.
    pub(crate) fn taken(
        &mut self,
        token: u64,
        id: &str,
        ty: &str,
        event: &Carried,
    ) -> io::Result<Vec<usize>> {
        let number = |name: &str| match self.routes.targets.iter().position(|target| target.name == name) {
            Some(place) => place + 1,
            None => 0,
        };
        let mut to: Vec<usize> = self.routes.to(ty).into_iter().map(number).collect();
        if to.is_empty() {
            line("discarded", ty)?;
            if self.flaw == "astray" {
                to.push(number(FUNCTION));
            }
        }
        self.open.insert(token, (to.iter().copied().collect(), to.len()));
        to.retain(|target| !self.marks.contains(&mark(*target, id)));
        let all = self.open[&token].0.clone();
        for target in all.into_iter().filter(|target| !to.contains(target)) {
            self.has(token, target, None)?; // by its mark
        }
        for target in self.overflowing().into_iter().filter(|target| to.contains(target)) {
            self.keep(target, id, event)?;
            self.has(token, target, Some(id))?;
        }
        to.retain(|target| self.lane_max(*target) == 0);
        Ok(to)
    }

    fn keep(&mut self, target: usize, id: &str, event: &Carried) -> io::Result<()> {
        let key = event.headers.iter().find(|(name, _)| name == "ce-partitionkey");
        let key = key.map(|(_, value)| value.clone()).unwrap_or_default();
        let copy = Copy { target, id: id.to_owned(), key, event: event.clone() };
        if self.flaw != "volatile" {
            line("overflow", &serde_json::to_string(&copy)?)?;
        }
        self.kept += 1;
        self.waiting.entry(target).or_default().push_back((self.kept, copy));
        Ok(())
    }

    /// The next that waits for a target: its token, id, key and what is carried.
    pub(crate) fn next(&mut self, target: usize) -> Option<(u64, String, String, Carried)> {
        let (number, copy) = self.waiting.get_mut(&target)?.pop_front()?;
        let token = FROM_DISK + number;
        self.open.insert(token, (HashSet::from([target]), 1));
        Some((token, copy.id, copy.key, copy.event))
    }

    /// The target has the event `id`; without an id, it has it by a mark or as a dead letter, and gets no mark.
    pub(crate) fn has(&mut self, token: u64, target: usize, id: Option<&str>) -> io::Result<()> {
        if let Some(number) = token.checked_sub(FROM_DISK) {
            line("gone", &number.to_string())?;
        }
        let Some((open, all)) = self.open.get_mut(&token) else { return Ok(()) };
        open.remove(&target);
        if self.flaw == "hasty" {
            open.clear();
        }
        match id {
            Some(id) if *all > 1 => line("marks", &mark(target, id)),
            _ => Ok(()),
        }
    }

    /// Whether its source is to hear that all have it; once, and never of what is from the disk.
    pub(crate) fn is_had(&mut self, token: u64) -> bool {
        let is_had = self.open.get(&token).is_some_and(|(open, _)| open.is_empty());
        if is_had {
            self.open.remove(&token);
        }
        is_had && token < FROM_DISK
    }
}

fn mark(target: usize, id: &str) -> String {
    format!("{target} {id}")
}

fn line(name: &str, text: &str) -> io::Result<()> {
    writeln!(File::options().create(true).append(true).open(name)?, "{text}")
}
