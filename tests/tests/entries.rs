//! What is in the FDB and who may change it: static and sticky entries, learning switched off, and who inherits nothing.

use vswitch_tests::prelude::*;

const STATION: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x55]);

/// Where an address is, and what kind of entry says so.
fn place(lab: &Lab, mac: MacAddr) -> Option<(String, FdbKind)> {
    let mut found = lab.switch().fdb_show(&["--mac", &mac.to_string()]);
    assert!(found.len() < 2, "{found:?}");
    found.pop().map(|entry| (entry.port, entry.kind))
}

fn at(port: &str, kind: FdbKind) -> Option<(String, FdbKind)> {
    Some((port.to_owned(), kind))
}

fn plain(lab: &mut Lab, count: usize) -> Stations {
    Stations::connect(lab, vec![PortOptions::default(); count])
}

each_hook!(vswitch a_static_entry_moves_and_stays_static, |lab| {
    let s = plain(&mut lab, 3);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0)]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
    s.expect_unchanged(1, &s.frame_of(STATION, MacAddr::BROADCAST), &[0, 2]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[1]);
    assert_eq!(place(&lab, STATION), at(s.port(1), FdbKind::Static));
});

each_hook!(vswitch a_sticky_entry_does_not_move, |lab| {
    let s = plain(&mut lab, 3);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0), "--sticky"]);
    s.expect_unchanged(1, &s.frame_of(STATION, MacAddr::BROADCAST), &[0, 2]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
    assert_eq!(place(&lab, STATION), at(s.port(0), FdbKind::Sticky));
});

each_hook!(vswitch an_entry_replaces_what_was_learned_and_goes_by_command, |lab| {
    let s = plain(&mut lab, 3);
    s.expect_unchanged(1, &s.frame_of(STATION, MacAddr::BROADCAST), &[0, 2]);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0), "--sticky"]);
    assert_eq!(place(&lab, STATION), at(s.port(0), FdbKind::Sticky));
    lab.switch().ok(&["fdb", "flush"]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
    lab.switch().ok(&["fdb", "del", &STATION.to_string()]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[0, 1]);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0)]);
    lab.switch().ok(&["fdb", "flush", "--static"]);
    assert_eq!(place(&lab, STATION), None);
});

each_hook!(vswitch an_entry_that_moved_to_a_port_does_not_outlive_it, |lab| {
    let s = plain(&mut lab, 4);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0)]);
    s.expect_unchanged(1, &s.frame_of(STATION, MacAddr::BROADCAST), &[0, 2, 3]);
    assert_eq!(place(&lab, STATION), at(s.port(1), FdbKind::Static));
    lab.switch().ok(&["port", "del", s.port(1)]);
    // It is where it was configured to be, and a port in the deleted one's place inherits nothing.
    assert_eq!(place(&lab, STATION), at(s.port(0), FdbKind::Static));
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
    lab.subject().add_port("s10", &PortOptions::default());
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
});

each_hook!(vswitch a_port_that_does_not_learn_is_flooded_to, |lab| {
    let silent = PortOptions { no_learning: true, ..PortOptions::default() };
    let s = Stations::connect(&mut lab, vec![silent, PortOptions::default(), PortOptions::default()]);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0, 2]);
    assert_eq!(place(&lab, s.mac(0)), None);
    lab.switch().ok(&["port", "set", s.port(0), "--learning"]);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
});

each_hook!(vswitch a_port_without_floods_gets_what_is_known_to_be_its, |lab| {
    let quiet = PortOptions { no_flood: true, ..PortOptions::default() };
    let s = Stations::connect(&mut lab, vec![quiet, PortOptions::default(), PortOptions::default()]);
    s.expect_unchanged(1, &s.broadcast(1), &[2]);
    s.expect_unchanged(1, &s.frame(1, STATION), &[2]);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    lab.switch().ok(&["port", "set", s.port(0), "--flood"]);
    s.expect_unchanged(1, &s.broadcast(1), &[0, 2]);
});

each_hook!(vswitch isolated_ports_reach_only_ports_that_are_not, |lab| {
    let isolated = PortOptions { isolated: true, ..PortOptions::default() };
    let s = Stations::connect(&mut lab, vec![isolated.clone(), isolated, PortOptions::default()]);
    s.expect_unchanged(0, &s.broadcast(0), &[2]);
    s.expect_unchanged(1, &s.broadcast(1), &[2]);
    s.expect_unchanged(2, &s.broadcast(2), &[0, 1]);
    s.expect_unchanged(0, &s.frame(0, s.mac(1)), &[]);
    s.expect_unchanged(2, &s.frame(2, s.mac(1)), &[1]);
    s.expect_unchanged(1, &s.frame(1, s.mac(2)), &[2]);
    assert_eq!(lab.switch().counters(s.port(0)).drops.get("isolated"), Some(&1));
    lab.switch().ok(&["port", "set", s.port(0), "--no-isolated"]);
    s.expect_unchanged(0, &s.frame(0, s.mac(1)), &[1]);
});

each_hook!(vswitch a_hairpin_returns_what_is_for_its_own_side, |lab| {
    let hairpin = PortOptions { hairpin: true, ..PortOptions::default() };
    let s = Stations::connect(&mut lab, vec![hairpin, PortOptions::default()]);
    s.expect_unchanged(0, &s.broadcast(0), &[0, 1]);
    s.expect_unchanged(0, &s.frame_of(STATION, s.mac(0)), &[0]);
    lab.switch().ok(&["port", "set", s.port(0), "--no-hairpin"]);
    s.expect_unchanged(0, &s.frame_of(STATION, s.mac(0)), &[]);
    assert_eq!(lab.switch().counters(s.port(0)).drops.get("same-port"), Some(&1));
});

each_hook!(vswitch a_link_made_again_inherits_nothing, |lab| {
    let s = plain(&mut lab, 3);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    let wire = Wire { port: s.port(0).to_owned(), link: "eth0".to_owned() };
    lab.switch_ns().ip(&["link del s00"]);
    lab.switch().wait_for_state("s00", PortState::Down);
    assert_eq!(place(&lab, s.mac(0)), None);
    lab.wire_as(s.host(0), &wire);
    lab.switch().wait_for_state("s00", PortState::Forwarding);
    assert_eq!(place(&lab, s.mac(0)), None);
    let again = s.host(0).sniff();
    let unknown = s.frame(1, s.mac(0));
    s.expect_unchanged(1, &unknown, &[2]);
    let mark = frame::mark_of(&unknown).expect("it has one");
    again.expect_exactly(1, frame::has_mark(mark), Duration::ZERO);
});

each_hook!(vswitch a_static_entry_is_still_there_after_a_crash, |lab| {
    let s = plain(&mut lab, 3);
    lab.switch().ok(&["fdb", "add", &STATION.to_string(), s.port(0), "--sticky"]);
    lab.switch_mut().kill9();
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
    lab.switch_mut().start_again();
    assert_eq!(place(&lab, STATION), at(s.port(0), FdbKind::Sticky));
    s.expect_unchanged(1, &s.frame_of(STATION, MacAddr::BROADCAST), &[0, 2]);
    s.expect_unchanged(2, &s.frame(2, STATION), &[0]);
});
