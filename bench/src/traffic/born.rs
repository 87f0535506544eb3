//! Frames born as XDP, from `x`: into the XDP drop of `s`, or into the stack of `b`.
//!
//! The generator, the switch and the receiver share one CPU: each batch is carried to its end before the next is made,
//! so nothing is lost to full rings and the rate is the cost of the whole way. What is received counts.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use vswitch_tests::bpf::{Emitter, Vary};
use vswitch_tests::frame;

use super::{NotApplicable, Work};
use crate::generator;
use crate::metric::Metric;
use crate::rivals::{Kind, Rival};
use crate::station::{LINK, Station};

/// UDP port that nobody reads from.
const PORT: u16 = 9000;

/// Bytes of Ethernet, IPv4 and UDP headers.
const HEADERS: usize = 42;

/// The smallest frames.
pub(super) const SMALL_INTO_DROP: Work = Work {
    key: "born64",
    title: "frames of 64 bytes born as XDP, into an XDP program that drops them",
    metrics: &[Metric::more("born64", "XDP-born 64 B into XDP drop", "kpps")],
    awake: true,
    quick: true,
    run: |rival, time| into_drop(rival, 64, time),
};

/// Those of a usual MTU.
pub(super) const FULL_INTO_DROP: Work = Work {
    key: "born1500",
    title: "frames of 1,500 bytes born as XDP, into an XDP program that drops them",
    metrics: &[Metric::more("born1500", "XDP-born 1500 B into XDP drop", "kpps")],
    awake: true,
    quick: false,
    run: |rival, time| into_drop(rival, 1500, time),
};

/// Into a container's kernel.
pub(super) const SMALL_INTO_STACK: Work = Work {
    key: "born64-stack",
    title: "frames of 64 bytes born as XDP, into a stack: UDP to a socket that is full",
    metrics: &[Metric::more("born64-stack", "XDP-born 64 B into a stack", "kpps")],
    awake: true,
    quick: false,
    run: into_stack,
};

fn into_drop(rival: &Rival, bytes: usize, time: Duration) -> Result<Vec<f64>> {
    rival.introduce();
    let frame = udp_frame(&rival.x, &rival.s, bytes);
    kpps(rival, &frame, time, || Ok(rival.sink.count()?))
}

fn into_stack(rival: &Rival, time: Duration) -> Result<Vec<f64>> {
    if rival.kind == Kind::Veth {
        bail!(NotApplicable("the generator's veth pair leads to the XDP drop only"));
    }
    let to = &rival.b;
    let _socket = to.namespace.run(|| std::net::UdpSocket::bind((to.ip, PORT)))?;
    let frame = udp_frame(&rival.x, to, 64);
    kpps(rival, &frame, time, || received_by_ip(to))
}

/// IPv4 packets that a station's stack was given.
fn received_by_ip(station: &Station) -> Result<u64> {
    let text = station.namespace.read("/proc/thread-self/net/snmp");
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = lines.next().zip(lines.next()).context("/proc/net/snmp has no line for IP")?;
    let place = names.split(' ').position(|name| name == "InReceives").context("IP counts no InReceives")?;
    Ok(values.split(' ').nth(place).context("IP's counters are cut short")?.parse()?)
}

fn udp_frame(from: &Station, to: &Station, bytes: usize) -> Vec<u8> {
    let data = vec![0; bytes - HEADERS];
    frame::ipv4_udp((from.mac, from.ip, PORT), (to.mac, to.ip, PORT), &data)
}

fn kpps(rival: &Rival, frame: &[u8], time: Duration, count: impl Fn() -> Result<u64>) -> Result<Vec<f64>> {
    let emitter = Emitter::new(&rival.x.namespace, LINK, Vary::Nothing)?;
    Ok(vec![generator::rate(&rival.x, &emitter, frame, time, count)? / 1e3])
}
