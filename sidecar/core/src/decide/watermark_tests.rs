use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const BYTES: usize = 4096;

fn take(mark: &mut Watermark, offset: i64) -> i64 {
    assert_eq!(mark.fetched(offset, 0), Fetched::Take, "{offset}");
    offset
}

#[test]
fn only_the_contiguous_prefix_is_committed() {
    let mut mark = Watermark::new(10, BYTES);
    let (a, b, c) = (take(&mut mark, 10), take(&mut mark, 11), take(&mut mark, 15));
    mark.settle(b);
    assert_eq!(mark.commit().unwrap().offset, 10);
    mark.settle(a);
    let commit = mark.commit().unwrap();
    // 12 to 14 are a gap that a broker may leave: the next record to read is 15.
    assert_eq!((commit.offset, commit.metadata.as_str()), (15, ""));
    mark.settle(c);
    assert_eq!(mark.commit().unwrap().offset, 16);
    assert_eq!(mark.commit(), None);
}

#[test]
fn what_was_finished_beyond_is_passed_over_after_a_restart() {
    let mut mark = Watermark::new(0, BYTES);
    let taken: Vec<i64> = (0..6).map(|offset| take(&mut mark, offset)).collect();
    for done in [1, 2, 4] {
        mark.settle(taken[done]);
    }
    let commit = mark.commit().unwrap();
    let mut again = Watermark::resume(commit.offset, &commit.metadata, BYTES);
    let seen: Vec<i64> = (0..7).filter(|o| again.fetched(*o, 0) != Fetched::Skip).collect();
    assert_eq!(seen, [0, 3, 5, 6]);
}

#[test]
fn a_commit_before_everything_is_fetched_again_forgets_nothing() {
    let mut mark = Watermark::new(0, BYTES);
    let taken: Vec<i64> = (0..10).map(|offset| take(&mut mark, offset)).collect();
    (1..9).for_each(|n| assert!(mark.settle(taken[n])));
    let first = mark.commit().unwrap();
    let mut second = Watermark::resume(first.offset, &first.metadata, BYTES);
    let zero = take(&mut second, 0);
    second.settle(zero);
    let commit = second.commit().unwrap();
    let mut third = Watermark::resume(commit.offset, &commit.metadata, BYTES);
    assert_eq!(commit.offset, 1);
    assert_eq!((1..10).filter(|o| third.fetched(*o, 0) != Fetched::Skip).collect::<Vec<_>>(), [9]);
}

#[test]
fn a_released_record_is_taken_again_and_its_neighbours_are_not() {
    let mut mark = Watermark::new(0, BYTES);
    let taken: Vec<i64> = (0..3).map(|offset| take(&mut mark, offset)).collect();
    mark.release(taken[1]);
    assert_eq!((mark.rewind(), mark.open()), (Some(1), 2));
    assert_eq!(mark.fetched(1, 0), Fetched::Take);
    assert_eq!(mark.fetched(2, 0), Fetched::Skip);
    assert_eq!(mark.rewind(), None);
    assert!(taken.iter().all(|offset| mark.settle(*offset)));
    assert!(!mark.settle(taken[0]));
    assert_eq!(mark.next(), 3);
}

#[test]
fn a_partition_that_would_not_fit_says_so_before() {
    let mut mark = Watermark::new(0, 64);
    let mut offset = 0;
    let mut taken = Vec::new();
    while mark.fits(offset) {
        taken.push(take(&mut mark, offset));
        offset += 1_000;
    }
    assert!((5..100).contains(&taken.len()), "{}", taken.len());
    mark.settle(*taken.last().unwrap());
    let commit = mark.commit().unwrap();
    let again = marks::decode(commit.offset, &commit.metadata).unwrap();
    assert!(again.contains(offset - 1_000), "the last one is remembered");
    mark.settle(taken[0]);
    mark.settle(taken[1]);
    assert!(mark.fits(offset));
}

#[test]
fn skipping_passes_over_what_was_not_fetched() {
    let mut mark = Watermark::new(5, BYTES);
    take(&mut mark, 5);
    mark.skip_to(9);
    assert_eq!(mark.commit().unwrap().offset, 5);
    mark.settle(5);
    assert_eq!(mark.commit().unwrap().offset, 9);
    assert_eq!(mark.fetched(8, 0), Fetched::Skip);
}

/// The plain model: a map of what was fetched, and a set of what is settled.
#[derive(Default)]
struct Model {
    fetched: BTreeMap<i64, bool>,
}

proptest! {
    /// Fetches with gaps, settlements in any order, releases with seeks and restarts from the last commit: what
    /// is committed never passes an unsettled record and never moves back, and a restart repeats exactly what
    /// was not settled at the last commit.
    #[test]
    fn it_does_what_the_plain_model_does(
        steps in proptest::collection::vec((0_u8..6, any::<u16>()), 0..400),
        bytes_max in prop_oneof![Just(96_usize), Just(4096)],
    ) {
        let mut model = Model::default();
        let mut mark = Watermark::new(0, bytes_max);
        let mut open: BTreeSet<i64> = BTreeSet::new();
        let (mut committed, mut saved) = (0_i64, String::new());
        let mut settled_at_commit: BTreeSet<i64> = BTreeSet::new();
        for (step, dice) in steps {
            let pick = |open: &BTreeSet<i64>| open.iter().nth(usize::from(dice) % open.len().max(1)).copied();
            match step {
                0 | 1 => {
                    let offset = mark.position() + i64::from(dice % 3);
                    if mark.fits(offset) && mark.fetched(offset, 0) == Fetched::Take {
                        prop_assert!(!settled_at_commit.contains(&offset), "{offset} again");
                        open.insert(offset);
                        model.fetched.entry(offset).or_insert(false);
                    }
                }
                2 | 3 => if let Some(offset) = pick(&open) {
                    prop_assert!(mark.settle(offset));
                    open.remove(&offset);
                    model.fetched.insert(offset, true);
                }
                4 => if let Some(offset) = pick(&open) {
                    mark.release(offset);
                    prop_assert_eq!(mark.rewind(), Some(offset));
                    prop_assert_eq!(mark.fetched(offset, 0), Fetched::Take);
                }
                _ => {
                    if let Some(commit) = mark.commit() {
                        prop_assert!(commit.offset >= committed && commit.metadata.len() <= bytes_max);
                        prop_assert!(model.fetched.iter().all(|(o, done)| *done || *o >= commit.offset));
                        (committed, saved) = (commit.offset, commit.metadata);
                        settled_at_commit =
                            model.fetched.iter().filter(|(_, done)| **done).map(|(o, _)| *o).collect();
                    }
                    if dice % 4 == 0 {
                        mark = Watermark::resume(committed, &saved, bytes_max);
                        open.clear();
                        model.fetched.retain(|offset, _| settled_at_commit.contains(offset));
                        let known = model.fetched.keys().filter(|o| **o >= committed);
                        for offset in known.copied().collect::<Vec<_>>() {
                            prop_assert!(mark.done.contains(offset), "{offset} would be repeated");
                        }
                    }
                }
            }
        }
    }
}
