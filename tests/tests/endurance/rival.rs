//! The same faults at a Linux bridge, for the table's last column.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{Probe, try_ping};

/// Longer than vswitch takes to notice what others do.
const PATIENCE: Duration = Duration::from_secs(3);

/// Three hosts at a bridge, and their links.
fn bridge(title: &str) -> (Lab, Vec<Host>, Vec<Wire>) {
    let mut lab = Lab::with(title, Rival::LinuxBridge, Hooks::Auto);
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    let wires = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    (lab, hosts, wires)
}

/// A port that comes and goes at full speed.
pub(crate) fn churn(cycles: u64) -> String {
    let (mut lab, hosts, wires) = bridge("churn at a bridge");
    let probe = Probe::start(&hosts[0], &hosts[1], 1_000);
    let begun = Instant::now();
    for _ in 0..cycles {
        lab.subject().delete_port(&wires[2].port);
        lab.subject().add_port(&wires[2].port, &PortOptions::default());
    }
    let rate = cycles as f64 / begun.elapsed().as_secs_f64();
    let report = probe.finish();
    format!("{} of {} probes in {cycles} cycles ({rate:.0} a second)", report.lost.len(), report.sent)
}

/// A port's link that is made again.
pub(crate) fn link_made_again() -> String {
    let (mut lab, hosts, wires) = bridge("a link of a bridge");
    lab.switch_ns().ip(&[format!("link del {}", wires[0].port)]);
    lab.wire_as(&hosts[0], &wires[0]);
    lab.switch_ns().ip(&[format!("link set {} up", wires[0].port)]);
    sleep(PATIENCE);
    let is_back = try_ping(&hosts[0], hosts[1].ipv4().into(), 56, 1).is_ok();
    if is_back { "the port again" } else { "a link made again is no port until somebody adds it" }.to_owned()
}

/// Questions by ARP for addresses that nobody has, a thousand; how many of them another host hears.
pub(crate) fn arp_storm() -> String {
    const ASKED: u32 = 1_000;
    let (_lab, hosts, _wires) = bridge("ARP storm at a bridge");
    let (from, heard) = (&hosts[2], hosts[1].sniff());
    let ask = |number| frame::arp_request((from.mac(), from.ipv4()), Ipv4Addr::from(0x0a4d_6400 + number));
    from.inject_all(&(0..ASKED).map(ask).collect::<Vec<_>>());
    sleep(PATIENCE / 3);
    let count = heard.received(|frame| frame::arp_of(frame).is_some_and(|arp| arp.operation == 1)).len();
    format!("{count} of {ASKED} questions reach each other host")
}
