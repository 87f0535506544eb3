//! Real clients that configure a host by broadcast and multicast: DHCP by two clients, IPv6 by router advertisements.

use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{
    DhcpServer, RouterDaemon, assert_no_checksum_errors, dhclient, ping_address, udhcpc,
};

each_hook!(dhcp_clients_get_leases, |lab| {
    let server = lab.host_with("server", HostOptions::ipv4_only());
    lab.connect(&server, PortOptions::default());
    let dnsmasq = DhcpServer::start(&mut lab, &server);
    let clients = lab.hosts("c", 2, &HostOptions { ipv6: false, ..HostOptions::unconfigured() });
    for client in &clients {
        lab.connect(client, PortOptions::default());
    }
    let leased = [udhcpc(&lab, &clients[0]), dhclient(&lab, &clients[1])];
    let leases = dnsmasq.leases();
    for (client, address) in clients.iter().zip(leased) {
        let has_lease = leases.lines().any(|line| line.contains(&format!("{} {address}", client.mac())));
        assert!(has_lease, "no lease of {address} for {} in:\n{leases}", client.mac());
        ping_address(client, server.ipv4().into(), 56, 3);
    }
    ping_address(&clients[0], leased[1].into(), 56, 3);
    assert_no_checksum_errors(&[&server, &clients[0], &clients[1]]);
});

each_hook!(hosts_configure_themselves_by_a_router, |lab| {
    let router = lab.host("router");
    lab.connect(&router, PortOptions::default());
    router.wait_for_ipv6();
    RouterDaemon::start(&mut lab, &router, "fd99::");
    let hosts = lab.hosts("h", 2, &HostOptions::unconfigured());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    for host in &hosts {
        RouterDaemon::wait_for_address(host, "fd99::");
        ping_address(host, "fd99::1".parse().expect("an address"), 56, 3);
    }
    // The route to the router's other network was announced, too.
    ping_address(&hosts[0], router.ipv6().into(), 56, 3);
    assert_no_checksum_errors(&[&router, &hosts[0], &hosts[1]]);
});
