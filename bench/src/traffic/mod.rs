//! The kinds of work. Each runs for one rival for a moment and gives one value a metric.

mod born;
mod connect;
mod iperf;
mod lossless;
mod server;
mod sockperf;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::metric::Metric;
use crate::rivals::Rival;

/// A kind of work.
pub(crate) struct Work {
    /// What it is called on the command line.
    pub(crate) key: &'static str,
    /// What readers are told.
    pub(crate) title: &'static str,
    /// What it measures, in the order of the values.
    pub(crate) metrics: &'static [Metric],
    /// Whether CPUs are kept awake meanwhile.
    pub(crate) awake: bool,
    /// Whether it is part of the quick bench.
    pub(crate) quick: bool,
    /// Does it for about so long.
    pub(crate) run: fn(&Rival, Duration) -> Result<Vec<f64>>,
}

impl Work {
    /// Does it for about so long, if the rival can.
    pub(crate) fn run(&self, rival: &Rival, time: Duration) -> Result<Vec<f64>> {
        if rival.kind.is_for_drops_alone() && !self.ends_in_drop() {
            bail!(NotApplicable("it leads to an XDP drop only"));
        }
        (self.run)(rival, time)
    }

    fn ends_in_drop(&self) -> bool {
        [born::SMALL_INTO_DROP.key, born::FULL_INTO_DROP.key].contains(&self.key)
    }

    /// Whether its frames are born as XDP.
    pub(crate) fn is_born(&self) -> bool {
        self.key.starts_with("born")
    }
}

/// Why a rival has no figure for a kind of work, where that is as it should be.
#[derive(Debug)]
pub(crate) struct NotApplicable(pub(crate) &'static str);

impl std::fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotApplicable {}

/// All of them, in the order of the tables.
pub(crate) const WORKS: &[Work] = &[
    born::SMALL_INTO_DROP,
    born::FULL_INTO_DROP,
    born::SMALL_INTO_STACK,
    iperf::TCP_1,
    iperf::TCP_4,
    iperf::TCP_8,
    iperf::TCP_REVERSE,
    iperf::UDP_SMALL,
    iperf::UDP_FULL,
    iperf::CPU_TCP,
    iperf::CPU_UDP,
    sockperf::SAME_CPU,
    sockperf::OTHER_CPU,
    connect::CONNECT,
    iperf::INWARDS,
    iperf::OUTWARDS,
    lossless::SMALL,
    lossless::FULL,
];
