//! The lab itself: that it isolates, measures and cleans up. Around the Linux bridge, so that it stands on its own.

use std::path::Path;
use std::process::Command;

use vswitch_tests::prelude::*;
use vswitch_tests::scratch::NAMESPACES;

fn bridge_lab(title: &str) -> Lab {
    Lab::with(title, Rival::LinuxBridge, Hooks::Auto)
}

#[test]
fn everything_is_gone_after_a_panic() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let died = std::thread::spawn(move || {
        let mut lab = bridge_lab("a panic");
        let a = lab.host("a");
        lab.connect(&a, PortOptions::default());
        lab.daemon(&a, "sleep", &["1000"]);
        let pid = lab.daemon(&a, "sleep", &["1000"]).pid();
        let names = [lab.switch_ns().name().to_owned(), a.namespace().name().to_owned()];
        sender.send((pid, names, lab.scratch().bpffs())).expect("the test listens");
        panic!("on purpose");
    });
    let (pid, namespaces, bpffs) = receiver.recv().expect("the lab was built");
    assert!(died.join().is_err());
    for name in namespaces {
        assert!(!Path::new(NAMESPACES).join(&name).exists(), "{name} is left");
    }
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "a daemon is left");
    assert!(!bpffs.exists(), "the bpffs is left");
}

#[test]
fn what_a_dead_test_left_is_swept() {
    // No process has a number beyond pid_max, which is at most 2^22.
    let name = "vst99999999-1-left";
    assert!(
        Command::new("ip").args(["netns", "add", name]).status().expect("iproute2 is installed").success()
    );
    let mut child = Command::new("ip")
        .args(["netns", "exec", name, "sleep", "1000"])
        .spawn()
        .expect("iproute2 is installed");
    // The sweep runs once a process, at its first lab: so it takes another process to see it.
    let exe = std::env::current_exe().expect("a test has a path");
    let again = Command::new(exe)
        .args(["--exact", "hosts_ping_and_move_octets_over_a_bridge"])
        .output()
        .expect("it runs");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    assert!(!Path::new(NAMESPACES).join(name).exists(), "the namespace is left");
    until("the process in it to end", SOON, || child.try_wait().expect("a child can be waited for"));
}

#[test]
fn hosts_ping_and_move_octets_over_a_bridge() {
    let mut lab = bridge_lab("traffic");
    let (a, b) = (lab.host("a"), lab.host("b"));
    for host in [&a, &b] {
        lab.connect(host, PortOptions::default());
    }
    for size in [56, 1472, 1473, 20_000] {
        ping(&a, &b, size, 3);
    }
    a.wait_for_ipv6();
    b.wait_for_ipv6();
    ping6(&a, &b, 4000, 3);
    udp_exchange(&a, &b, &[0, 1, 1472, 1473, 9000, 65_000]);
    tcp_transfer(&a, &b, 5_000_000);
    parallel_flows(&a, &b, 4, 500_000);
    traffic::assert_no_checksum_errors(&[&a, &b]);
    assert_eq!(checksum_errors(&a), 0);
}

#[test]
fn a_probe_notices_what_is_lost() {
    let mut lab = bridge_lab("probe");
    let (a, b) = (lab.host_with("a", HostOptions::ipv4_only()), lab.host_with("b", HostOptions::ipv4_only()));
    let wires = [lab.connect(&a, PortOptions::default()), lab.connect(&b, PortOptions::default())];
    let probe = traffic::Probe::start(&a, &b, 200);
    probe.cover(50);
    probe.finish().assert_no_loss();
    let probe = traffic::Probe::start(&a, &b, 200);
    probe.cover(20);
    lab.subject().delete_port(&wires[1].port);
    probe.cover(20);
    lab.subject().add_port(&wires[1].port, &PortOptions::default());
    probe.cover(20);
    let report = probe.finish();
    assert!(!report.lost.is_empty() && (report.lost.len() as u64) < report.sent, "{report:?}");
}

#[test]
fn a_wrong_checksum_is_counted() {
    let mut lab = bridge_lab("checksum");
    let (a, b) = (lab.host_with("a", HostOptions::ipv4_only()), lab.host_with("b", HostOptions::ipv4_only()));
    for host in [&a, &b] {
        lab.connect(host, PortOptions::default());
    }
    let mut frame = frame::ipv4_udp((a.mac(), a.ipv4(), 1000), (b.mac(), b.ipv4(), 1000), b"some data");
    frame[45] ^= 1;
    let socket = b.run(|| std::net::UdpSocket::bind((b.ipv4(), 1000))).expect("the host has its address");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("the timeout is not zero");
    a.inject(&frame);
    let counted = until("the checksum error", SOON, || {
        // The sum is checked when the datagram is read.
        let _ = socket.recv(&mut [0; 100]);
        Some(checksum_errors(&b)).filter(|&errors| errors > 0)
    });
    assert!(counted >= 1);
}

#[test]
fn frames_are_seen_as_they_were_sent() {
    let mut lab = bridge_lab("frames");
    let (a, b) = (lab.host_with("a", HostOptions::bare()), lab.host_with("b", HostOptions::bare()));
    for host in [&a, &b] {
        lab.connect(host, PortOptions::default());
    }
    let (at_a, at_b) = (a.sniff(), b.sniff());
    let sent = [
        frame::marked(b.mac(), a.mac(), 1),
        frame::marked_as(b.mac(), a.mac(), 0x4321, 2, 1514),
        frame::tagged(&frame::marked(b.mac(), a.mac(), 3), 42, 5),
        frame::raw(b.mac(), a.mac(), frame::EXPERIMENTAL, &[]),
    ];
    a.inject_all(&sent);
    let seen = at_b.expect_exactly(4, |_| true, SOON);
    assert_eq!(seen.into_iter().map(|captured| captured.frame).collect::<Vec<_>>(), sent);
    at_a.expect_none(|_| true, Duration::from_millis(100));
    assert_eq!(at_a.frames().len(), 4, "the sniffer sees what its own host sends, apart");
}

#[test]
fn a_tap_gives_and_takes_frames() {
    let mut lab = bridge_lab("tap");
    let a = lab.host_with("a", HostOptions::bare());
    lab.connect(&a, PortOptions::default());
    let tap = lab.tap("t", PortOptions::default());
    let (at_a, virtual_mac) = (a.sniff(), MacAddr::from_octets([2, 0, 0, 0, 0, 0x7a]));
    tap.send(&frame::marked(MacAddr::BROADCAST, virtual_mac, 1));
    at_a.expect_exactly(1, frame::has_mark(1), SOON);
    a.inject(&frame::marked(virtual_mac, a.mac(), 2));
    tap.received().expect_exactly(1, frame::has_mark(2), SOON);
}

#[test]
fn a_footprint_shows_what_changed() {
    let mut lab = bridge_lab("footprint");
    let a = lab.host("a");
    let wire = lab.wire(&a);
    let ns = lab.switch_ns().clone();
    let before = Footprint::of(&ns, &a, &wire);
    before.assert_restored(|| Footprint::of(&ns, &a, &wire));
    a.namespace().output("ethtool", &["-K", "eth0", "tx", "off"]);
    ns.sysctl("ipv6/conf/a0/disable_ipv6", "1");
    ns.output("tc", &["qdisc", "add", "dev", "a0", "clsact"]);
    let differences = before.differences(&Footprint::of(&ns, &a, &wire)).join("\n");
    for part in ["far offload tx-checksumming", "near ipv6/conf a0 disable_ipv6", "near qdiscs"] {
        assert!(differences.contains(part), "{part} is missing in:\n{differences}");
    }
}
