//! Others change what is the switch's, or the ground it stands on: it notices within two seconds, mends or reports it, and
//! touches nothing of theirs.

use std::process::Command;
use std::time::Instant;

use vswitch_tests::namespace::Namespace;
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{Probe, try_ping};

use crate::docker0;
use crate::rival;
use crate::row::Row;
use vswitch_tests::world::{HOST, Mirror, assert_seen, guest, network, world};

/// What is promised, and what a busy machine adds to it.
const PROMISED: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(10);

/// Waits for `what`, and says after how long it was so.
#[track_caller]
fn mended(what: &str, look: impl FnMut() -> bool) -> Duration {
    let (begun, mut look) = (Instant::now(), look);
    until(what, LIMIT, || look().then_some(()));
    begun.elapsed()
}

/// As a row says it.
fn within(times: &[Duration]) -> String {
    let longest = times.iter().max().copied().unwrap_or_default();
    let verdict = if longest <= PROMISED { "within 2 s" } else { "late, on a busy machine" };
    format!("{verdict} (at most {:.1} s)", longest.as_secs_f32())
}

fn programs(lab: &Lab, link: &str) -> Vec<String> {
    let all = proof::attachments(lab.switch_ns());
    all.into_iter().filter(|attached| attached.link == link).map(|attached| attached.place).collect()
}

/// Detaches what is pinned there, as somebody with bpftool would.
fn detach(lab: &Lab, pin: &str) {
    let pin = lab.switch().bpffs().join("links").join(pin);
    let done = Command::new("bpftool").args(["link", "detach", "pinned"]).arg(&pin).output();
    let done = done.expect("bpftool is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A table of rules, a bridge and a link with a qdisc that are somebody else's.
fn strangers(ns: &Namespace) -> impl Fn() -> Footprint + use<> {
    ns.output(
        "nft",
        &["add table ip theirs; add chain ip theirs c { type filter hook forward priority 5; }; \
                        add rule ip theirs c ip saddr 203.0.113.7 drop"],
    );
    ns.ip(&["link add theirs0 type veth peer name theirs1", "link add theirbr type bridge"]);
    ns.output("tc", &["qdisc", "add", "dev", "theirs0", "clsact"]);
    let name = ns.name().to_owned();
    move || {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new("nsenter")
                .arg(format!("--net=/run/netns/{name}"))
                .arg(program)
                .args(arguments)
                .output();
            String::from_utf8_lossy(&output.expect("nsenter is installed").stdout).into_owned()
        };
        let mut seen = Footprint::default();
        for link in ["theirs0", "theirs1", "theirbr"] {
            seen.note(link, &run("ip", &["-d", "-o", "link", "show", "dev", link]));
            seen.note(&format!("{link} qdisc"), &run("tc", &["qdisc", "show", "dev", link]));
        }
        seen.note("rules", &run("nft", &["-a", "list", "table", "ip", "theirs"]));
        seen
    }
}

#[test]
fn programs_pins_and_a_bpffs_that_others_take_away_are_there_again() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("outside: programs") else { return };
    let theirs = strangers(lab.switch_ns());
    let before = theirs();
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    let (xdp, tc) = ("h10", "h20");
    let pins = || {
        let pins = std::fs::read_dir(lab.switch().bpffs().join("links")).into_iter().flatten().flatten();
        pins.filter_map(|pin| pin.file_name().into_string().ok()).collect::<std::collections::BTreeSet<_>>()
    };
    let pinned = pins();
    let mut times = Vec::new();
    detach(&lab, "2-tc");
    times.push(mended("the tc program to be back", || programs(&lab, tc) == ["tcx/ingress"]));
    detach(&lab, "1-xdp");
    times.push(mended("the XDP program to be back", || programs(&lab, xdp) == ["tcx/ingress", "xdp/driver"]));
    until("both to carry", LIMIT, || try_ping(&hosts[0], hosts[1].ipv4().into(), 56, 1).ok());
    Row {
        fault: "our tcx or XDP program detached by somebody",
        did: "attached again by the re-sync, event `mended`",
        lost: format!("traffic of that port until then: {}", within(&times)),
        bridge: "has no programs",
    }
    .say();

    // From here on nothing may be lost: the programs stay, held by the controller.
    let probe = Probe::start(&hosts[0], &hosts[1], 500);
    std::fs::remove_file(lab.switch().bpffs().join("links/2-tc")).expect("a pin");
    let mut times = vec![mended("the pin to be back", || pins() == pinned)];
    let unmounted = nix::mount::umount2(&lab.scratch().bpffs(), nix::mount::MntFlags::MNT_DETACH);
    unmounted.expect("root may unmount");
    times.push(mended("a bpffs with all pins", || {
        pins() == pinned && lab.switch().bpffs().join("maps/FDB").exists()
    }));
    lab.switch_mut().kill9();
    probe.cover(200);
    lab.switch_mut().start_again();
    assert!(lab.switch().status().adopted && lab.switch().ports().len() == 3, "{}", lab.switch().log());
    let report = probe.finish();
    report.assert_no_loss();
    assert_eq!(theirs().differences(&before), Vec::<String>::new());
    Row {
        fault: "a pin removed; the bpffs unmounted; then SIGKILL",
        did: "pinned again from what the controller holds, on a new bpffs; the next start adopts all",
        lost: format!("0 of {} probes; pins back {}", report.sent, within(&times)),
        bridge: "has no programs and no pins",
    }
    .say();
}

#[test]
fn a_foreign_xdp_program_that_was_first_is_left_alone_and_reported() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("outside: foreign XDP") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.wire(host)).collect();
    let foreign = vswitch_tests::bpf::attach_pass(lab.switch_ns(), &wires[0].port);
    let before = programs(&lab, &wires[0].port);
    assert_eq!(before, ["xdp/driver"], "the foreign program is not there");
    lab.add_port(&wires[0].port, PortOptions::default().hook(Hook::Xdp));
    lab.add_port(&wires[1].port, PortOptions::default());
    let port = lab.switch().port_show(&wires[0].port);
    assert_eq!(port.hook, Hook::Tc, "{}", port.hook_reason);
    assert!(port.hook_reason.contains("XDP does not attach"), "{}", port.hook_reason);
    assert_eq!(programs(&lab, &wires[0].port), ["tcx/ingress", "xdp/driver"]);
    until("both to reach each other", SOON, || try_ping(&hosts[0], hosts[1].ipv4().into(), 56, 1).ok());
    lab.subject().delete_port(&wires[0].port);
    assert_eq!(programs(&lab, &wires[0].port), before, "the foreign program was touched");
    drop(foreign);
    Row {
        fault: "another XDP program attached first",
        did: "the port uses tc and `port show` says why; the foreign program stays, also after `port del`",
        lost: "0".to_owned(),
        bridge: "has no programs",
    }
    .say();
}

#[test]
fn rules_that_others_flush_are_there_again_and_theirs_are_untouched() {
    let (mut lab, outside) = world("outside: rules");
    network(&lab, "red", 1, &[]);
    let a = guest(&mut lab, "a", "red", 1);
    lab.switch().ok(&["publish", "add", "red", &format!("8080:{}:80", a.ipv4())]);
    let _mirrors = [Mirror::start(a.namespace(), 80), Mirror::start(outside.namespace(), 9000)];
    let theirs = strangers(lab.switch_ns());
    let before = theirs();
    let ours = || lab.switch_ns().output("nft", &["list", "tables"]).contains("inet vswitch");
    assert!(ours());
    let table = lab.switch_ns().output("nft", &["list", "tables"]);
    let table =
        table.lines().find_map(|line| line.strip_prefix("table inet ")).expect("our table").to_owned();
    let mut times = Vec::new();
    for damage in [format!("delete table inet {table}"), format!("flush chain inet {table} postrouting")] {
        lab.switch_ns().output("nft", &[&damage]);
        times.push(mended("NAT to work again", || {
            let rules = lab.switch_ns().output("nft", &["list", "ruleset"]);
            rules.matches("masquerade").count() >= 2 && rules.contains("dnat")
        }));
    }
    assert_seen(a.namespace(), vswitch_tests::world::OUTSIDE, 9000, HOST);
    assert_eq!(theirs().differences(&before), Vec::<String>::new());
    // The whole ruleset flushed, theirs too: only ours comes back.
    lab.switch_ns().output("nft", &["flush ruleset"]);
    times.push(mended("our table to be back", ours));
    assert!(!lab.switch_ns().output("nft", &["list", "tables"]).contains("theirs"));
    Row {
        fault: "our nft table deleted, a chain of it flushed, the whole ruleset flushed",
        did: "noticed by nftables' generation number, table replaced whole, event `mended`; other tables byte-identical",
        lost: format!("new connections until then: {}", within(&times)),
        bridge: &docker0::flushed(),
    }
    .say();
}

#[test]
fn links_that_others_move_delete_rename_down_or_make_again_are_followed() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("outside: links") else { return };
    let theirs = strangers(lab.switch_ns());
    let before = theirs();
    let hosts = lab.hosts("h", 6, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.connect(host, PortOptions::default())).collect();
    let probe = Probe::start(&hosts[4], &hosts[5], 500);
    let ns = lab.switch_ns().clone();
    let state = |lab: &Lab, port: &str| {
        lab.switch().ports().into_iter().find(|shown| shown.name == port).map(|shown| shown.state)
    };
    let is_down = |lab: &Lab, port: &str| state(lab, port) == Some(PortState::Down);
    let mut times = Vec::new();
    let elsewhere = Namespace::create(&format!("{}-else", ns.name()));
    ns.ip(&[format!("link set {} netns {}", wires[0].port, elsewhere.name())]);
    times.push(mended("a link that moved away to be noticed", || is_down(&lab, &wires[0].port)));
    ns.ip(&[format!("link set {} down", wires[1].port)]);
    times.push(mended("a link that was downed to be noticed", || is_down(&lab, &wires[1].port)));
    ns.ip(&[format!("link set {} name renamed", wires[2].port)]);
    times.push(mended("a link's new name", || state(&lab, "renamed") == Some(PortState::Forwarding)));
    // The namespace of a peer goes, and the pair with it.
    let inside = hosts[3].namespace().name().to_owned();
    assert!(Command::new("ip").args(["netns", "del", &inside]).status().expect("iproute2").success());
    times.push(mended("a killed peer namespace to be noticed", || is_down(&lab, &wires[3].port)));
    ns.ip(&[format!("link set {} up", wires[1].port)]);
    times.push(mended("the port to forward again", || {
        state(&lab, &wires[1].port) == Some(PortState::Forwarding)
    }));
    elsewhere.ip(&[format!("link del {}", wires[0].port)]);
    lab.wire_as(&hosts[0], &wires[0]);
    times.push(mended("a link made again to be the port", || {
        state(&lab, &wires[0].port) == Some(PortState::Forwarding)
    }));
    until("it to carry", SOON, || try_ping(&hosts[0], hosts[1].ipv4().into(), 56, 1).ok());
    probe.cover(100);
    let report = probe.finish();
    report.assert_no_loss();
    assert_eq!(theirs().differences(&before), Vec::<String>::new());
    Row {
        fault: "a port's link moved away, downed, renamed, made again; a peer's namespace killed",
        did: "followed by event; gone or down: port down and flushed; back: the port again",
        lost: format!("0 of {} probes of other ports; noticed {}", report.sent, within(&times)),
        bridge: &rival::link_made_again(),
    }
    .say();
}
