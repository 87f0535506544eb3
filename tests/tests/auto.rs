//! `--hook auto`: a port that carries frames born as XDP goes to XDP, comes back for a kernel stack's, and loses nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use vswitch_tests::bpf::emit_as_xdp;
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::Probe;

/// Frames in one go; more than half of a veth's ring, so that the rate is worth XDP even on a busy machine.
const BURST: u32 = 200;
/// How long traffic must be clear, and then some for a busy machine.
const CHANGE: Duration = Duration::from_secs(60);

/// What the port's counters show while `traffic` goes on, until its hook is `hook`. The port as it is then.
fn port_under(lab: &Lab, port: &str, hook: Hook, traffic: impl Fn() + Sync) -> Port {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                traffic();
            }
        });
        let shown = vswitch_tests::wait::poll(CHANGE, || {
            Some(lab.switch().port_show(port)).filter(|shown| shown.hook == hook)
        });
        is_over.store(true, Ordering::Relaxed);
        shown.unwrap_or_else(|| panic!("{port} did not come to {hook:?}: {:?}", lab.switch().port_show(port)))
    })
}

#[test]
fn a_port_follows_what_it_carries_and_loses_nothing() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("auto follows traffic") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    let (sender, receiver) = (wires[0].port.clone(), wires[1].port.clone());
    ping(&hosts[0], &hosts[1], 56, 3);
    tcp_transfer(&hosts[0], &hosts[1], 20_000_000);
    assert_eq!(lab.switch().port_show(&sender).hook, Hook::Tc, "bulk TCP is best at tc");

    let probe = Probe::start(&hosts[1], &hosts[0], 20);
    let frame = frame::marked(hosts[1].mac(), hosts[0].mac(), 1);
    let born = || emit_as_xdp(&hosts[0], &frame, BURST);
    for port in [&sender, &receiver] {
        let shown = port_under(&lab, port, Hook::Xdp, born);
        assert!(shown.hook_reason.contains("never were socket buffers"), "{}", shown.hook_reason);
    }
    let counted = |port: &str| lab.switch().counters(port).rx_by_hook["xdp"];
    let before = counted(&sender);
    born();
    until("XDP to carry what is born as XDP", SOON, || (counted(&sender) > before).then_some(()));

    for port in [&sender, &receiver] {
        let shown = port_under(&lab, port, Hook::Tc, || tcp_transfer(&hosts[0], &hosts[1], 2_000_000));
        assert!(shown.hook_reason.contains("back at tc"), "{}", shown.hook_reason);
    }
    tcp_transfer(&hosts[0], &hosts[1], 20_000_000);
    probe.cover(20);
    probe.finish().assert_no_loss();
    traffic::assert_no_checksum_errors(&[&hosts[0], &hosts[1]]);
}
