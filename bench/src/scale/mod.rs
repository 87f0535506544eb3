//! How cost grows: with ports, with addresses, with the length of frames. Each point of a curve is a switch of its own, a table
//! of another size or another frame, and the points take turns within a round, so that "2,000 ports to 2" is a ratio of
//! neighbours in time.

mod addresses;
mod crowd;
mod ports;
mod sizes;

use anyhow::Result;

use crate::metric::Metric;
use crate::record::{Gap, Record};
use crate::rivals::Kind;
use crate::rounds::{Plan, guarded};

/// A quantity along an axis.
pub(crate) struct Curve {
    /// What is measured; its key is what the curve is called on the command line.
    pub(crate) metric: Metric,
    /// How.
    pub(crate) title: &'static str,
    /// What is counted along the axis.
    pub(crate) axis: &'static str,
}

impl Curve {
    const fn new(metric: Metric, axis: &'static str, title: &'static str) -> Self {
        Self { metric, title, axis }
    }
}

/// All of them, in the order of the tables.
pub(crate) const CURVES: &[&Curve] = &[
    &ports::FORWARD,
    &ports::FLOOD,
    &ports::ADD,
    &ports::START,
    &ports::MEMORY,
    &ports::IDLE,
    &ports::MAPS,
    &addresses::FORWARD,
    &addresses::LEARN,
    &sizes::FORWARD,
];

/// The switches whose cost along the curves is looked at. `auto` is always one of `tc` and `xdp`.
const KINDS: [Kind; 5] = [Kind::Bridge, Kind::Tc, Kind::Xdp, Kind::OtherTc, Kind::OtherXdp];

/// Plays the rounds of all curves that are wanted.
pub(crate) fn play(plan: &Plan, record: &mut Record) {
    let kinds: Vec<Kind> = KINDS.into_iter().filter(|kind| plan.kinds.contains(kind)).collect();
    ports::play(plan, &kinds, record);
    addresses::play(plan, &kinds, record);
    sizes::play(plan, &kinds, record);
}

/// Whether the plan has a curve.
fn is_wanted(plan: &Plan, curve: &Curve) -> bool {
    plan.curves.iter().any(|wanted| wanted.metric.key == curve.metric.key)
}

/// One point of a curve in one round.
fn measure(
    record: &mut Record,
    curve: &Curve,
    (kind, at, round): (Kind, u64, usize),
    work: impl FnOnce() -> Result<f64>,
) {
    match guarded(work) {
        Ok(value) => {
            println!("  {} {} {}: {}", curve.metric.key, kind.key(), at, crate::statistics::short(value));
            record.add(&curve.metric, kind.key(), Some(at), round, value);
        }
        Err(error) => {
            println!("  {} {} {at}: FAILED ({error:#})", curve.metric.key, kind.key());
            fail(record, curve.metric.key, kind, &error);
        }
    }
}

fn fail(record: &mut Record, what: &str, kind: Kind, error: &anyhow::Error) {
    let (work, rival, why) = (what.to_owned(), kind.key().to_owned(), format!("{error:#}"));
    record.add_gap(Gap { work, rival, why, is_failure: true });
}
