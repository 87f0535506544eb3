//! Hosts as they come, with nothing prepared inside: what their own stacks send arrives, whole and unharmed.

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::assert_no_checksum_errors;

/// Octets of a large transfer.
const LARGE: usize = 100_000_000;

/// Connects `count` hosts.
fn connected(lab: &mut Lab, count: usize, options: &HostOptions) -> Vec<Host> {
    let hosts = lab.hosts("h", count, options);
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    hosts
}

each_hook!(two_hosts_ping_with_any_size, |lab| {
    let hosts = connected(&mut lab, 2, &HostOptions::ipv4_only());
    for size in [56, 500, 1472, 1473, 4000, 9000, 20_000] {
        ping(&hosts[0], &hosts[1], size, 5);
        ping(&hosts[1], &hosts[0], size, 5);
    }
    assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
});

each_hook!(three_hosts_reach_each_other, |lab| {
    let hosts = connected(&mut lab, 3, &HostOptions::ipv4_only());
    for from in &hosts {
        for to in hosts.iter().filter(|to| to.name() != from.name()) {
            ping(from, to, 56, 3);
            ping(from, to, 8000, 3);
        }
    }
    tcp_transfer(&hosts[0], &hosts[1], LARGE / 20);
    tcp_transfer(&hosts[1], &hosts[2], LARGE / 20);
    assert_no_checksum_errors(&[&hosts[0], &hosts[1], &hosts[2]]);
});

each_hook!(a_large_transfer_arrives_unchanged_both_ways, |lab| {
    let hosts = connected(&mut lab, 2, &HostOptions::ipv4_only());
    tcp_transfer(&hosts[0], &hosts[1], LARGE);
    assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
});

each_hook!(eight_transfers_at_once_arrive_unchanged, |lab| {
    let hosts = connected(&mut lab, 2, &HostOptions::ipv4_only());
    parallel_flows(&hosts[0], &hosts[1], 8, LARGE / 20);
    assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
});

each_hook!(datagrams_and_their_fragments_arrive, |lab| {
    let hosts = connected(&mut lab, 2, &HostOptions::default());
    hosts.iter().for_each(Host::wait_for_ipv6);
    udp_exchange(&hosts[0], &hosts[1], &[0, 1, 18, 512, 1452, 1453, 1472, 1473, 3000, 9000, 20_000]);
    assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
});

each_hook!(ipv6_neighbours_find_each_other, |lab| {
    let hosts = connected(&mut lab, 3, &HostOptions::default());
    hosts.iter().for_each(Host::wait_for_ipv6);
    ping6(&hosts[0], &hosts[1], 56, 5);
    ping6(&hosts[1], &hosts[2], 1453, 5);
    ping6(&hosts[2], &hosts[0], 20_000, 5);
    traffic::tcp_send(&hosts[0], &hosts[1], hosts[1].ipv6().into(), LARGE / 20);
    assert_no_checksum_errors(&[&hosts[0], &hosts[1], &hosts[2]]);
});

each_hook!(a_taken_ipv6_address_is_found_to_be_taken, |lab| {
    let first = lab.host_with("first", HostOptions::default().number(9).mac("02:77:00:00:00:01"));
    lab.connect(&first, PortOptions::default());
    first.wait_for_ipv6();
    let second = lab.host_with("second", HostOptions::default().number(9).mac("02:77:00:00:00:02"));
    lab.connect(&second, PortOptions::default());
    until("the second host to find its address taken", SOON, || {
        second.addresses("inet6").iter().any(|address| address["dadfailed"] == true).then_some(())
    });
});
