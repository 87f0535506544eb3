//! Networks keep apart, even where their hosts have the same addresses.

use vswitch_tests::prelude::*;

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(300);

/// Two hosts in each of two networks; the first of one has the addresses of the first of the other.
fn overlapping(lab: &mut Lab, options: &HostOptions) -> (Vec<Host>, Vec<Host>) {
    let mut join = |network: &str| {
        lab.subject().create_network(network);
        (1..=2)
            .map(|number| {
                let host = lab.host_with(&format!("{network}{number}-"), options.clone().number(number));
                lab.connect(&host, PortOptions::network(network));
                host
            })
            .collect()
    };
    (join("red"), join("blue"))
}

each_hook!(hosts_with_the_same_addresses_reach_their_own_network, |lab| {
    let (red, blue) = overlapping(&mut lab, &HostOptions::ipv4_only());
    assert_eq!((red[0].mac(), red[0].ipv4()), (blue[0].mac(), blue[0].ipv4()));
    ping(&red[0], &red[1], 56, 3);
    ping(&blue[0], &blue[1], 56, 3);
    // Interleaved: an entry that moved between the networks would send one of them astray.
    for _ in 0..3 {
        ping(&red[1], &red[0], 3000, 3);
        ping(&blue[1], &blue[0], 3000, 3);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| tcp_transfer(&red[0], &red[1], 3_000_000));
        tcp_transfer(&blue[0], &blue[1], 3_000_000);
    });
    traffic::assert_no_checksum_errors(&[&red[0], &red[1], &blue[0], &blue[1]]);
    let entries = lab.subject().fdb();
    for (network, hosts) in [("red", &red), ("blue", &blue)] {
        for host in hosts {
            let ports: Vec<_> =
                entries.iter().filter(|e| e.network == network && e.mac == host.mac()).collect();
            assert!(ports.len() == 1 && ports[0].port == format!("{}0", host.name()), "{entries:?}");
        }
    }
});

each_hook!(no_frame_crosses_into_another_network, |lab| {
    let (red, blue) = overlapping(&mut lab, &HostOptions::bare());
    let (at_red, at_blue) = (red[1].sniff(), [blue[0].sniff(), blue[1].sniff()]);
    let unknown = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);
    // Both blue stations are known in blue, and red's second is not in red.
    for host in &blue {
        host.inject(&frame::marked(MacAddr::BROADCAST, host.mac(), 0));
    }
    let destinations =
        [MacAddr::BROADCAST, MacAddr::from_octets([1, 0, 0x5e, 0, 0, 9]), unknown, blue[1].mac()];
    for (mark, to) in (1..).zip(destinations) {
        red[0].inject(&frame::marked(to, red[0].mac(), mark));
    }
    at_red.expect_exactly(destinations.len(), |frame| frame::mark_of(frame) > Some(0), SOON);
    for sniffer in &at_blue {
        sniffer.expect_none(|frame| frame::mark_of(frame) > Some(0), QUIET);
    }
});

each_hook!(vswitch arp_is_answered_from_its_own_network, |lab| {
    let (red, blue) = overlapping(&mut lab, &HostOptions::ipv4_only());
    // Another MAC for the same address, in blue only.
    let rival = MacAddr::from_octets([2, 0, 0, 0, 0, 0xbb]);
    blue[1].inject(&frame::gratuitous_arp((rival, red[1].ipv4())));
    ping(&red[0], &red[1], 56, 2);
    let at_red = red[0].sniff();
    red[0].inject(&frame::arp_request((red[0].mac(), red[0].ipv4()), red[1].ipv4()));
    let reply = at_red.expect("ARP reply", |frame| frame::arp_of(frame).is_some_and(|arp| arp.is_reply()));
    assert_eq!(frame::arp_of(&reply.frame).map(|arp| arp.sender), Some((red[1].mac(), red[1].ipv4())));
});
