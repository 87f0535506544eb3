//! The far ends of XDP ports: they are found wherever they go, and where they cannot be found the port says so.

use std::fs::File;
use std::process::Command;

use vswitch_tests::prelude::*;

/// What ethtool says of the offloads of a link.
fn offloads(host: &Host) -> String {
    host.namespace().output("ethtool", &["-k", "eth0"])
}

/// Moves a host's link to another host, which gets it up and with its own address.
fn move_link(from: &Host, to: &Host) {
    from.namespace().ip(&[format!("link set dev eth0 netns {}", to.namespace().name())]);
    to.namespace()
        .ip(&["link set dev eth0 up".to_owned(), format!("addr add {}/24 brd + dev eth0", to.ipv4())]);
}

each_hook!(vswitch a_peer_that_moves_to_another_namespace_is_prepared_there_and_put_back_there, |lab| {
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.host_with(name, HostOptions::ipv4_only()));
    let wire = lab.wire(&a);
    let before = offloads(&a);
    lab.add_port(&wire.port, PortOptions::default());
    lab.connect(&b, PortOptions::default());
    ping(&a, &b, 56, 2);
    let hook = lab.switch().port_show(&wire.port).hook;
    move_link(&a, &c);
    lab.switch().wait_for_state(&wire.port, PortState::Forwarding);
    until("the moved host to be reached", SOON, || {
        traffic::try_ping(&c, b.ipv4().into(), 56, 1).ok()
    });
    tcp_transfer(&c, &b, 1_000_000);
    tcp_transfer(&b, &c, 1_000_000);
    let shown = lab.switch().port_show(&wire.port);
    assert_eq!(shown.hook, hook, "{}", shown.hook_reason);
    traffic::assert_no_checksum_errors(&[&b, &c]);
    lab.subject().delete_port(&wire.port);
    assert_eq!(offloads(&c), before);
});

#[test]
fn a_peer_that_cannot_be_found_has_a_port_at_tc_that_says_why() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("a peer out of reach") else { return };
    let (a, b) = (lab.host_with("a", HostOptions::ipv4_only()), lab.host_with("b", HostOptions::ipv4_only()));
    let wire = lab.wire(&a);
    lab.connect(&b, PortOptions::default());
    // From now on the namespace lives by this file alone, which nobody else can open.
    let _namespace = File::open(a.namespace().path()).expect("the namespace is there");
    let name = a.namespace().name().to_owned();
    let gone = Command::new("ip").args(["netns", "del", &name]).status().expect("iproute2 is installed");
    assert!(gone.success());
    lab.add_port(&wire.port, PortOptions::default().hook(Hook::Xdp));
    let shown = lab.switch().port_show(&wire.port);
    assert_eq!(shown.hook, Hook::Tc);
    assert!(shown.hook_reason.contains("namespace"), "{}", shown.hook_reason);
    until("the host to be reached", SOON, || traffic::try_ping(&b, a.ipv4().into(), 56, 1).ok());
    proof::assert_carried_by(lab.switch(), &wire.port, Hook::Tc, 1);
}
