//! What ports cost: forwarding and flooding with many, adding one more, and the controller that has them.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use vswitch_common::mac::MacAddr;
use vswitch_tests::bpf::Vary;
use vswitch_tests::frame;
use vswitch_tests::sys::packet_socket;

use super::crowd::Crowd;
use super::{Curve, fail, is_wanted, measure};
use crate::cpu::{self, Awake};
use crate::metric::Metric;
use crate::record::Record;
use crate::rivals::Kind;
use crate::rounds::{Plan, guarded};
use crate::station::LINK;
use crate::statistics::Summary;

/// Forwarding.
pub(super) const FORWARD: Curve = Curve::new(
    Metric::more("ports-forward", "forwarding while there are many ports", "kpps"),
    "ports",
    "XDP-born frames of 64 bytes between two ports, into an XDP drop",
);
/// Flooding.
pub(super) const FLOOD: Curve = Curve::new(
    Metric::more("ports-flood", "flooding to many ports", "k copies/s"),
    "ports",
    "broadcasts of one sender, one write a frame; copies that the other ports' far ends got",
);
/// Adding.
pub(super) const ADD: Curve = Curve::new(
    Metric::less("ports-add", "adding one more port", "ms"),
    "ports",
    "`vswitch port add` (`ip link set master` for the bridge), the whole command; the median of the 21 before that size",
);
/// Starting.
pub(super) const START: Curve = Curve::new(
    Metric::less("ports-start", "starting the controller", "s"),
    "ports",
    "from the command to the `ready` line, with so many ports to adopt; 20 ms resolution",
);
/// Memory of the controller.
pub(super) const MEMORY: Curve = Curve::new(
    Metric::less("ports-rss", "memory of the controller", "MB"),
    "ports",
    "resident set (VmRSS) after it has added the ports",
);
/// What it costs to do nothing.
pub(super) const IDLE: Curve = Curve::new(
    Metric::less("ports-idle", "CPU of the idle controller", "% of a CPU"),
    "ports",
    "over five seconds in which nobody asks it anything",
);
/// Memory of the maps.
pub(super) const MAPS: Curve = Curve::new(
    Metric::less("ports-maps", "memory of the maps", "MB"),
    "ports",
    "what the kernel accounts for the maps, as `vswitch status` shows it",
);

/// Sizes at which each is measured, and the largest that a Linux bridge can have.
const SIZES: [u64; 5] = [2, 10, 100, 1000, 2000];
const FLOODED: [u64; 3] = [10, 100, 1000];
const MOST_OF_BRIDGE: u64 = 1000;

/// How many additions a median is taken of.
const ADDITIONS: usize = 21;

/// How long an idle controller is watched.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// Plays all rounds.
pub(super) fn play(plan: &Plan, kinds: &[Kind], record: &mut Record) {
    let curves = [&FORWARD, &FLOOD, &ADD, &START, &MEMORY, &IDLE, &MAPS];
    if !curves.iter().any(|curve| is_wanted(plan, curve)) {
        return;
    }
    let mut crowds = Vec::new();
    for kind in kinds {
        for size in SIZES.into_iter().filter(|size| *kind != Kind::Bridge || *size <= MOST_OF_BRIDGE) {
            let start = Instant::now();
            match guarded(|| Crowd::set_up(*kind, size, &[])) {
                Ok(crowd) => {
                    println!(
                        "set up {} with {size} ports ({:.1} s)",
                        kind.key(),
                        start.elapsed().as_secs_f32()
                    );
                    once(plan, &crowd, record);
                    crowds.push(crowd);
                }
                Err(error) => {
                    println!("cannot set up {} with {size} ports: {error:#}", kind.key());
                    fail(record, "ports", *kind, &error);
                }
            }
        }
    }
    for round in 0..plan.rounds {
        println!("round {}/{} with many ports", round + 1, plan.rounds);
        let awake = Awake::keep();
        for crowd in &crowds {
            let point = (crowd.kind, crowd.size, round);
            if is_wanted(plan, &FORWARD) {
                measure(record, &FORWARD, point, || forward(crowd, plan.time));
            }
            if is_wanted(plan, &FLOOD) && FLOODED.contains(&crowd.size) {
                measure(record, &FLOOD, point, || flood(crowd, plan.time));
            }
        }
        drop(awake);
        if is_wanted(plan, &START) {
            for crowd in crowds.iter_mut().filter(|crowd| crowd.kind != Kind::Bridge) {
                let point = (crowd.kind, crowd.size, round);
                measure(record, &START, point, || restart(crowd));
            }
        }
    }
}

/// What is the same in every round.
fn once(plan: &Plan, crowd: &Crowd, record: &mut Record) {
    let point = (crowd.kind, crowd.size, 0);
    if is_wanted(plan, &ADD) && crowd.added_in.len() >= ADDITIONS {
        if crowd.size == SIZES[SIZES.len() - 1] {
            // The first ones, where the largest crowd began.
            measure(record, &ADD, (crowd.kind, 1, 0), || milliseconds(&crowd.added_in[..ADDITIONS]));
        }
        let last = &crowd.added_in[crowd.added_in.len() - ADDITIONS..];
        measure(record, &ADD, point, || milliseconds(last));
    }
    let Some(pid) = crowd.pid() else { return };
    if is_wanted(plan, &MEMORY) {
        measure(record, &MEMORY, point, || resident_mb(pid));
    }
    if is_wanted(plan, &MAPS) {
        measure(record, &MAPS, point, || crowd.maps_mb());
    }
    if is_wanted(plan, &IDLE) {
        measure(record, &IDLE, point, || {
            // It settles after the last command.
            sleep(IDLE_TIME);
            let before = cpu::process_seconds(pid)?;
            sleep(IDLE_TIME);
            Ok((cpu::process_seconds(pid)? - before) / IDLE_TIME.as_secs_f64() * 100.0)
        });
    }
}

fn milliseconds(seconds: &[f64]) -> Result<f64> {
    let summary = Summary::of(seconds.iter().copied()).context("no port was added")?;
    Ok(summary.median * 1e3)
}

fn resident_mb(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the process is gone")?;
    let kib: f64 = line.split_whitespace().next().context("VmRSS has no value")?.parse()?;
    Ok(kib * 1024.0 / 1e6)
}

fn forward(crowd: &Crowd, time: Duration) -> Result<f64> {
    crowd.introduce();
    let frame = frame::raw(crowd.s.mac, crowd.x.mac, frame::EXPERIMENTAL, &[0; 50]);
    crowd.rate(&frame, Vary::Nothing, time)
}

fn flood(crowd: &Crowd, time: Duration) -> Result<f64> {
    let frame = frame::raw(MacAddr::BROADCAST, crowd.x.mac, frame::EXPERIMENTAL, &[0; 50]);
    let before = crowd.received()?;
    let seconds = crowd.x.namespace.run(|| -> Result<f64> {
        cpu::pin(cpu::CLIENT)?;
        let index = nix::net::if_::if_nametoindex(LINK)?;
        let socket = packet_socket(index)?;
        let start = Instant::now();
        while start.elapsed() < time {
            match nix::unistd::write(&socket, &frame) {
                Ok(_) | Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ENOBUFS) => {}
                Err(error) => bail!("sending: {error}"),
            }
        }
        Ok(start.elapsed().as_secs_f64())
    })?;
    Ok((crowd.received()? - before) as f64 / seconds / 1e3)
}

fn restart(crowd: &mut Crowd) -> Result<f64> {
    let switch = crowd.vswitch().context("it has no controller")?;
    switch.stop();
    let start = Instant::now();
    switch.start_again();
    Ok(start.elapsed().as_secs_f64())
}

impl Crowd {
    fn pid(&self) -> Option<u32> {
        self.switch().and_then(vswitch_tests::switch::Switch::pid)
    }

    fn maps_mb(&self) -> Result<f64> {
        let status = self.switch().context("it has no controller")?.status();
        Ok(status.limits.iter().map(|limit| limit.memory_bytes as f64).sum::<f64>() / 1e6)
    }
}
