//! Latency by sockperf: a small message goes over a TCP connection and comes back, one at a time.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::Work;
use super::server;
use crate::cpu;
use crate::metric::Metric;
use crate::rivals::Rival;

/// Client and server share a CPU.
pub(super) const SAME_CPU: Work = Work {
    key: "rtt-same",
    title: "TCP ping-pong of 64 bytes, client and server on one CPU, sockperf",
    metrics: &[
        Metric::less("rtt-same-p50", "ping-pong, one CPU, p50", "µs"),
        Metric::less("rtt-same-p99", "ping-pong, one CPU, p99", "µs"),
        Metric::less("rtt-same-p999", "ping-pong, one CPU, p99.9", "µs"),
    ],
    awake: true,
    quick: true,
    run: |rival, time| ping_pong(rival, cpu::CLIENT, time),
};

/// Each has one of its own.
pub(super) const OTHER_CPU: Work = Work {
    key: "rtt-cross",
    title: "TCP ping-pong of 64 bytes, client and server on two CPUs, sockperf",
    metrics: &[
        Metric::less("rtt-cross-p50", "ping-pong, two CPUs, p50", "µs"),
        Metric::less("rtt-cross-p99", "ping-pong, two CPUs, p99", "µs"),
        Metric::less("rtt-cross-p999", "ping-pong, two CPUs, p99.9", "µs"),
    ],
    awake: true,
    quick: true,
    run: |rival, time| ping_pong(rival, cpu::server(), time),
};

/// The percentiles that are read, as sockperf prints them.
const PERCENTILES: [&str; 3] = ["50.000", "99.000", "99.900"];

fn ping_pong(rival: &Rival, server_cpu: usize, time: Duration) -> Result<Vec<f64>> {
    let number = server::unused_port();
    let (ip, port) = (rival.b.ip.to_string(), number.to_string());
    let server = ["server", "--tcp", "-i", &ip, "-p", &port];
    let _server = server::start(rival, (&rival.b, server_cpu), number, "sockperf", &server)?;
    let mut client = rival.a.command_on(cpu::CLIENT, "sockperf");
    client.args(["ping-pong", "--tcp", "--full-rtt", "-m", "64", "-i", &ip, "-p", &port]);
    client.args(["-t", &time.as_secs().max(1).to_string()]);
    let output = client.output().context("cannot start sockperf: `apt-get install sockperf`")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("sockperf: {text}{}", String::from_utf8_lossy(&output.stderr));
    }
    PERCENTILES.iter().map(|percentile| read(&text, percentile)).collect()
}

/// A percentile in microseconds, from a line as `sockperf: ---> percentile 99.000 =   12.345`.
fn read(text: &str, percentile: &str) -> Result<f64> {
    let start = format!("percentile {percentile}");
    let value = text.lines().find_map(|line| line.split_once(&start)?.1.split('=').nth(1));
    let value = value.with_context(|| format!("sockperf prints no {start}: {text}"))?;
    value.trim().parse().with_context(|| format!("sockperf prints {value:?} as {start}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_found_in_what_it_prints() {
        let text = "sockperf: ---> percentile 99.900 =   30.102\nsockperf: ---> percentile 50.000 =    9.3\n";
        assert_eq!(read(text, "50.000").expect("it is there"), 9.3);
        assert_eq!(read(text, "99.900").expect("it is there"), 30.102);
        assert!(read(text, "99.000").is_err());
    }
}
