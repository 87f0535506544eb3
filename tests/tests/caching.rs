//! Address caching after RFC 2889 sections 5.7 and 5.8, with a learning, a test and a monitoring port: how many stations are
//! remembered, and how fast they may come. A station that is not shows at the monitoring port, to which its frames flood.

use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::wait::poll;

/// Stations of the tests of capacity; vswitch has room for 65,536 with those of the ports themselves.
const STATIONS: u32 = 65_000;

/// Stations of the test of the learning rate.
const FAST: u32 = 20_000;

/// Frames sent at once, each run followed by a look at what arrived, so that no ring has to hold more.
const RUN: usize = 500;

struct Ports {
    learning: Host,
    test: Host,
    monitoring: Host,
}

fn ports(lab: &mut Lab) -> Ports {
    let hosts = lab.hosts("r", 3, &HostOptions::bare());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    let [learning, test, monitoring] = hosts.try_into().expect("three hosts were asked for");
    // The test port is known from the start, so that nothing else floods.
    test.inject(&frame::marked(MacAddr::BROADCAST, test.mac(), 1));
    until("the monitoring port to hear of the test port", SOON, || (received(&monitoring) > 0).then_some(()));
    Ports { learning, test, monitoring }
}

fn station(number: u32) -> MacAddr {
    MacAddr::from_bits(0x0600_0000_0000 | u64::from(number))
}

/// Frames that a host's link has received.
fn received(host: &Host) -> u64 {
    let text = host.namespace().read("/proc/thread-self/net/dev");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).expect("the host has eth0")
}

/// Sends the frames in runs, and waits after each until it has come through; those of a run that did not, again.
fn send(from: &Host, to: &Host, frames: &[Vec<u8>]) {
    for run in frames.chunks(RUN) {
        until("a run of frames to come through", SOON, || {
            let before = received(to);
            from.inject_all(run);
            let all = || received(to) - before >= run.len() as u64;
            poll(Duration::from_millis(200), || all().then_some(()))
        });
    }
}

/// The learning port says that it has the stations.
fn teach(ports: &Ports, stations: std::ops::Range<u32>) -> Vec<Vec<u8>> {
    stations.map(|number| frame::marked(ports.test.mac(), station(number), 2)).collect()
}

/// How many of the stations show at the monitoring port when the test port sends to each.
fn flooded(ports: &Ports, stations: std::ops::Range<u32>) -> u64 {
    let before = received(&ports.monitoring);
    let frames: Vec<_> = stations.map(|number| frame::marked(station(number), ports.test.mac(), 3)).collect();
    send(&ports.test, &ports.learning, &frames);
    received(&ports.monitoring) - before
}

/// Once for each hook is once too often for a table that both share.
fn measured(capacity: fn(&mut Lab)) {
    let rival = Rival::from_environment();
    for rival in [rival, Rival::LinuxBridge] {
        capacity(&mut Lab::with("caching", rival, Hooks::Tc));
        if rival == Rival::LinuxBridge {
            return;
        }
    }
}

#[test]
fn every_station_up_to_the_capacity_is_remembered() {
    measured(|lab| {
        let ports = ports(lab);
        send(&ports.learning, &ports.test, &teach(&ports, 0..STATIONS));
        assert_eq!(flooded(&ports, 0..STATIONS), 0, "some of {STATIONS} stations were not remembered");
        let room = 66_000;
        send(&ports.learning, &ports.test, &teach(&ports, STATIONS..room));
        let beyond = flooded(&ports, STATIONS..room);
        eprintln!("of {room} stations, {} were remembered", u64::from(room) - beyond);
        assert_eq!(flooded(&ports, 0..STATIONS), 0, "newcomers took the place of others");
    });
}

#[test]
fn stations_are_learned_as_fast_as_they_come() {
    measured(|lab| {
        let ports = ports(lab);
        let (frames, before) = (teach(&ports, 0..FAST), received(&ports.test));
        let start = Instant::now();
        ports.learning.inject_all(&frames);
        let rate = f64::from(FAST) / start.elapsed().as_secs_f64();
        poll(Duration::from_secs(1), || (received(&ports.test) - before >= u64::from(FAST)).then_some(()));
        // What a ring had no room for nobody can learn.
        let lost = u64::from(FAST) - (received(&ports.test) - before).min(u64::from(FAST));
        let unknown = flooded(&ports, 0..FAST);
        eprintln!("{rate:.0} stations/s: {unknown} of {FAST} not learned, {lost} frames lost on the way");
        assert!(unknown <= lost, "{unknown} stations were not learned, {lost} frames lost on the way");
    });
}
