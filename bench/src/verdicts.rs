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
use vswitch_common::limits::PUNTS_PER_PORT_S;
use vswitch_tests::frame::{arp_request, ipv4_udp};
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

/// Punts are limited to some a second, and a run of more measures the limit.
const REPEAT_PUNT: u32 = PUNTS_PER_PORT_S / 2;

/// A case.
pub(crate) struct Verdict {
    /// Its metric.
    pub(crate) metric: Metric,
    /// The frame, of station 1 at port A.
    frame: fn() -> Vec<u8>,
    /// What is peculiar about A and B.
    ports: Ports,
    repeat: u32,
    hooks: &'static [Hook],
}

/// What is peculiar about the ports.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ports {
    Plain,
    /// A is guarded.
    Guarded,
    /// Both are access ports of VLAN [`VID`].
    Access,
}

impl Verdict {
    const fn new(metric: Metric, frame: fn() -> Vec<u8>) -> Self {
        Self { metric, frame, ports: Ports::Plain, repeat: REPEAT, hooks: &[Hook::Tc, Hook::Xdp] }
    }

    const fn at(self, hooks: &'static [Hook], repeat: u32) -> Self {
        Self { hooks, repeat, ..self }
    }

    const fn with(self, ports: Ports) -> Self {
        Self { ports, ..self }
    }
}

/// All of them.
pub(crate) const VERDICTS: &[Verdict] = &[
    Verdict::new(Metric::less("verdict-forward", "forward to a known station", "ns"), || {
        plain(station(2), station(1))
    }),
    Verdict::new(Metric::less("verdict-guarded", "forward IPv4 from a guarded port", "ns"), || ipv4_from(IP))
        .with(Ports::Guarded),
    Verdict::new(
        Metric::less("verdict-vlan", "forward within a VLAN, from access port to access port", "ns"),
        || plain(station(2), station(1)),
    )
    .with(Ports::Access),
    Verdict::new(
        Metric::less("verdict-drop", "drop: the destination is behind the ingress port", "ns"),
        || plain(station(1), station(1)),
    ),
    Verdict::new(
        Metric::less("verdict-spoofed", "drop: IPv4 from an address that is not the port's", "ns"),
        || ipv4_from(Ipv4Addr::new(10, 0, 0, 3)),
    )
    .with(Ports::Guarded),
    Verdict::new(Metric::less("verdict-pass", "XDP: leave a broadcast to tc", "ns"), || {
        plain(MacAddr::BROADCAST, station(1))
    })
    .at(&[Hook::Xdp], REPEAT),
    Verdict::new(Metric::less("verdict-punt", "punt an ARP question to the controller", "ns"), || {
        arp_request((station(1), IP), Ipv4Addr::new(10, 0, 0, 9))
    })
    .at(&[Hook::Tc], REPEAT_PUNT),
    Verdict::new(Metric::less("verdict-flood", "flood to three ports, with the sending", "ns"), || {
        plain(MacAddr::BROADCAST, station(1))
    })
    .at(&[Hook::Tc], REPEAT_FLOOD),
];

/// IPv4 from A's station, with a source address.
fn ipv4_from(ip: Ipv4Addr) -> Vec<u8> {
    ipv4_udp((station(1), ip, 1), (station(2), Ipv4Addr::new(10, 0, 0, 2), 2), &[0; 18])
}

/// The VLAN of access ports.
const VID: u16 = 10;

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
                arrange(fixture, verdict.ports);
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

/// Ports as the case has them, and a station known at each.
fn arrange(fixture: &mut Fixture, ports: Ports) {
    fixture.reset();
    for (port, number) in [(A, 1), (B, 2)] {
        if ports == Ports::Access {
            fixture.make_vlan_aware(port, VID, &[]);
        }
        fixture.tc(port, &plain(station(number), station(number)));
    }
    if ports == Ports::Guarded {
        fixture.guard(A, station(1), &[IpAddr::V4(IP)]);
    }
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

/// A cost that is so many times the accepted one is said to be slower. What the neighbours of a virtual machine do makes less.
pub(crate) const SLOWER: f64 = 1.2;

/// Says which of a record's verdicts cost more than was accepted: a commit that made one dearer, or another machine.
pub(crate) fn say_slower(record: &Record, baseline: &Baseline) {
    for (key, hooks) in baseline {
        for (hook, accepted) in hooks {
            let values = record.values(key, hook, None).into_iter().flatten().flatten().copied();
            let Some(summary) = crate::statistics::Summary::of(values) else { continue };
            if summary.median > accepted * SLOWER {
                let (is, ratio) = (summary.median, summary.median / accepted);
                println!("slower than accepted: {key} {hook}: {is:.0} ns, {ratio:.2} times {accepted:.0} ns");
            }
        }
    }
}

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
