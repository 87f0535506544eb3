use super::*;

const A: Mac = [2, 0, 0, 0, 0, 0xa];
const B: Mac = [2, 0, 0, 0, 0, 0xb];
const ALL: Mac = [0xff; 6];

fn frame(to: Mac, from: Mac) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn switch(ports: u32) -> Switch {
    let mut switch = Switch::default();
    (1..=ports).for_each(|id| switch.set_port(id, PortSettings::default()));
    switch
}

fn to(ports: &[PortId]) -> Outcome {
    Outcome { deliveries: ports.to_vec(), drop: None }
}

#[test]
fn unknown_is_flooded_and_known_is_forwarded() {
    let mut switch = switch(3);
    assert_eq!(switch.deliver(1, &frame(B, A), at(0)), to(&[2, 3]));
    assert_eq!(switch.deliver(2, &frame(A, B), at(1)), to(&[1]));
    assert_eq!(switch.deliver(1, &frame(B, A), at(2)), to(&[2]));
    assert_eq!(switch.deliver(1, &frame(ALL, A), at(3)), to(&[2, 3]));
}

#[test]
fn a_station_that_moves_is_followed_unless_it_is_sticky() {
    let mut switch = switch(3);
    switch.deliver(1, &frame(ALL, A), at(0));
    switch.deliver(2, &frame(ALL, A), at(0));
    assert_eq!(switch.deliver(3, &frame(A, B), at(0)), to(&[2]));
    switch.add_entry(A, 1, Kind::Sticky, at(0));
    assert_eq!(switch.deliver(2, &frame(ALL, A), at(0)), to(&[1, 3]));
    assert_eq!(switch.deliver(3, &frame(A, B), at(0)), to(&[1]));
}

#[test]
fn a_silent_station_ages_and_a_static_one_does_not() {
    let mut switch = switch(3);
    switch.set_ageing(0, at(10));
    switch.deliver(1, &frame(ALL, A), at(0));
    switch.add_entry(B, 2, Kind::Static, at(0));
    assert_eq!(switch.deliver(3, &frame(A, [2; 6]), at(9)), to(&[1]));
    assert_eq!(
        switch.deliver(3, &frame(A, [2; 6]), at(10)),
        to(&[1, 2]),
        "traffic to a station does not refresh it"
    );
    assert_eq!(switch.deliver(3, &frame(B, [2; 6]), at(1000)), to(&[2]));
    switch.set_ageing(0, at(0));
    assert_eq!(switch.deliver(3, &frame(A, [2; 6]), at(1000)), to(&[1]), "0 is never");
}

#[test]
fn what_must_not_pass_is_dropped_for_its_reason() {
    let mut switch = switch(2);
    let dropped = Outcome::dropped;
    switch.deliver(1, &frame([1, 0x80, 0xc2, 0, 0, 14], B), at(0));
    assert!(switch.fdb(at(0)).is_empty(), "a refused frame teaches nothing");
    switch.deliver(1, &frame(ALL, A), at(0));
    assert_eq!(switch.deliver(1, &frame(A, B), at(0)), dropped(Reason::SamePort));
    assert_eq!(switch.deliver(1, &frame(ALL, ALL), at(0)), dropped(Reason::InvalidSource));
    assert_eq!(switch.deliver(1, &frame(ALL, [0; 6]), at(0)), dropped(Reason::InvalidSource));
    assert_eq!(
        switch.deliver(1, &frame([1, 0x80, 0xc2, 0, 0, 14], A), at(0)),
        dropped(Reason::LinkConstrained)
    );
    assert_eq!(switch.deliver(1, &[0; 13], at(0)), dropped(Reason::Malformed));
    assert_eq!(switch.deliver(9, &frame(ALL, A), at(0)), dropped(Reason::NoPort));
    switch.set_port(2, PortSettings { mtu: 1000, ..PortSettings::default() });
    assert_eq!(switch.deliver(1, &[frame(ALL, A), vec![0; 959]].concat(), at(0)), dropped(Reason::TooBig));
    assert_eq!(switch.deliver(1, &[frame(ALL, A), vec![0; 958]].concat(), at(0)), to(&[2]));
    switch.set_port(2, PortSettings { up: false, ..PortSettings::default() });
    assert_eq!(switch.deliver(2, &frame(ALL, B), at(0)), dropped(Reason::PortDown));
    assert_eq!(switch.deliver(1, &frame(ALL, A), at(0)), dropped(Reason::NobodyToFlood));
}

#[test]
fn networks_and_isolated_ports_keep_apart() {
    let mut switch = switch(4);
    switch.set_port(2, PortSettings { network: 7, ..PortSettings::default() });
    for port in [3, 4] {
        switch.set_port(port, PortSettings { isolated: true, ..PortSettings::default() });
    }
    assert_eq!(switch.deliver(2, &frame(ALL, A), at(0)), Outcome::dropped(Reason::NobodyToFlood));
    assert_eq!(switch.deliver(1, &frame(A, B), at(0)), to(&[3, 4]));
    assert_eq!(switch.deliver(3, &frame(ALL, A), at(0)), to(&[1]));
    assert_eq!(switch.deliver(4, &frame(A, [2; 6]), at(0)), Outcome::dropped(Reason::Isolated));
}

#[test]
fn a_port_that_goes_down_forgets_what_it_learned() {
    let mut switch = switch(3);
    switch.deliver(1, &frame(ALL, A), at(0));
    switch.set_port(1, PortSettings { up: false, ..PortSettings::default() });
    switch.set_port(1, PortSettings::default());
    assert!(switch.fdb(at(0)).is_empty());
    assert_eq!(switch.deliver(2, &frame(A, B), at(0)), to(&[1, 3]));
}

fn tagged(to: Mac, from: Mac, vid: u16) -> Vec<u8> {
    [&to[..], &from, &[0x81, 0, (vid >> 8) as u8, vid as u8, 0x88, 0xb5], &[0; 46]].concat()
}

fn in_vlans(untagged: u16, tagged: [u16; 3]) -> PortSettings {
    PortSettings { vlans: Some(Vlans { untagged, tagged }), ..PortSettings::default() }
}

#[test]
fn vlans_keep_apart_and_tags_come_and_go() {
    let mut switch = Switch::default();
    switch.set_port(1, in_vlans(10, [0; 3]));
    switch.set_port(2, in_vlans(0, [10, 20, 0]));
    switch.set_port(3, in_vlans(20, [0; 3]));
    assert_eq!(switch.deliver(1, &frame(ALL, A), at(0)), to(&[2]));
    assert_eq!((switch.form(1, 10), switch.form(2, 10)), (Form::Untagged, Form::Tagged(10)));
    assert_eq!(switch.deliver(2, &tagged(A, B, 10), at(0)), to(&[1]));
    assert_eq!(switch.deliver(2, &tagged(A, B, 20), at(0)), to(&[3]), "unknown in that VLAN");
    assert_eq!(switch.deliver(2, &tagged(A, B, 30), at(0)), Outcome::dropped(Reason::VlanNotAllowed));
    assert_eq!(switch.deliver(2, &tagged(A, B, 4095), at(0)), Outcome::dropped(Reason::InvalidVlan));
    assert_eq!(switch.deliver(2, &frame(A, B), at(0)), Outcome::dropped(Reason::InvalidVlan));
    assert_eq!(switch.deliver(1, &tagged(ALL, A, 0), at(0)), to(&[2]), "a priority tag");
}

#[test]
fn a_guarded_port_says_what_it_was_given_and_nothing_else() {
    let mut switch = switch(2);
    let guard = Guard { mac: Some(A), ip: Some([10, 0, 0, 1]), trusted: false };
    switch.set_port(1, PortSettings { guard: Some(guard), ..PortSettings::default() });
    let arp = |sender: Mac, ip: [u8; 4]| {
        [&ALL[..], &A, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &sender, &ip, &[0; 6], &ip].concat()
    };
    let udp = |ip: [u8; 4], from: u8, to: u8| {
        [
            &ALL[..],
            &A,
            &[8, 0, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0],
            &ip,
            &[255; 4],
            &[0, from, 0, to, 0, 8, 0, 0],
        ]
        .concat()
    };
    let mut verdict = |frame: &[u8]| switch.deliver(1, frame, at(0)).drop;
    assert_eq!(verdict(&frame(ALL, B)), Some(Reason::SpoofedMac));
    assert_eq!(verdict(&arp(B, [10, 0, 0, 1])), Some(Reason::SpoofedMac));
    assert_eq!(verdict(&arp(A, [10, 0, 0, 2])), Some(Reason::SpoofedIp));
    assert_eq!(verdict(&arp(A, [10, 0, 0, 1])), None);
    assert_eq!(verdict(&udp([0; 4], 68, 67)), None);
    assert_eq!(verdict(&udp([0; 4], 68, 68)), Some(Reason::SpoofedIp));
    assert_eq!(verdict(&udp([10, 0, 0, 1], 67, 68)), Some(Reason::RogueServer));
}

#[test]
fn a_port_that_flooded_too_much_still_reaches_whom_it_knows() {
    let mut switch = switch(2);
    switch.deliver(2, &frame(ALL, B), at(0));
    switch.set_port(1, PortSettings { exhausted: [true, false, true], ..PortSettings::default() });
    assert_eq!(switch.deliver(1, &frame(ALL, A), at(0)), Outcome::dropped(Reason::StormBroadcast));
    assert_eq!(switch.deliver(1, &frame([3; 6], A), at(0)), to(&[2]));
    assert_eq!(switch.deliver(1, &frame([2; 6], A), at(0)), Outcome::dropped(Reason::StormUnknown));
    assert_eq!(switch.deliver(1, &frame(B, A), at(0)), to(&[2]));
}
