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
