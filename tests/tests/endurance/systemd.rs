//! Under a real systemd: started, hung, killed, upgraded, stopped and started as its unit says, and no frame lost.

use vswitch_tests::prelude::*;
use vswitch_tests::systemd::Systemd;
use vswitch_tests::traffic::Probe;

use crate::row::Row;

const RATE: u32 = 500;

/// What the ports are, as they are told through the socket of the unit.
fn ports(systemd: &Systemd) -> Vec<Port> {
    serde_json::from_str(&systemd.ok("vswitch", &["port", "show", "--json"])).expect("JSON")
}

/// Waits until the unit runs in another process than `before`, has taken over what was there, and both ports forward.
#[track_caller]
fn started_anew(systemd: &Systemd, before: &str, why: &str) -> String {
    let pid = until(why, SOON * 2, || {
        let pid = systemd.property("MainPID");
        (pid != before && pid != "0" && systemd.property("SubState") == "running").then_some(pid)
    });
    assert!(systemd.ok("vswitch", &["status"]).contains("adopted      yes"), "{why}: {}", systemd.journal());
    let ports = ports(systemd);
    assert!(
        ports.len() == 2 && ports.iter().all(|port| port.state == PortState::Forwarding),
        "{why}: {ports:?}"
    );
    pid
}

#[test]
fn systemd_starts_watches_upgrades_and_stops_it_and_no_frame_is_lost() {
    let title = "a real systemd";
    let Some(mut lab) = Hooks::Mixed.vswitch_lab(title) else { return };
    lab.switch_mut().kill9();
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.wire(host)).collect();
    let Some(systemd) = Systemd::boot(&lab, title) else { return };
    systemd.ok("systemctl", &["enable", "--now", "vswitch"]);
    // Type=notify: that the command is back means that it said READY=1.
    assert_eq!(
        ["Type", "ActiveState", "SubState"].map(|name| systemd.property(name)),
        ["notify", "active", "running"]
    );
    for (wire, hook) in wires.iter().zip(["xdp", "tc"]) {
        systemd.ok("vswitch", &["port", "add", &wire.port, "--hook", hook]);
    }
    assert_eq!(ports(&systemd).iter().map(|port| port.hook).collect::<Vec<_>>(), [Hook::Xdp, Hook::Tc]);
    until("the status line", SOON, || {
        let shown = systemd.ok("systemctl", &["status", "--no-pager", "vswitch"]);
        shown.contains("Status: \"2 ports in 1 network\"").then_some(())
    });
    let probe = Probe::start(&hosts[0], &hosts[1], RATE);

    let first = systemd.property("MainPID");
    systemd.ok("systemctl", &["reload", "vswitch"]);
    assert_eq!(systemd.property("MainPID"), first, "a reload is an upgrade in place");
    let reloaded = systemd.journal();
    assert!(reloaded.contains("Reloaded vswitch.service") && reloaded.contains("handing over"), "{reloaded}");
    assert!(systemd.ok("vswitch", &["status"]).contains("adopted      yes"));

    // The unit's own patience is 30 s; a busy machine needs more than a moment.
    systemd.set("WatchdogSec=4");
    systemd.ok("systemctl", &["restart", "vswitch"]);
    let second = started_anew(&systemd, &first, "a restart");
    systemd.ok("systemctl", &["kill", "--signal", "KILL", "vswitch"]);
    let third = started_anew(&systemd, &second, "systemd to start a killed controller");
    systemd.ok("systemctl", &["kill", "--signal", "STOP", "vswitch"]);
    let fourth = started_anew(&systemd, &third, "systemd to notice a controller that hangs");
    assert!(systemd.journal().contains("Watchdog timeout"), "{}", systemd.journal());

    systemd.set("WatchdogSec=30");
    systemd.ok("systemctl", &["stop", "vswitch"]);
    assert_eq!([systemd.property("ActiveState"), systemd.property("Result")], ["inactive", "success"]);
    // Without a controller.
    probe.cover(RATE.into());
    systemd.ok("systemctl", &["start", "vswitch"]);
    started_anew(&systemd, &fourth, "a start after a stop");
    probe.cover(u64::from(RATE) / 2);
    let report = probe.finish();
    report.assert_no_loss();
    assert_eq!(systemd.run("systemctl", &["--failed", "--quiet"]).stdout, b"", "a unit failed");
    drop(systemd);
    Row {
        fault: "a real systemd reloads, restarts, stops and starts the unit; the controller killed, and hung",
        did: "reload upgrades in place, under the same process number; killed: started after 1 s; hung: noticed by the watchdog; each \
              start adopts",
        lost: format!("0 of {} probes", report.sent),
        bridge: "has no controller",
    }
    .say();
}
