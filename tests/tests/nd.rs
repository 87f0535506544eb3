//! IPv6 neighbour discovery (RFC 4861): who asks for a known address is answered by the switch, unheard by others.

use std::net::Ipv6Addr;

use vswitch_tests::frame::ip;
use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(500);

const KNOWN: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x77);
const NOBODY: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0xdead);
const ASKER: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);

/// Station 1 is said to have [`KNOWN`]; 0 and 2 are at bare ports.
fn three(lab: &mut Lab, options: &PortOptions) -> Stations {
    let mac = MacAddr::from_octets([2, 0x77, 0, 0, 0, 2]).to_string();
    let configured = options.clone().with(&["--ip", "fd77::77", "--mac", &mac]);
    Stations::connect(lab, vec![options.clone(), configured, options.clone()])
}

/// A filter for neighbour discovery of one kind about an address.
fn is_about(kind: u8, target: Ipv6Addr) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        let payload = frame::payload_of(frame).unwrap_or_default();
        frame::ethertype_of(frame) == Some(frame::IPV6)
            && payload.get(6) == Some(&58)
            && payload.get(40) == Some(&kind)
            && payload.get(48..64) == Some(&target.octets())
    }
}

fn asks(target: Ipv6Addr) -> impl Fn(&[u8]) -> bool {
    is_about(135, target)
}

fn tells(target: Ipv6Addr) -> impl Fn(&[u8]) -> bool {
    is_about(136, target)
}

fn answered(lab: &Lab, port: &str) -> u64 {
    lab.switch().counters(port).answered
}

each_hook!(vswitch a_solicitation_for_a_known_host_is_answered_unheard_by_others, |lab| {
    let s = three(&mut lab, &PortOptions::default());
    s.host(0).inject(&frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN));
    let answer = s.heard(0).expect_exactly(1, tells(KNOWN), SOON).remove(0).frame;
    assert_eq!((frame::destination_of(&answer), frame::source_of(&answer)), (Some(s.mac(0)), Some(s.mac(1))));
    // As the owner itself would say it, but that it does not override what the asker may know better.
    let mut expected = frame::neighbour_advertisement((s.mac(1), KNOWN), (s.mac(0), ASKER));
    expected[58] = 0x40;
    expected[56..58].copy_from_slice(&[0, 0]);
    let sum = frame::internet_checksum(&[&expected[22..54], &[0, 0, 0, 32, 0, 0, 0, 58], &expected[54..]]);
    expected[56..58].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(answer, expected);
    for other in [1, 2] {
        s.heard(other).expect_none(|_| true, QUIET);
    }
    assert_eq!(answered(&lab, s.port(0)), 1);
});

each_hook!(vswitch stacks_believe_the_answer, |lab| {
    let (a, b) = (lab.host("a"), lab.host("b"));
    let third = lab.host_with("third", HostOptions::bare());
    for host in [&a, &b, &third] {
        lab.connect(host, PortOptions::default());
    }
    a.wait_for_ipv6();
    b.wait_for_ipv6();
    ping6(&a, &b, 56, 2);
    let at_third = third.sniff();
    // The controller knows a moment after b spoke.
    until("a solicitation for b to be answered by the switch", SOON, || {
        at_third.clear();
        a.namespace().ip(&["neigh flush dev eth0"]);
        let before = answered(&lab, "a0");
        ping6(&a, &b, 56, 1);
        (answered(&lab, "a0") > before && at_third.received(asks(b.ipv6())).is_empty()).then_some(())
    });
    let known = a.namespace().output("ip", &["-6", "neigh", "show", &b.ipv6().to_string()]);
    assert!(known.contains(&b.mac().to_string()), "{known}");
    traffic::tcp_send(&a, &b, b.ipv6().into(), 1_000_000);
    traffic::assert_no_checksum_errors(&[&a, &b]);
});

each_hook!(vswitch duplicate_address_detection_reaches_all_and_is_not_answered, |lab| {
    let s = three(&mut lab, &PortOptions::default());
    s.host(0).inject(&frame::neighbour_solicitation((s.mac(0), Ipv6Addr::UNSPECIFIED), KNOWN));
    for other in [1, 2] {
        s.heard(other).expect_exactly(1, asks(KNOWN), SOON);
    }
    s.heard(0).expect_none(tells(KNOWN), QUIET);
    assert_eq!(answered(&lab, s.port(0)), 0);
});

each_hook!(vswitch two_stacks_do_not_take_the_same_address, |lab| {
    let (a, b) = (lab.host("a"), lab.host("b"));
    for host in [&a, &b] {
        lab.connect(host, PortOptions::default());
    }
    a.wait_for_ipv6();
    b.wait_for_ipv6();
    ping6(&a, &b, 56, 2);
    b.namespace().ip(&[format!("addr add {}/64 dev eth0", a.ipv6())]);
    let of_a = a.ipv6().to_string();
    until("b to find the address taken", Duration::from_secs(20), || {
        let addresses = b.addresses("inet6");
        addresses.iter().any(|entry| entry["local"] == of_a.as_str() && entry["dadfailed"] == true).then_some(())
    });
});

each_hook!(vswitch what_nobody_is_known_to_have_is_asked_of_all, |lab| {
    let s = three(&mut lab, &PortOptions::default());
    let question = frame::neighbour_solicitation((s.mac(0), ASKER), NOBODY);
    s.host(0).inject(&question);
    for other in [1, 2] {
        assert_eq!(s.heard(other).expect_exactly(1, asks(NOBODY), SOON)[0].frame, question);
    }
    s.heard(0).expect_none(|_| true, QUIET);
    assert_eq!(answered(&lab, s.port(0)), 0);
});

each_hook!(vswitch a_question_to_the_host_itself_is_the_hosts_to_answer, |lab| {
    let s = three(&mut lab, &PortOptions::default());
    let mut question = frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN);
    question[..6].copy_from_slice(&s.mac(1).octets());
    s.host(0).inject(&question);
    assert_eq!(s.heard(1).expect_exactly(1, asks(KNOWN), SOON)[0].frame, question);
    s.heard(0).expect_none(|_| true, QUIET);
    s.heard(2).expect_none(|_| true, Duration::ZERO);
});

each_hook!(vswitch a_host_is_known_by_what_it_says, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(); 3]);
    s.host(1).inject(&ip::advertisement_of(KNOWN, (s.mac(1), KNOWN), (MacAddr::BROADCAST, ASKER)));
    until("the switch to know", SOON, || {
        s.heard(2).clear();
        s.heard(0).clear();
        s.host(0).inject(&frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN));
        std::thread::sleep(Duration::from_millis(100));
        (s.heard(2).received(asks(KNOWN)).is_empty() && s.heard(0).received(tells(KNOWN)).len() == 1).then_some(())
    });
    // Once its port is down, nobody answers for it.
    s.host(1).namespace().ip(&["link set dev eth0 down"]);
    lab.switch().wait_for_state(s.port(1), PortState::Down);
    s.heard(0).clear();
    s.host(0).inject(&frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN));
    s.heard(2).expect_exactly(1, asks(KNOWN), SOON);
    s.heard(0).expect_none(tells(KNOWN), QUIET);
});

each_hook!(vswitch a_question_in_a_vlan_is_answered_in_it, |lab| {
    lab.switch().ok(&["network", "create", "campus", "--vlan-aware"]);
    let campus = |options: PortOptions| PortOptions { network: Some("campus".to_owned()), ..options };
    let s = {
        let mac = MacAddr::from_octets([2, 0x77, 0, 0, 0, 2]).to_string();
        let configured = PortOptions::access(10).with(&["--ip", "fd77::77", "--mac", &mac]);
        let ports = [PortOptions::trunk("10,20"), configured, PortOptions::access(10), PortOptions::access(20)];
        Stations::connect(&mut lab, ports.map(campus).to_vec())
    };
    let question = frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN);
    s.host(0).inject(&frame::tagged(&question, 10, 0));
    let answer = s.heard(0).expect_exactly(1, tells(KNOWN), SOON).remove(0).frame;
    assert_eq!(frame::vid_of(&answer), Some(10));
    s.host(0).inject(&frame::tagged(&question, 20, 0));
    assert_eq!(s.heard(3).expect_exactly(1, asks(KNOWN), SOON)[0].frame, question);
    for other in [1, 2] {
        s.heard(other).expect_none(|_| true, QUIET);
    }
    assert_eq!(answered(&lab, s.port(0)), 1);
});

each_hook!(vswitch a_question_behind_a_tag_is_payload_where_vlans_are_unknown, |lab| {
    let s = three(&mut lab, &PortOptions::default());
    let question = frame::tagged(&frame::neighbour_solicitation((s.mac(0), ASKER), KNOWN), 10, 0);
    s.host(0).inject(&question);
    for other in [1, 2] {
        assert_eq!(s.heard(other).expect_exactly(1, asks(KNOWN), SOON)[0].frame, question);
    }
    s.heard(0).expect_none(|_| true, QUIET);
});
