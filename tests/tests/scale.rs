//! Scale: more ports on one network than a Linux bridge has, many networks, a large FDB.
//!
//! `VSWITCH_SCALE_PORTS` asks for another number of ports, 4,000 for one, `VSWITCH_SCALE_STATIONS` for another number of stations.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::resources::{processor_time, resident_kib};

/// Beyond what a Linux bridge takes, 1,024; and what a test has time for.
const PORTS: usize = 1_100;

/// Links made by one run of iproute2.
const BATCH: usize = 200;

/// Networks, `default` not among them.
const NETWORKS: usize = 1_000;

/// Room for stations that is configured; and how many come.
const ROOM: u64 = 1_000_000;
const STATIONS: usize = 100_000;

fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().expect("the variable is a number"))
}

/// A request to the controller without the time that a process takes to start; and how long the answer took.
#[track_caller]
fn post(switch: &Switch, path: &str, body: &str) -> Duration {
    let start = Instant::now();
    let mut stream = UnixStream::connect(switch.socket()).expect("the controller listens");
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: vswitch\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all((head + body).as_bytes()).expect("the controller reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the controller answers");
    assert!(answer.starts_with("HTTP/1.1 2"), "{path} {body}: {answer}");
    start.elapsed()
}

/// As many veth pairs from the switch to one host: `p0` and so on, and there `c0` and so on.
fn make_links(lab: &Lab, crowd: &Host, count: usize) {
    let there = crowd.namespace().name();
    let numbers: Vec<usize> = (0..count).collect();
    for batch in numbers.chunks(BATCH) {
        let pairs =
            batch.iter().map(|n| format!("link add name p{n} type veth peer name c{n} netns {there}"));
        lab.switch_ns().ip(&pairs.collect::<Vec<_>>());
        crowd.namespace().ip(&batch.iter().map(|n| format!("link set dev c{n} up")).collect::<Vec<_>>());
    }
}

/// Frames that each of the crowd's links has received.
fn received(crowd: &Host) -> Vec<u64> {
    let text = crowd.namespace().read("/proc/thread-self/net/dev");
    let count = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        name.trim().starts_with('c').then(|| numbers.split_whitespace().nth(1)?.parse().ok())?
    };
    text.lines().filter_map(count).collect()
}

/// Frames that the kernel takes in one go for stacks behind veths (`net.core.netdev_max_backlog`); of one flood as well, whoever
/// floods. What is beyond it drops and counts in `/proc/net/softnet_stat`.
fn backlog() -> usize {
    let text = std::fs::read_to_string("/proc/sys/net/core/netdev_max_backlog");
    text.ok().and_then(|text| text.trim().parse().ok()).expect("the kernel has a backlog")
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn a_network_has_more_ports_than_a_bridge_and_floods_reach_them_all() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("scale") else { return };
    let count = number("VSWITCH_SCALE_PORTS", PORTS);
    let crowd = lab.host_with("crowd", HostOptions::bare());
    let start = Instant::now();
    make_links(&lab, &crowd, count);
    eprintln!("{count} links in {:?}", start.elapsed());
    let empty = resident_kib(lab.switch());
    let start = Instant::now();
    let times: Vec<Duration> =
        (0..count).map(|n| post(lab.switch(), "/v1/ports", &format!(r#"{{"link":"p{n}"}}"#))).collect();
    let (first, last) = (median(&times[..50]), median(&times[count - 50..]));
    eprintln!(
        "{count} ports in {:?}: the first fifty took {first:?} each, the last {last:?}; median {:?}",
        start.elapsed(),
        median(&times)
    );
    until("all ports to forward", Duration::from_secs(60), || {
        let ports = lab.switch().ports();
        (ports.len() == count && ports.iter().all(|port| port.state == PortState::Forwarding)).then_some(())
    });
    eprintln!("the controller has {} KiB, {empty} before", resident_kib(lab.switch()));
    let (before, start) = (processor_time(lab.switch()), Instant::now());
    std::thread::sleep(Duration::from_secs(5));
    let busy = processor_time(lab.switch()).saturating_sub(before);
    eprintln!("idle, it took {busy:?} of {:?}", start.elapsed());
    let before = received(&crowd);
    assert_eq!(before.len(), count);
    let broadcast = frame::marked(MacAddr::BROADCAST, MacAddr::from_octets([2, 0, 0, 0, 0, 1]), 1);
    vswitch_tests::sniff::inject(crowd.namespace(), "c0", &[broadcast]);
    let arrived =
        || -> usize { received(&crowd).iter().zip(&before).map(|(now, was)| (now - was) as usize).sum() };
    let expected = (count - 1).min(backlog());
    let all = vswitch_tests::wait::poll(SOON, || (arrived() >= expected).then_some(()));
    let counters = lab.switch().counters("p0");
    assert!(all.is_some(), "{} of {expected} copies arrived; {counters:?}", arrived());
    std::thread::sleep(Duration::from_millis(300));
    let copies: Vec<u64> = received(&crowd).iter().zip(&before).map(|(now, was)| now - was).collect();
    eprintln!("a flood reached {} of {}", copies.iter().sum::<u64>(), count - 1);
    assert!(copies.iter().all(|copies| *copies <= 1) && copies[0] == 0, "one each, but for the sender");
}

#[test]
fn a_thousand_networks_keep_apart() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("networks") else { return };
    let times: Vec<Duration> =
        (0..NETWORKS).map(|n| post(lab.switch(), "/v1/networks", &format!(r#"{{"name":"n{n}"}}"#))).collect();
    let (first, last) = (median(&times[..50]), median(&times[NETWORKS - 50..]));
    eprintln!("{NETWORKS} networks: the first fifty took {first:?} each, the last {last:?}");
    let listed: Vec<serde_json::Value> = lab.switch().json(&["network", "ls"]);
    assert_eq!(listed.len(), NETWORKS + 1);
    let of_last = || PortOptions::network(&format!("n{}", NETWORKS - 1));
    let s = Stations::connect(
        &mut lab,
        vec![of_last(), of_last(), PortOptions::network("n0"), PortOptions::default()],
    );
    s.expect_unchanged(0, &s.broadcast(0), &[1]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    eprintln!("the controller has {} KiB", resident_kib(lab.switch()));
}

#[test]
fn a_million_stations_have_room_where_that_is_configured() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("stations") else { return };
    let count = number("VSWITCH_SCALE_STATIONS", STATIONS) as u64;
    lab.switch_mut().teardown();
    let file = lab.scratch().path("vswitch.toml");
    std::fs::write(&file, format!("[limits]\nfdb_entries = {ROOM}\n")).expect("the lab's folder is writable");
    lab.switch_mut().options_mut().extra = vec!["--config".to_owned(), file.display().to_string()];
    lab.switch_mut().start_again();
    let talker = lab.host_with("talker", HostOptions::bare());
    lab.connect(&talker, PortOptions::default());
    let start = Instant::now();
    let source = |number: u64| MacAddr::from_bits(0x0600_0000_0000 | number);
    let numbers: Vec<u64> = (0..count).collect();
    for batch in numbers.chunks(2_000) {
        let frames: Vec<_> =
            batch.iter().map(|number| frame::marked(talker.mac(), source(*number), 1)).collect();
        talker.inject_all(&frames);
    }
    let status = lab.switch().status();
    let table = status.limits.iter().find(|limit| limit.name == "FDB").expect("status names the FDB");
    eprintln!(
        "{} of {count} stations in {:?}; the table has {} KiB for {} entries; the controller has {} KiB",
        status.fdb.entries,
        start.elapsed(),
        table.memory_bytes / 1024,
        table.entries,
        resident_kib(lab.switch())
    );
    assert!(status.fdb.limit == ROOM && table.entries >= ROOM && table.memory_bytes > ROOM * 16);
    // A frame or so is lost where the ring of a veth is full.
    assert!(status.fdb.entries + 50 >= count, "{} of {count}", status.fdb.entries);
}
