//! Bulk traffic between two stacks by iperf3: throughput, small datagrams, and the CPU time that they take.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::server;
use super::{NotApplicable, Work};
use crate::cpu;
use crate::metric::Metric;
use crate::rivals::{PUBLISHED, Rival};
use crate::station::Station;

/// One flow.
pub(super) const TCP_1: Work = Work {
    key: "tcp1",
    title: "TCP, 1 flow, iperf3",
    metrics: &[Metric::more("tcp1", "TCP 1 flow", "Gb/s")],
    awake: true,
    quick: true,
    run: |rival, time| tcp(rival, time, &[]),
};

/// Four flows.
pub(super) const TCP_4: Work = Work {
    key: "tcp4",
    title: "TCP, 4 flows, iperf3",
    metrics: &[Metric::more("tcp4", "TCP 4 flows", "Gb/s")],
    awake: true,
    quick: true,
    run: |rival, time| tcp(rival, time, &["--parallel", "4"]),
};

/// Eight flows.
pub(super) const TCP_8: Work = Work {
    key: "tcp8",
    title: "TCP, 8 flows, iperf3",
    metrics: &[Metric::more("tcp8", "TCP 8 flows", "Gb/s")],
    awake: true,
    quick: false,
    run: |rival, time| tcp(rival, time, &["--parallel", "8"]),
};

/// The server sends.
pub(super) const TCP_REVERSE: Work = Work {
    key: "tcp1-reverse",
    title: "TCP, 1 flow, the server sends, iperf3",
    metrics: &[Metric::more("tcp1-reverse", "TCP 1 flow, reverse", "Gb/s")],
    awake: true,
    quick: false,
    run: |rival, time| tcp(rival, time, &["--reverse"]),
};

/// The smallest datagrams.
pub(super) const UDP_SMALL: Work = Work {
    key: "udp64",
    title: "UDP, 64 bytes of payload, as fast as iperf3 can, what arrives",
    metrics: &[Metric::more("udp64", "UDP 64 B received", "kpps")],
    awake: true,
    quick: true,
    run: |rival, time| udp(rival, time, "64"),
};

/// Datagrams that fill a frame.
pub(super) const UDP_FULL: Work = Work {
    key: "udp1400",
    title: "UDP, 1,400 bytes of payload, as fast as iperf3 can, what arrives",
    metrics: &[Metric::more("udp1400", "UDP 1400 B received", "kpps")],
    awake: true,
    quick: false,
    run: |rival, time| udp(rival, time, "1400"),
};

/// The price of throughput.
pub(super) const CPU_TCP: Work = Work {
    key: "cpu-tcp",
    title: "CPU seconds of the whole machine for a gigabit of TCP, 1 flow, CPUs left to sleep",
    metrics: &[Metric::less("cpu-tcp", "CPU per Gbit", "s")],
    awake: false,
    quick: true,
    run: |rival, time| {
        let before = cpu::busy_seconds()?;
        let gigabits = gigabits(&client(rival, time, &[])?)?;
        Ok(vec![(cpu::busy_seconds()? - before) / gigabits])
    },
};

/// The price of frames.
pub(super) const CPU_UDP: Work = Work {
    key: "cpu-udp",
    title: "CPU seconds of the whole machine for a million datagrams of 64 bytes that arrive, CPUs left to sleep",
    metrics: &[Metric::less("cpu-udp", "CPU per Mframe", "s")],
    awake: false,
    quick: false,
    run: |rival, time| {
        let before = cpu::busy_seconds()?;
        let report = client(rival, time, &["--udp", "--bitrate", "0", "--length", "64"])?;
        let (packets, _seconds) = datagrams(&report)?;
        Ok(vec![(cpu::busy_seconds()? - before) / packets * 1e6])
    },
};

/// In through the gateway.
pub(super) const INWARDS: Work = Work {
    key: "published",
    title: "TCP, 1 flow, from outside to a published port, iperf3",
    metrics: &[Metric::more("published", "TCP to a published port", "Gb/s")],
    awake: true,
    quick: false,
    run: inwards,
};

/// Out through the gateway.
pub(super) const OUTWARDS: Work = Work {
    key: "outside",
    title: "TCP, 1 flow, from a container to a host outside, through NAT, iperf3",
    metrics: &[Metric::more("outside", "TCP to the outside", "Gb/s")],
    awake: true,
    quick: false,
    run: outwards,
};

fn tcp(rival: &Rival, time: Duration, extra: &[&str]) -> Result<Vec<f64>> {
    Ok(vec![gigabits_a_second(&client(rival, time, extra)?)?])
}

fn udp(rival: &Rival, time: Duration, bytes: &str) -> Result<Vec<f64>> {
    let report = client(rival, time, &["--udp", "--bitrate", "0", "--length", bytes])?;
    let (packets, seconds) = datagrams(&report)?;
    Ok(vec![packets / seconds / 1e3])
}

/// What a client in `a` said at the end of talking to a server in `b`, as JSON.
fn client(rival: &Rival, time: Duration, extra: &[&str]) -> Result<Value> {
    let way = Way { client: &rival.a, server: &rival.b, to: rival.b.ip, port: server::unused_port() };
    way.talk(rival, time, extra)
}

/// From where to where.
struct Way<'a> {
    client: &'a Station,
    server: &'a Station,
    /// The address that the client knows.
    to: Ipv4Addr,
    port: u16,
}

impl Way<'_> {
    fn talk(&self, rival: &Rival, time: Duration, extra: &[&str]) -> Result<Value> {
        let (port, seconds) = (self.port.to_string(), time.as_secs().max(1).to_string());
        let arguments = ["--server", "--one-off", "--port", &port];
        let place = (self.server, cpu::server());
        let _server = server::start(rival, place, self.port, "iperf3", &arguments)?;
        let mut command = self.client.command_on(cpu::CLIENT, "iperf3");
        command.args(["--client", &self.to.to_string(), "--port", &port]);
        command.args(["--time", &seconds, "--connect-timeout", "5000", "--json"]).args(extra);
        let output = command.output().context("cannot start iperf3")?;
        let report: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("iperf3 said {}", String::from_utf8_lossy(&output.stderr)))?;
        if let Some(error) = report["error"].as_str() {
            bail!("iperf3: {error}");
        }
        Ok(report)
    }
}

/// From the station outside to the published port of `b`.
fn inwards(rival: &Rival, time: Duration) -> Result<Vec<f64>> {
    let Some(outside) = &rival.outside else { bail!(NO_GATEWAY) };
    let way = Way { client: &outside.station, server: &rival.b, to: outside.published_at, port: PUBLISHED };
    Ok(vec![gigabits_a_second(&way.talk(rival, time, &[])?)?])
}

/// From `a` to the station outside.
fn outwards(rival: &Rival, time: Duration) -> Result<Vec<f64>> {
    let Some(outside) = &rival.outside else { bail!(NO_GATEWAY) };
    let (client, server, port) = (&rival.a, &outside.station, server::unused_port());
    let way = Way { client, server, to: outside.ip, port };
    Ok(vec![gigabits_a_second(&way.talk(rival, time, &[])?)?])
}

const NO_GATEWAY: NotApplicable = NotApplicable("it has no gateway of its own");

fn gigabits_a_second(report: &Value) -> Result<f64> {
    Ok(number(report, &["end", "sum_received", "bits_per_second"])? / 1e9)
}

fn gigabits(report: &Value) -> Result<f64> {
    Ok(number(report, &["end", "sum_received", "bytes"])? * 8.0 / 1e9)
}

/// Datagrams that arrived, and in how many seconds.
fn datagrams(report: &Value) -> Result<(f64, f64)> {
    let of = |key| number(report, &["end", "sum", key]);
    Ok((of("packets")? - of("lost_packets")?, of("seconds")?))
}

fn number(report: &Value, path: &[&str]) -> Result<f64> {
    let found = path.iter().fold(report, |value, key| &value[*key]);
    found.as_f64().with_context(|| format!("iperf3 reports no {}", path.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_datagrams_that_arrived_count() {
        let report =
            serde_json::json!({"end": {"sum": {"packets": 1000, "lost_packets": 100, "seconds": 2.0}}});
        assert_eq!(datagrams(&report).expect("it is complete"), (900.0, 2.0));
        assert!(gigabits(&report).is_err());
    }
}
