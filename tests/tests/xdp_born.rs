//! Frames that are born as XDP (another program's redirect, an AF_XDP socket) and never were socket buffers: they come in
//! by either hook, and are switched as all others.

use vswitch_tests::bpf::{Sink, emit_as_xdp};
use vswitch_tests::prelude::*;

/// Frames in one go: fewer than a veth's ring holds, so that none is lost where nobody makes room meanwhile.
const BURST: u32 = 100;

each_hook!(vswitch they_reach_a_known_host, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    s.expect_unchanged(1, &s.broadcast(1), &[0, 2]);
    for length in [60, 64, 500, 1514] {
        let frame = frame::marked_as(s.mac(1), s.mac(0), frame::EXPERIMENTAL, 1000 + length as u64, length);
        emit_as_xdp(s.host(0), &frame, BURST);
        let mark = frame::mark_of(&frame).expect("it has one");
        let seen = s.heard(1).expect_exactly(BURST as usize, frame::has_mark(mark), SOON);
        assert!(seen.iter().all(|seen| seen.frame == frame), "{length} octets came changed");
        s.heard(2).expect_none(frame::has_mark(mark), Duration::ZERO);
    }
    // Their sender is learned by them.
    s.expect_unchanged(2, &s.frame(2, s.mac(0)), &[0]);
    let counted = lab.switch().counters(s.port(0)).rx_packets;
    assert_eq!(counted, 4 * u64::from(BURST));
});

each_hook!(vswitch they_are_flooded, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 4]);
    let nobody = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);
    for (mark, to) in [(1001, MacAddr::BROADCAST), (1002, nobody)] {
        let frame = frame::marked(to, s.mac(0), mark);
        emit_as_xdp(s.host(0), &frame, BURST);
        for other in 1..4 {
            let seen = s.heard(other).expect_exactly(BURST as usize, frame::has_mark(mark), SOON);
            assert!(seen.iter().all(|seen| seen.frame == frame));
        }
        s.heard(0).expect_none(frame::has_mark(mark), Duration::ZERO);
    }
});

each_hook!(vswitch their_tags_count, |lab| {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
    let ports = [PortOptions::trunk("10,20"), PortOptions::access(10), PortOptions::trunk("10"), PortOptions::access(20)];
    let campus = |options: PortOptions| PortOptions { network: Some("campus".to_owned()), ..options };
    let s = Stations::connect(&mut lab, ports.map(campus).to_vec());
    let bare = s.broadcast(0);
    let tagged = frame::tagged(&bare, 10, 3);
    emit_as_xdp(s.host(0), &tagged, 1);
    s.expect_of(&bare, &[(1, bare.clone()), (2, tagged)]);
    let back = s.frame(1, s.mac(0));
    s.expect(1, &back, &[(0, frame::tagged(&back, 10, 0))]);
    let known = s.frame(0, s.mac(1));
    emit_as_xdp(s.host(0), &frame::tagged(&known, 10, 3), 1);
    s.expect_of(&known, &[(1, known.clone())]);
});

each_hook!(vswitch a_full_frame_with_two_tags_passes_a_trunk, |lab| {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
    let trunk = || PortOptions { network: Some("campus".to_owned()), ..PortOptions::trunk("10,20") };
    let s = Stations::connect(&mut lab, vec![trunk(), trunk()]);
    // XDP itself has no place for a second tag on top of an MTU: the first link's is larger than the second's.
    s.host(0).namespace().ip(&["link set dev eth0 mtu 2000"]);
    lab.switch_ns().ip(&["link set dev s00 mtu 2000"]);
    until("the port to have its link's MTU", SOON, || (lab.switch().port_show("s00").mtu == 2000).then_some(()));
    s.expect_unchanged(1, &frame::tagged(&s.broadcast(1), 20, 0), &[0]);
    for (mark, to) in [(1001, s.mac(1)), (1002, MacAddr::BROADCAST)] {
        let full = frame::marked_as(to, s.mac(0), frame::EXPERIMENTAL, mark, 1514);
        let double = frame::insert_tag(&frame::tagged(&full, 30, 0), frame::DOT1AD, 20);
        emit_as_xdp(s.host(0), &double, 1);
        s.expect_of(&full, &[(1, double)]);
    }
});

each_hook!(vswitch they_reach_the_xdp_program_of_a_host, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 2]);
    s.expect_unchanged(1, &s.broadcast(1), &[0]);
    let program = Sink::open(s.host(1).namespace(), "eth0").expect("root may attach a program");
    let frame = frame::marked(s.mac(1), s.mac(0), 1000);
    // That the host has one now the controller sees within a second.
    until("frames to reach the program", SOON, || {
        let before = program.count().expect("the map is there");
        emit_as_xdp(s.host(0), &frame, BURST);
        let count = program.count().expect("the map is there") - before;
        (count == u64::from(BURST)).then_some(())
    });
    s.heard(1).clear();
    emit_as_xdp(s.host(0), &frame, BURST);
    s.heard(1).expect_none(frame::has_mark(1000), Duration::ZERO);
});
