//! Kernels without tcx: the tc program is a filter of a clsact qdisc, does the same, and outlives its controller.

use vswitch::api::types::HookMode;
use vswitch_tests::prelude::*;

const OCTETS: usize = 1 << 20;

#[test]
fn a_clsact_filter_carries_frames_and_is_adopted() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("clsact") else { return };
    lab.switch_mut().restart_with(&["--tc-attach", "clsact"]);
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    for _ in 0..2 {
        assert!(lab.switch().ports().iter().all(|port| port.hook_mode == HookMode::Clsact));
        tcp_transfer(&hosts[0], &hosts[1], OCTETS);
        lab.switch_mut().kill9();
        tcp_transfer(&hosts[1], &hosts[0], OCTETS);
        lab.switch_mut().start_again();
    }
    let filters = || lab.switch_ns().output("tc", &["filter", "show", "dev", "h10", "ingress"]);
    assert!(filters().contains("vswitch_tc"), "{}", filters());
    lab.switch().ok(&["port", "del", "h10"]);
    assert!(!filters().contains("vswitch_tc"), "{}", filters());
}

/// Whether a link has the qdisc that the filter needs.
fn has_clsact(lab: &Lab, link: &str) -> bool {
    lab.switch_ns().output("tc", &["qdisc", "show", "dev", link]).contains("clsact")
}

#[test]
fn the_qdisc_goes_with_the_port_unless_others_had_it_or_use_it() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("clsact qdisc") else { return };
    lab.switch_mut().restart_with(&["--tc-attach", "clsact"]);
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.wire(host)).collect();
    lab.switch_ns().output("tc", &["qdisc", "add", "dev", &wires[1].port, "clsact"]);
    for wire in &wires {
        lab.add_port(&wire.port, PortOptions::default());
        assert!(has_clsact(&lab, &wire.port));
    }
    let theirs = format!("filter add dev {} egress u32 match u32 0 0 classid 1:1", wires[2].port);
    let theirs: Vec<&str> = theirs.split(' ').collect();
    lab.switch_ns().output("tc", &theirs);
    for (wire, stays) in wires.iter().zip([false, true, true]) {
        lab.subject().delete_port(&wire.port);
        assert_eq!(has_clsact(&lab, &wire.port), stays, "{}", wire.port);
    }
}

#[test]
fn a_controller_that_finds_tcx_takes_over_from_the_filter() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("clsact to tcx") else { return };
    lab.switch_mut().restart_with(&["--tc-attach", "clsact"]);
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    tcp_transfer(&hosts[0], &hosts[1], OCTETS);
    lab.switch_mut().restart_with(&[]);
    assert!(lab.switch().ports().iter().all(|port| port.hook_mode == HookMode::Tcx));
    let filters = lab.switch_ns().output("tc", &["filter", "show", "dev", "h10", "ingress"]);
    assert!(!filters.contains("vswitch_tc"), "{filters}");
    assert!(!has_clsact(&lab, "h10"), "its empty qdisc is left");
    tcp_transfer(&hosts[0], &hosts[1], OCTETS);
}
