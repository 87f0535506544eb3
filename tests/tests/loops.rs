//! Loops: two ports joined behind the switch, and a cable between two of them. Others' traffic goes on, the machine is not
//! melted, and a host that merely moves is left alone.

use std::fs;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::process::Process;
use vswitch_tests::resources::resident_kib;
use vswitch_tests::traffic::Probe;

/// How long a loop is watched.
const WATCH: Duration = Duration::from_secs(4);

/// Share of all CPUs that softirqs may take while a loop stands; unchecked it takes all of at least one.
const MOST_SOFTIRQ: f64 = 0.3;

/// Frames that may pass the ports together in [`WATCH`]; a loop that nothing stops makes some hundred thousand a second.
const MOST_FRAMES: u64 = 200_000;

/// Jiffies that all CPUs spent in softirqs, and altogether.
fn jiffies() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").expect("Linux has it");
    let numbers =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).map(|n| n.parse().unwrap_or(0));
    let numbers: Vec<u64> = numbers.collect();
    (numbers[6], numbers.iter().take(8).sum())
}

/// A host whose bridge joins two links to the switch.
fn bridging(lab: &mut Lab) -> (Host, [Wire; 2]) {
    let host = lab.host_with("loop", HostOptions::bare());
    let wires = [lab.wire(&host), lab.wire(&host)];
    host.namespace().ip(&["link add name br0 type bridge stp_state 0 mcast_snooping 0"]);
    let inside = ["link set dev eth0 master br0", "link set dev eth1 master br0", "link set dev br0 up"];
    host.namespace().ip(&inside);
    (host, wires)
}

/// Events of a kind at one of the ports.
fn events(monitor: &Process, kind: &str, ports: &[&str]) -> Vec<serde_json::Value> {
    let said = monitor.output();
    let events = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events.filter(|e| e["event"] == kind && ports.iter().any(|port| e["port"] == **port)).collect()
}

fn frames(lab: &Lab) -> u64 {
    lab.switch().stats().iter().map(|port| port.counters.rx_packets + port.counters.tx_packets).sum()
}

/// A host at work with another, and one that shouts at everybody ten times a second, for [`WATCH`]. Says what it cost.
fn work_on(lab: &Lab, [a, b]: [&Host; 2], shouter: &Host) -> (f64, u64) {
    let probe = Probe::start(a, b, 100);
    let (before, passed, start) = (jiffies(), frames(lab), Instant::now());
    while start.elapsed() < WATCH {
        shouter.inject(&frame::marked(MacAddr::BROADCAST, shouter.mac(), 7));
        sleep(Duration::from_millis(100));
    }
    let (after, now) = (jiffies(), frames(lab));
    let report = probe.finish();
    assert!(report.lost.len() as u64 <= report.sent / 50, "the others' traffic suffers: {report:?}");
    ((after.0 - before.0) as f64 / (after.1 - before.1) as f64, now - passed)
}

fn hosts(lab: &mut Lab) -> Vec<Host> {
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    ping(&hosts[0], &hosts[1], 56, 2);
    hosts
}

/// The loop between two ports is noticed, costs little, is told of, and others do not suffer.
fn stands(lab: &mut Lab, hosts: &[Host], ends: [&str; 2]) {
    let monitor = lab.switch().monitor();
    let (softirq, passed) = work_on(lab, [&hosts[0], &hosts[1]], &hosts[2]);
    eprintln!("softirqs took {:.1} % of the CPUs, {passed} frames passed the ports", softirq * 100.0);
    assert!(softirq < MOST_SOFTIRQ, "softirqs took {softirq}");
    assert!(passed < MOST_FRAMES, "{passed} frames passed the ports");
    let told = events(&monitor, "quarantined", &ends);
    assert!(told.len() >= 2, "{told:?}");
    let seconds: Vec<f64> = told.iter().filter_map(|event| event["seconds"].as_f64()).collect();
    assert!(seconds.is_sorted() && seconds[0] == 1.0 && seconds[1] == 2.0, "{seconds:?}");
    assert!(told.iter().all(|event| event["reason"].as_str().is_some_and(|why| why.contains("flapped"))));
    let shown = until("a port in quarantine", SOON, || {
        hosts[2].inject(&frame::marked(MacAddr::BROADCAST, hosts[2].mac(), 7));
        ends.iter().map(|port| lab.switch().port_show(port)).find(|port| port.quarantine.is_some())
    });
    let why = shown.quarantine.expect("it was just looked at");
    assert_eq!(shown.state, PortState::Down);
    assert!(why.until_seconds <= 300.0 && why.reason.contains("flapped"), "{why:?}");
    let drops: u64 =
        ends.iter().filter_map(|port| lab.switch().counters(port).drops.get("quarantined").copied()).sum();
    assert!(drops > 0, "what the quarantined port sent was counted");
    for host in &hosts[..2] {
        assert!(lab.switch().port_show(&format!("{}0", host.name())).quarantine.is_none());
    }
}

each_hook!(vswitch a_bridge_that_joins_two_ports_is_quarantined_at_one_of_them, |lab| {
    let hosts = hosts(&mut lab);
    let (host, wires) = bridging(&mut lab);
    for wire in &wires {
        lab.add_port(&wire.port, PortOptions::default());
    }
    let ends = [wires[0].port.as_str(), wires[1].port.as_str()];
    stands(&mut lab, &hosts, ends);
    // What is behind the loop can be reached by the end that is open.
    host.namespace().ip(&["addr add 10.77.0.99/24 dev br0"]);
    until("the bridging host to answer", SOON, || {
        traffic::try_ping(&hosts[0], Ipv4Addr::new(10, 77, 0, 99).into(), 56, 1).ok()
    });
    // Without its cause it ends by itself.
    host.namespace().ip(&["link set dev eth1 nomaster"]);
    until("the quarantine to end", Duration::from_secs(20), || {
        let is_over = |end: &&str| lab.switch().port_show(end).state == PortState::Forwarding;
        ends.iter().all(is_over).then_some(())
    });
});

/// What the other tests of loops would see without the protection: that their loop is one.
#[test]
fn a_loop_that_nobody_stops_turns_for_ever() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab(module_path!()) else { return };
    let file = lab.scratch().path("vswitch.toml");
    fs::write(&file, "[limits]\nstation_moves = 0\n").expect("the lab's folder is writable");
    lab.switch_mut().restart_with(&["--config", &file.display().to_string()]);
    let shouter = lab.host_with("h", HostOptions::bare());
    lab.connect(&shouter, PortOptions::default());
    let (host, wires) = bridging(&mut lab);
    for wire in &wires {
        lab.add_port(&wire.port, PortOptions::default());
    }
    shouter.inject(&frame::marked(MacAddr::BROADCAST, shouter.mac(), 7));
    let start = Instant::now();
    until("one frame to pass ten thousand times", SOON, || (frames(&lab) > 10_000).then_some(()));
    eprintln!("{} frames of one in {:?}", frames(&lab), start.elapsed());
    host.namespace().ip(&["link set dev eth1 down"]);
    assert!(lab.switch().ports().iter().all(|port| port.quarantine.is_none()));
}

each_hook!(vswitch a_cable_between_two_ports_is_quarantined_at_one_of_them, |lab| {
    let hosts = hosts(&mut lab);
    lab.switch_ns().ip(&["link add name cable0 type veth peer name cable1", "link set dev cable0 up", "link set dev cable1 up"]);
    for end in ["cable0", "cable1"] {
        lab.add_port(end, PortOptions::default());
    }
    let ends = ["cable0", "cable1"];
    stands(&mut lab, &hosts, ends);
    // Who has pulled the cable need not wait.
    lab.switch().ok(&["port", "set", "cable0", "--no-flood", "--isolated"]);
    lab.switch().ok(&["port", "set", "cable1", "--no-flood", "--isolated"]);
    for end in ends {
        lab.switch().ok(&["port", "set", end, "--end-quarantine"]);
        lab.switch().wait_for_state(end, PortState::Forwarding);
    }
});

each_hook!(vswitch a_loop_is_stopped_with_the_controller_dead, |lab| {
    let hosts = hosts(&mut lab);
    let (host, wires) = bridging(&mut lab);
    host.namespace().ip(&["link set dev eth1 nomaster"]);
    for wire in &wires {
        lab.add_port(&wire.port, PortOptions::default());
    }
    lab.switch_mut().kill9();
    host.namespace().ip(&["link set dev eth1 master br0"]);
    let (before, start) = (jiffies(), Instant::now());
    let probe = Probe::start(&hosts[0], &hosts[1], 100);
    while start.elapsed() < WATCH {
        hosts[2].inject(&frame::marked(MacAddr::BROADCAST, hosts[2].mac(), 7));
        sleep(Duration::from_millis(100));
    }
    let (after, report) = (jiffies(), probe.finish());
    assert!(report.lost.len() as u64 <= report.sent / 50, "the others' traffic suffers: {report:?}");
    let softirq = (after.0 - before.0) as f64 / (after.1 - before.1) as f64;
    assert!(softirq < MOST_SOFTIRQ, "softirqs took {softirq}");
    lab.switch_mut().start_again();
    assert!(frames(&lab) < MOST_FRAMES);
    let quarantined = until("the next controller to tell of the quarantine", SOON, || {
        hosts[2].inject(&frame::marked(MacAddr::BROADCAST, hosts[2].mac(), 7));
        wires.iter().find_map(|wire| lab.switch().port_show(&wire.port).quarantine)
    });
    assert!(quarantined.count >= 2, "{quarantined:?}");
});

each_hook!(vswitch a_host_that_moves_now_and_then_is_no_loop, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(), PortOptions::default(), PortOptions::default()]);
    let wanderer = MacAddr::from_octets([2, 0, 0, 0, 0, 0x55]);
    for turn in 0..20 {
        let at = turn % 2;
        s.host(at).inject(&s.frame_of(wanderer, MacAddr::BROADCAST));
        s.host(2).inject(&s.frame(2, wanderer));
        sleep(Duration::from_millis(20));
    }
    s.expect_unchanged(2, &s.frame(2, wanderer), &[1]);
    for number in 0..3 {
        let port = lab.switch().port_show(s.port(number));
        assert!(port.quarantine.is_none() && port.counters.drops.is_empty(), "{port:?}");
    }
});

each_hook!(vswitch a_storm_of_moves_slows_nobody_and_grows_nothing, |lab| {
    const STATIONS: u32 = 1_000;
    const SECONDS: u32 = 5;
    let hosts = hosts(&mut lab);
    let movers = lab.hosts("m", 2, &HostOptions::bare());
    for mover in &movers {
        lab.connect(mover, PortOptions::default());
    }
    // To a station of the mover's own port, so that the storm reaches nobody and only its moves count.
    let frames = |to: MacAddr| -> Vec<Vec<u8>> {
        let source = |number: u32| MacAddr::from_bits(0x0600_0000_0000 | u64::from(number));
        (0..STATIONS).map(|number| frame::marked(to, source(number), 1)).collect()
    };
    let storms = [frames(movers[0].mac()), frames(movers[1].mac())];
    movers.iter().for_each(|mover| mover.inject(&frame::marked(MacAddr::BROADCAST, mover.mac(), 2)));
    movers[0].inject_all(&storms[0]);
    let before = resident_kib(lab.switch());
    let probe = Probe::start(&hosts[0], &hosts[1], 200);
    let start = Instant::now();
    for turn in 0..SECONDS * 10 {
        movers[turn as usize % 2].inject_all(&storms[turn as usize % 2]);
        sleep((Duration::from_millis(100) * (turn + 1)).saturating_sub(start.elapsed()));
    }
    let lasted = start.elapsed();
    probe.finish().assert_no_loss();
    let grown = resident_kib(lab.switch()).saturating_sub(before);
    eprintln!("{} moves in {lasted:?}; the controller grew by {grown} KiB", STATIONS * (SECONDS * 10 - 1));
    assert!(grown < 4096, "the controller grew by {grown} KiB");
    // Each of them moved fewer times than a loop makes it.
    for mover in ["m10", "m20"] {
        assert!(lab.switch().port_show(mover).quarantine.is_none());
    }
    // One that moves all the time is stopped.
    let one = [frame::marked(movers[0].mac(), hosts[2].mac(), 3), frame::marked(movers[1].mac(), hosts[2].mac(), 3)];
    until("one of its ports to be quarantined", SOON, || {
        (0..20).for_each(|turn| movers[turn % 2].inject(&one[turn % 2]));
        let is_quarantined = |port: &&str| lab.switch().port_show(port).quarantine.is_some();
        ["m10", "m20"].iter().any(is_quarantined).then_some(())
    });
    assert!(lab.switch().port_show("h30").quarantine.is_none(), "its own port stays open");
});
