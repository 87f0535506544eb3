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
    tcp_transfer(&hosts[0], &hosts[1], OCTETS);
}
