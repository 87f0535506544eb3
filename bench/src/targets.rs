//! What the figures should be: ratios within one run on a machine with two CPUs. "Must" is what vswitch is not released
//! without, "aim" is what it is worked towards.

use crate::metric::{Better, Metric};
use crate::record::Record;
use crate::statistics::Summary;

/// One figure to reach.
pub(crate) struct Target {
    /// Key of the metric.
    metric: &'static str,
    /// Key of the rival, mostly a vswitch, and the place on its curve.
    rival: (&'static str, Option<u64>),
    /// What it is compared with; none if the value counts as it is.
    base: Option<(&'static str, Option<u64>)>,
    /// What it is for readers.
    pub(crate) title: &'static str,
    /// Which way is better.
    pub(crate) better: Better,
    /// At least this, or at most.
    pub(crate) must: f64,
    /// Better still.
    pub(crate) aim: f64,
}

/// What became of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The aim is reached.
    Aim,
    /// The must is.
    Must,
    /// Not even that.
    Missed,
}

impl Target {
    /// What was measured; none if it was not.
    #[must_use]
    pub(crate) fn measured(&self, record: &Record) -> Option<Summary> {
        let of = |(rival, at): (&str, Option<u64>)| record.values(self.metric, rival, at);
        let values = of(self.rival)?;
        match self.base {
            Some(base) => Summary::of_ratios(values, of(base)?),
            None => Summary::of(values.iter().flatten().copied()),
        }
    }

    /// How that stands, judged by the median.
    #[must_use]
    pub(crate) fn standing(&self, measured: f64) -> Standing {
        let reaches = |goal: f64| match self.better {
            Better::More => measured >= goal,
            Better::Less => measured <= goal,
        };
        match (reaches(self.aim), reaches(self.must)) {
            (true, _) => Standing::Aim,
            (false, true) => Standing::Must,
            (false, false) => Standing::Missed,
        }
    }
}

/// A ratio to another rival, where more is better.
const fn more(
    title: &'static str,
    metric: &'static str,
    rival: &'static str,
    base: &'static str,
    must: f64,
    aim: f64,
) -> Target {
    let (rival, base) = ((rival, None), Some((base, None)));
    Target { metric, rival, base, title, better: Better::More, must, aim }
}

/// A ratio to another rival, where less is better.
const fn less(
    title: &'static str,
    metric: &'static str,
    rival: &'static str,
    base: &'static str,
    must: f64,
    aim: f64,
) -> Target {
    Target { better: Better::Less, ..more(title, metric, rival, base, must, aim) }
}

/// A ratio of two places on one rival's curve, where more is better.
const fn along(
    title: &'static str,
    metric: &'static str,
    rival: &'static str,
    (at, base): (u64, u64),
    must: f64,
    aim: f64,
) -> Target {
    let (place, base) = ((rival, Some(at)), Some((rival, Some(base))));
    Target { metric, rival: place, base, title, better: Better::More, must, aim }
}

/// A value as it is, at a place on a curve, where less is better.
const fn at_most(
    title: &'static str,
    metric: &'static str,
    rival: &'static str,
    at: u64,
    must: f64,
    aim: f64,
) -> Target {
    Target { metric, rival: (rival, Some(at)), base: None, title, better: Better::Less, must, aim }
}

/// How far behind the better hook `--hook auto` may be, by which share.
const MOST_BEHIND: f64 = 0.05;

/// How `--hook auto` stands to the better of the two hooks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Choice {
    /// The better hook, by its median.
    pub(crate) hook: &'static str,
    /// Auto to that hook, round by round.
    pub(crate) ratio: Summary,
    /// Whether it keeps within [`MOST_BEHIND`].
    pub(crate) distance: Distance,
}

/// What the rounds say of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Distance {
    /// The median is close enough.
    Within,
    /// The median is not, but in some round auto was the better one: the rounds differ by more than what is asked about.
    Unclear,
    /// The median is not, and auto was worse in every round.
    Behind,
}

impl Choice {
    /// None where one of the three was not measured.
    #[must_use]
    pub(crate) fn of(record: &Record, metric: &Metric) -> Option<Self> {
        let values = |rival| record.values(metric.key, rival, None);
        let median = |rival| Some(Summary::of(values(rival)?.iter().flatten().copied())?.median);
        let is_xdp = match metric.better {
            Better::More => median("xdp")? > median("tc")?,
            Better::Less => median("xdp")? < median("tc")?,
        };
        let hook = if is_xdp { "xdp" } else { "tc" };
        let ratio = Summary::of_ratios(values("auto")?, values(hook)?)?;
        let (is_close, was_better) = match metric.better {
            Better::More => (ratio.median >= 1.0 - MOST_BEHIND, ratio.most >= 1.0),
            Better::Less => (ratio.median <= 1.0 + MOST_BEHIND, ratio.least <= 1.0),
        };
        let distance = match (is_close, was_better) {
            (true, _) => Distance::Within,
            (false, true) => Distance::Unclear,
            (false, false) => Distance::Behind,
        };
        Some(Self { hook, ratio, distance })
    }
}

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    more("XDP-born 64 B, hook xdp, to a bare veth pair", "born64", "xdp", "veth", 0.80, 0.90),
    more("XDP-born 64 B, hook xdp, to the bridge", "born64", "xdp", "bridge", 2.0, 2.3),
    more("XDP-born 64 B, hook xdp, to docker0", "born64", "xdp", "docker0", 4.5, 5.5),
    more("XDP-born 64 B, hook tc, to docker0", "born64", "tc", "docker0", 2.3, 3.0),
    more("TCP 1 flow, auto, to docker0", "tcp1", "auto", "docker0", 1.12, 1.3),
    more("TCP 1 flow, auto, to the bridge", "tcp1", "auto", "bridge", 1.0, 1.1),
    more("TCP 4 flows, auto, to docker0", "tcp4", "auto", "docker0", 1.15, 1.4),
    more("TCP 4 flows, auto with BIG TCP, to docker0", "tcp4", "auto-big", "docker0", 1.5, 2.0),
    more("UDP 64 B received, auto, to docker0", "udp64", "auto", "docker0", 1.4, 1.7),
    more("UDP 64 B received, auto, to the bridge", "udp64", "auto", "bridge", 1.1, 1.25),
    less("ping-pong p50, two CPUs, auto, to docker0", "rtt-cross-p50", "auto", "docker0", 0.92, 0.8),
    less("ping-pong p50, one CPU, auto, to docker0", "rtt-same-p50", "auto", "docker0", 0.92, 0.8),
    less("CPU per Gbit, auto, to docker0", "cpu-tcp", "auto", "docker0", 0.87, 0.7),
    along("65,536 addresses to 2, hook xdp", "macs-forward", "xdp", (1 << 16, 2), 0.85, 0.95),
    along("65,536 addresses to 2, hook tc", "macs-forward", "tc", (1 << 16, 2), 0.85, 0.95),
    along("2,000 ports to 2, hook xdp", "ports-forward", "xdp", (2000, 2), 0.95, 1.0),
    along("2,000 ports to 2, hook tc", "ports-forward", "tc", (2000, 2), 0.95, 1.0),
    Target {
        better: Better::Less,
        ..along("adding the 2,000th port to adding the first", "ports-add", "tc", (2000, 1), 2.0, 1.2)
    },
    at_most("adding the 2,000th port, ms", "ports-add", "tc", 2000, 10.0, 3.0),
    at_most("controller with 1,000 ports, MB resident", "ports-rss", "tc", 1000, 40.0, 20.0),
    at_most("idle controller with 1,000 ports, % of a CPU", "ports-idle", "tc", 1000, 0.0, 0.0),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn target_is_judged_by_the_ratio_of_each_round() {
        let mut record = Record::new(String::new(), Machine::default(), 3);
        let metric = Metric::more("tcp1", "", "");
        for (round, (ours, theirs)) in [(12.0, 10.0), (24.0, 20.0), (9.0, 10.0)].into_iter().enumerate() {
            record.add(&metric, "auto", None, round, ours);
            record.add(&metric, "docker0", None, round, theirs);
        }
        let target = more("", "tcp1", "auto", "docker0", 1.12, 1.3);
        let measured = target.measured(&record).expect("both were measured");
        assert_eq!((measured.median, measured.least, measured.most), (1.2, 0.9, 1.2));
        assert_eq!(target.standing(measured.median), Standing::Must);
        assert_eq!(less("", "", "", "", 1.12, 1.0).standing(1.2), Standing::Missed);
    }

    #[test]
    fn auto_is_compared_with_the_hook_that_is_better_at_the_work() {
        let mut record = Record::new(String::new(), Machine::default(), 1);
        let (rate, delay) = (Metric::more("rate", "", ""), Metric::less("delay", "", ""));
        for (rival, value) in [("auto", 96.0), ("xdp", 100.0), ("tc", 50.0)] {
            record.add(&rate, rival, None, 0, value);
            record.add(&delay, rival, None, 0, value);
        }
        let of_rate = Choice::of(&record, &rate).expect("measured");
        assert_eq!((of_rate.hook, of_rate.distance), ("xdp", Distance::Within));
        let of_delay = Choice::of(&record, &delay).expect("measured");
        assert_eq!((of_delay.hook, of_delay.distance), ("tc", Distance::Behind));
        assert_eq!(Choice::of(&record, &Metric::more("other", "", "")), None);
    }
}
