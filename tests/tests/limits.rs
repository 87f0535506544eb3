//! Limits: a table that is full, or a port at its own limit, takes nothing away from those who are known already.

use vswitch_tests::prelude::*;
use vswitch_tests::process::Process;

/// Random sources of a flood; three times what the table holds.
const SOURCES: u32 = 200_000;

/// Dynamic entries that the table holds by default.
const TABLE: usize = 65_536;

/// Frames from `count` addresses that nobody else has, to `to`, a batch at a time.
fn pretend(from: &Host, first: u32, count: u32, to: MacAddr) {
    let numbers: Vec<u32> = (first..first + count).collect();
    for batch in numbers.chunks(2000) {
        let frames: Vec<_> = batch
            .iter()
            .map(|number| {
                let [a, b, c, d] = number.to_be_bytes();
                frame::marked(to, MacAddr::from_octets([6, 0, a, b, c, d]), u64::from(*number) + 1_000_000)
            })
            .collect();
        from.inject_all(&frames);
    }
}

fn until_limit_is_said(monitor: &Process, limit: &str) {
    until(&format!("an event about {limit}"), Duration::from_secs(20), || {
        let said = monitor.output();
        said.lines().any(|line| line.contains("limit_reached") && line.contains(limit)).then_some(())
    });
}

each_hook!(vswitch a_port_at_its_limit_learns_nobody_else, |lab| {
    let few = PortOptions::default().with(&["--mac-limit", "3"]);
    let s = Stations::connect(&mut lab, vec![few, PortOptions::default(), PortOptions::default()]);
    let monitor = lab.switch().monitor();
    let stations: Vec<_> = (1..=5).map(|n| MacAddr::from_octets([2, 0, 0, 0, 3, n])).collect();
    for station in &stations {
        s.expect_unchanged(0, &s.frame_of(*station, MacAddr::BROADCAST), &[1, 2]);
    }
    for station in &stations[..3] {
        s.expect_unchanged(1, &s.frame(1, *station), &[0]);
    }
    // The others are let through, and flooded to.
    for station in &stations[3..] {
        s.expect_unchanged(1, &s.frame(1, *station), &[0, 2]);
    }
    assert_eq!(lab.switch().fdb_show(&["--port", s.port(0)]).len(), 3);
    assert_eq!(lab.switch().counters(s.port(0)).not_learned, 2);
    until_limit_is_said(&monitor, "mac-limit");
    // A station that comes from another port finds no room either, and stays known where it was.
    s.expect_unchanged(0, &s.frame_of(s.mac(1), MacAddr::BROADCAST), &[1, 2]);
    s.expect_unchanged(2, &s.frame(2, s.mac(1)), &[1]);
    // Who leaves makes room; a limit that is lifted counts at once.
    lab.switch().ok(&["fdb", "del", &stations[0].to_string()]);
    s.expect_unchanged(0, &s.frame_of(stations[3], MacAddr::BROADCAST), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, stations[3]), &[0]);
    lab.switch().ok(&["port", "set", s.port(0), "--no-mac-limit"]);
    s.expect_unchanged(0, &s.frame_of(stations[4], MacAddr::BROADCAST), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, stations[4]), &[0]);
});

each_hook!(vswitch a_configured_entry_does_not_count_against_a_ports_limit, |lab| {
    let one = PortOptions::default().with(&["--mac-limit", "1"]);
    let s = Stations::connect(&mut lab, vec![one, PortOptions::default(), PortOptions::default()]);
    for n in 1..=3 {
        lab.switch().ok(&["fdb", "add", &format!("02:00:00:00:04:0{n}"), s.port(0)]);
    }
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    assert_eq!(lab.switch().fdb_show(&["--port", s.port(0)]).len(), 4);
});

each_hook!(vswitch a_full_table_takes_nothing_from_those_it_has, |lab| {
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let noisy = lab.host_with("noisy", HostOptions::bare());
    for host in hosts.iter().chain([&noisy]) {
        lab.connect(host, PortOptions::default());
    }
    ping(&hosts[0], &hosts[1], 56, 2);
    let monitor = lab.switch().monitor();
    let probe = traffic::Probe::start(&hosts[0], &hosts[1], 200);
    // To an address of the noisy host itself, so that its frames reach nobody and only its sources count.
    pretend(&noisy, 0, SOURCES, noisy.mac());
    probe.cover(100);
    probe.finish().assert_no_loss();
    let entries = lab.switch().fdb_show(&[]);
    assert!(entries.len() <= TABLE, "{} entries", entries.len());
    for host in &hosts {
        assert!(entries.iter().any(|entry| entry.mac == host.mac()), "{} was forgotten", host.name());
    }
    let not_learned = lab.switch().counters("noisy0").not_learned;
    let learned = entries.iter().filter(|entry| entry.port == "noisy0").count();
    assert!(learned > TABLE - 100, "{learned} entries");
    // A frame or so of a burst that long is lost where the ring of a veth is full, and not the switch's.
    assert!(not_learned > 0 && learned as u64 + not_learned <= u64::from(SOURCES) + 1, "{learned} and {not_learned}");
    until_limit_is_said(&monitor, "FDB");
    // There is always room for what is configured, and the newcomer is reached by floods.
    lab.switch().ok(&["fdb", "add", "02:00:00:00:05:05", "h10", "--sticky"]);
    tcp_transfer(&hosts[0], &hosts[1], 1_000_000);
    lab.switch().ok(&["fdb", "flush", "--port", "noisy0"]);
    assert!(lab.switch().fdb_show(&["--port", "noisy0"]).len() < 10);
    noisy.inject(&frame::marked(MacAddr::BROADCAST, MacAddr::from_octets([2, 0, 0, 0, 6, 6]), 1));
    until("a newcomer to be learned", SOON, || {
        (!lab.switch().fdb_show(&["--mac", "02:00:00:00:06:06"]).is_empty()).then_some(())
    });
});
