//! The rounds: in each, every kind of work is done by every rival, one right after the other, so that what disturbs the
//! machine for a while disturbs all of them. Who begins changes from round to round.

use std::any::Any;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::cpu::Awake;
use crate::record::{Gap, Record};
use crate::rivals::{Kind, Rival};
use crate::scale::Curve;
use crate::statistics::short;
use crate::traffic::{NotApplicable, Work};
use crate::verdicts::Verdict;

/// How long `--hook auto` is given to follow frames that are born as XDP: three samples, a second apart, and one more.
const FOLLOWED: Duration = Duration::from_secs(5);

/// What is to be done.
pub(crate) struct Plan {
    /// Interleaved rounds.
    pub(crate) rounds: usize,
    /// About how long each run takes.
    pub(crate) time: Duration,
    /// Kinds of work.
    pub(crate) works: Vec<&'static Work>,
    /// Curves.
    pub(crate) curves: Vec<&'static Curve>,
    /// Verdicts whose cost is measured.
    pub(crate) verdicts: Vec<&'static Verdict>,
    /// Rivals.
    pub(crate) kinds: Vec<Kind>,
}

/// Sets the rivals up; one that cannot be is a gap.
pub(crate) fn set_up(plan: &Plan, record: &mut Record) -> Vec<Rival> {
    let mut rivals = Vec::new();
    if plan.works.is_empty() {
        return rivals;
    }
    for kind in &plan.kinds {
        let start = Instant::now();
        match guarded(|| Rival::set_up(*kind)) {
            Ok(rival) => {
                println!("set up {} ({:.1} s)", kind.key(), start.elapsed().as_secs_f32());
                rival.rest();
                rivals.push(rival);
            }
            Err(error) => {
                println!("cannot set up {}: {error:#}", kind.key());
                note(record, "set up", *kind, &error);
            }
        }
    }
    rivals
}

/// Plays all rounds.
pub(crate) fn play(plan: &Plan, rivals: &[Rival], record: &mut Record) {
    let start = Instant::now();
    for round in 0..plan.rounds {
        for work in &plan.works {
            print!(
                "{:>5.0} s  round {}/{}  {:13}",
                start.elapsed().as_secs_f32(),
                round + 1,
                plan.rounds,
                work.key
            );
            let awake = work.awake.then(Awake::keep);
            for turn in 0..rivals.len() {
                let rival = &rivals[place(turn, round, rivals.len())];
                rival.wake();
                let outcome = guarded(|| {
                    // Else a stack's traffic would begin at the hook that frames born as XDP led to a moment ago.
                    let begins_anew = rival.begins_anew();
                    if work.is_born() && begins_anew {
                        let _before_it_follows = work.run(rival, FOLLOWED)?;
                    }
                    work.run(rival, plan.time)
                });
                rival.rest();
                report(work, rival.kind, round, outcome, record);
            }
            drop(awake);
            println!();
        }
    }
}

/// Whose turn it is: another one begins in each round, and every other round goes backwards, so that nobody always comes after
/// the same one and what that left behind.
const fn place(turn: usize, round: usize, rivals: usize) -> usize {
    let place = (turn + round) % rivals;
    if round.is_multiple_of(2) { place } else { rivals - 1 - place }
}

fn report(work: &Work, kind: Kind, round: usize, outcome: Result<Vec<f64>>, record: &mut Record) {
    match outcome {
        Ok(values) => {
            print!("  {} {}", kind.key(), values.first().map_or_else(String::new, |value| short(*value)));
            for (metric, value) in work.metrics.iter().zip(values) {
                record.add(metric, kind.key(), None, round, value);
            }
        }
        Err(error) => {
            if error.is::<NotApplicable>() {
                print!("  {} –", kind.key());
            } else {
                print!("  {} FAILED ({error:#})", kind.key());
            }
            note(record, work.key, kind, &error);
        }
    }
    let _shown = std::io::stdout().flush();
}

fn note(record: &mut Record, work: &str, kind: Kind, error: &anyhow::Error) {
    record.add_gap(Gap {
        work: work.to_owned(),
        rival: kind.key().to_owned(),
        why: format!("{error:#}"),
        is_failure: !error.is::<NotApplicable>(),
    });
}

/// The lab panics where it cannot go on; here that is one run that failed.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(anyhow!("{}", message(panic.as_ref()))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_one_turn_a_round_and_comes_before_and_after_the_same_one() {
        let order = |round| (0..5).map(|turn| place(turn, round, 5)).collect::<Vec<_>>();
        for round in 0..10 {
            let mut sorted = order(round);
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2, 3, 4]);
        }
        assert_eq!([order(0), order(1), order(2)], [[0, 1, 2, 3, 4], [3, 2, 1, 0, 4], [2, 3, 4, 0, 1]]);
    }
}
