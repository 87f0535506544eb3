//! The controller leaves, or is killed, and comes back: the data path takes no notice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{Probe, try_ping};

/// Probes a second: a gap of 5 ms in forwarding shows.
const RATE: u32 = 200;

/// How the controller goes.
#[derive(Debug, Clone, Copy)]
enum End {
    Asked,
    Killed,
}

impl End {
    fn happen(self, switch: &mut Switch) {
        match self {
            Self::Asked => {
                let status = switch.stop();
                assert!(status.success(), "SIGTERM is an orderly end, not {status}:\n{}", switch.log());
            }
            Self::Killed => switch.kill9(),
        }
    }
}

fn connected(lab: &mut Lab, count: usize) -> Vec<Host> {
    let hosts = lab.hosts("h", count, &HostOptions::ipv4_only());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    hosts
}

/// Everybody to everybody, so that every host is learned.
fn introduce(hosts: &[Host]) {
    for from in hosts {
        for to in hosts.iter().filter(|to| to.name() != from.name()) {
            ping(from, to, 56, 2);
        }
    }
}

/// Stations by MAC, without their ages.
fn stations(lab: &mut Lab) -> BTreeSet<(MacAddr, String, String)> {
    lab.subject().fdb().into_iter().map(|entry| (entry.mac, entry.port, entry.network)).collect()
}

/// Frames in and out of each port.
fn totals(lab: &Lab) -> BTreeMap<String, [u64; 4]> {
    let read = |port: vswitch::api::types::PortStats| {
        let c = port.counters;
        (port.name, [c.rx_packets, c.rx_bytes, c.tx_packets, c.tx_bytes])
    };
    lab.switch().stats().into_iter().map(read).collect()
}

/// What is attached where; the programs' ids may change.
fn places(lab: &Lab) -> Vec<(String, String)> {
    proof::attachments(lab.switch_ns()).into_iter().map(|attached| (attached.link, attached.place)).collect()
}

fn loses_nothing(mut lab: Lab, end: End) {
    let hosts = connected(&mut lab, 2);
    let probe = Probe::start(&hosts[0], &hosts[1], RATE);
    probe.cover(RATE.into());
    end.happen(lab.switch_mut());
    probe.cover(u64::from(RATE) * 2);
    lab.switch_mut().start_again();
    probe.cover(RATE.into());
    probe.finish().assert_no_loss();
    assert!(lab.switch().status().adopted, "the new controller did not take over:\n{}", lab.switch().log());
}

each_hook!(vswitch traffic_loses_nothing_when_the_controller_is_stopped_and_started, |lab| {
    loses_nothing(lab, End::Asked);
});

each_hook!(vswitch traffic_loses_nothing_when_the_controller_is_killed_and_started, |lab| {
    loses_nothing(lab, End::Killed);
});

fn goes_on_without(mut lab: Lab, end: End) {
    let hosts = connected(&mut lab, 3);
    introduce(&hosts[..2]);
    end.happen(lab.switch_mut());
    // The third host has not said a word yet, and now has another MAC than it was connected with.
    let newcomer = &hosts[2];
    newcomer.namespace().ip(&["link set dev eth0 address 02:77:00:00:01:99"]);
    for host in &hosts {
        host.namespace().ip(&["neigh flush dev eth0"]);
    }
    // Asks by ARP, which the controller no longer answers: the kernel floods once it notices (about 3 s).
    for (from, to) in [(newcomer, &hosts[0]), (&hosts[0], newcomer), (&hosts[1], &hosts[0])] {
        until(
            &format!("{} to reach {} with no controller", from.name(), to.name()),
            Duration::from_secs(30),
            || try_ping(from, to.ipv4().into(), 56, 1).ok(),
        );
    }
    ping(newcomer, &hosts[1], 4000, 20);
    tcp_transfer(&hosts[0], newcomer, 2_000_000);
    // What is unknown and what is for all is flooded as ever.
    let (at_first, at_second) = (hosts[0].sniff(), hosts[1].sniff());
    newcomer.inject(&frame::marked(MacAddr::BROADCAST, MacAddr::from_octets([2, 0, 0, 0, 9, 9]), 1));
    newcomer.inject(&frame::marked(MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]), newcomer.mac(), 2));
    for sniffer in [&at_first, &at_second] {
        sniffer.expect_exactly(2, |frame| frame::mark_of(frame).is_some(), SOON);
    }
}

each_hook!(vswitch new_hosts_and_arp_work_after_sigterm, |lab| {
    goes_on_without(lab, End::Asked);
});

each_hook!(vswitch new_hosts_and_arp_work_after_sigkill, |lab| {
    goes_on_without(lab, End::Killed);
});

fn is_adopted(mut lab: Lab, end: End) {
    let hosts = connected(&mut lab, 3);
    introduce(&hosts);
    lab.switch().ok(&["fdb", "add", "02:77:00:00:05:05", "h30", "--sticky"]);
    let started = Instant::now();
    let (known, counted, attached) = (stations(&mut lab), totals(&lab), places(&lab));
    let configured: Vec<_> =
        lab.switch().ports().into_iter().map(|port| (port.name, port.network, port.hook)).collect();
    assert!(known.len() >= 4 && attached.len() >= 3, "{known:?} {attached:?}");
    end.happen(lab.switch_mut());
    lab.switch_mut().start_again();
    assert!(lab.switch().status().adopted, "{}", lab.switch().log());
    assert_eq!(stations(&mut lab), known);
    assert_eq!(places(&lab), attached);
    let now: Vec<_> =
        lab.switch().ports().into_iter().map(|port| (port.name, port.network, port.hook)).collect();
    assert_eq!(now, configured);
    for (port, before) in counted {
        let after = totals(&lab)[&port];
        assert!((0..4).all(|at| after[at] >= before[at]), "{port} had {before:?} and has {after:?}");
    }
    let oldest = lab.subject().fdb().iter().map(|entry| entry.age_seconds).fold(0.0, f64::max);
    assert!(oldest <= started.elapsed().as_secs_f64() + 60.0, "ages were not kept: {oldest} s");
    introduce(&hosts);
}

each_hook!(vswitch ports_entries_and_counters_survive_sigterm, |lab| {
    is_adopted(lab, End::Asked);
});

each_hook!(vswitch ports_entries_and_counters_survive_sigkill, |lab| {
    is_adopted(lab, End::Killed);
});

#[test]
fn a_link_that_changed_while_nobody_looked_is_noticed_at_the_next_start() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("changes meanwhile") else { return };
    let hosts = connected(&mut lab, 3);
    introduce(&hosts);
    lab.switch_mut().kill9();
    lab.switch_ns().ip(&["link del dev h10", "link set dev h20 down"]);
    lab.switch_mut().start_again();
    lab.switch().wait_for_state("h20", PortState::Down);
    assert_eq!(lab.switch().port_show("h10").state, PortState::Down);
    let left: Vec<_> = lab.subject().fdb().into_iter().filter(|entry| entry.port != "h30").collect();
    assert!(left.is_empty(), "stations behind dead ports: {left:?}");
}

#[test]
fn a_second_controller_is_refused_and_harms_nothing() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("second controller") else { return };
    let hosts = connected(&mut lab, 2);
    let switch = lab.switch();
    let paths = [switch.state_dir(), switch.bpffs()].map(|path| path.display().to_string());
    let probe = Probe::start(&hosts[0], &hosts[1], RATE);
    let output = switch.cli(&["run", "--state-dir", &paths[0], "--bpffs", &paths[1], "--no-docker-plugin"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&switch.socket().display().to_string()), "it does not name the socket: {said}");
    probe.cover(100);
    probe.finish().assert_no_loss();
    assert_eq!(switch.ports().len(), 2);
}
