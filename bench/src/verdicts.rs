//! What a frame costs in the kernel programs alone: nanoseconds by verdict, by `BPF_PROG_TEST_RUN`, against the accepted
//! figures of `baseline.json`.
//!
//! Such a run decides about a redirect but does not carry it out; a flood's copies are sent. What a program writes into the
//! frame the next run meets, so verdicts that write are not here.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::{Context as _, Result};
use vswitch_tests::frame::ipv4_udp;
use vswitch_tests::program::{A, B, Fixture, Hook, MacAddr, plain, station};

use crate::cpu::{self, Awake};
use crate::metric::Metric;
use crate::record::Record;
use crate::rounds::Plan;

/// The accepted figures.
const BASELINE: &str = "baseline.json";

/// Runs of one measurement.
const REPEAT: u32 = 200_000;

/// A flood's copies are sent, so it gets fewer.
const REPEAT_FLOOD: u32 = 5_000;

/// A case.
pub(crate) struct Verdict {
    /// Its metric.
    pub(crate) metric: Metric,
    /// The frame, of station 1 at port A.
    frame: fn() -> Vec<u8>,
    /// Guards A.
    is_guarded: bool,
    repeat: u32,
    hooks: &'static [Hook],
}

/// All of them.
pub(crate) const VERDICTS: &[Verdict] = &[
    Verdict {
        metric: Metric::less("verdict-forward", "forward to a known station", "ns"),
        frame: || plain(station(2), station(1)),
        is_guarded: false,
        repeat: REPEAT,
        hooks: &[Hook::Tc, Hook::Xdp],
    },
    Verdict {
        metric: Metric::less("verdict-guarded", "forward IPv4 from a guarded port", "ns"),
        frame: || ipv4_udp((station(1), IP, 1), (station(2), Ipv4Addr::new(10, 0, 0, 2), 2), &[0; 18]),
        is_guarded: true,
        repeat: REPEAT,
        hooks: &[Hook::Tc, Hook::Xdp],
    },
    Verdict {
        metric: Metric::less("verdict-drop", "drop: the destination is behind the ingress port", "ns"),
        frame: || plain(station(1), station(1)),
        is_guarded: false,
        repeat: REPEAT,
        hooks: &[Hook::Tc, Hook::Xdp],
    },
    Verdict {
        metric: Metric::less("verdict-pass", "XDP: leave a broadcast to tc", "ns"),
        frame: || plain(MacAddr::BROADCAST, station(1)),
        is_guarded: false,
        repeat: REPEAT,
        hooks: &[Hook::Xdp],
    },
    Verdict {
        metric: Metric::less("verdict-flood", "flood to three ports, with the sending", "ns"),
        frame: || plain(MacAddr::BROADCAST, station(1)),
        is_guarded: false,
        repeat: REPEAT_FLOOD,
        hooks: &[Hook::Tc],
    },
];

/// The address that A is given where it is guarded.
const IP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

/// Measures the wanted ones in all rounds.
pub(crate) fn play(plan: &Plan, record: &mut Record) {
    if plan.verdicts.is_empty() {
        return;
    }
    println!("cost by verdict");
    let _awake = Awake::keep();
    Fixture::run_alone(4, |fixture| {
        let _anywhere = cpu::pin(cpu::CLIENT);
        for round in 0..plan.rounds {
            for verdict in &plan.verdicts {
                fixture.reset();
                for (port, number) in [(A, 1), (B, 2)] {
                    fixture.tc(port, &plain(station(number), station(number)));
                }
                if verdict.is_guarded {
                    fixture.guard(A, station(1), &[IpAddr::V4(IP)]);
                }
                for hook in verdict.hooks {
                    let time = fixture.time_at(*hook, A, &(verdict.frame)(), verdict.repeat);
                    let ns = time.as_secs_f64() * 1e9;
                    println!("  {} {}: {ns:.0} ns", verdict.metric.key, name(*hook));
                    record.add(&verdict.metric, name(*hook), None, round, ns);
                }
            }
        }
    });
}

/// The rival that a hook's figures stand for.
fn name(hook: Hook) -> &'static str {
    match hook {
        Hook::Xdp => "xdp",
        Hook::Tc => "tc",
    }
}

/// Accepted nanoseconds, by metric and hook.
pub(crate) type Baseline = BTreeMap<String, BTreeMap<String, f64>>;

/// The accepted figures; none if there are none yet.
///
/// # Errors
/// When the file is of another shape.
pub(crate) fn baseline(folder: &Path) -> Result<Option<Baseline>> {
    let path = folder.join(BASELINE);
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is of another shape", path.display()))
            .map(Some),
        Err(_) => Ok(None),
    }
}

/// Accepts what a record has.
///
/// # Errors
/// When it has no such figure, or the folder cannot be written.
pub(crate) fn accept(record: &Record, folder: &Path) -> Result<()> {
    let mut accepted = Baseline::new();
    for verdict in VERDICTS {
        for hook in verdict.hooks {
            let values = record.values(verdict.metric.key, name(*hook), None);
            let values =
                values.with_context(|| format!("no figure for {}: measure all", verdict.metric.key))?;
            let summary = crate::statistics::Summary::of(values.iter().flatten().copied());
            let median = summary.context("no round has a value")?.median.round();
            accepted.entry(verdict.metric.key.to_owned()).or_default().insert(name(*hook).to_owned(), median);
        }
    }
    let path = folder.join(BASELINE);
    fs::write(&path, serde_json::to_string_pretty(&accepted)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}
