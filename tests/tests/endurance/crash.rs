//! The controller killed at a random moment of a random command, or of its start: the next one finds out what is what.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vswitch_tests::prelude::*;

use crate::audit::{assert_as_desired, desired, observed, state};
use crate::docker0;
use crate::row::{Random, Row, count};
use vswitch_tests::world::{network, world};

/// Kills between two looks at whether everything can be taken back.
const ROUNDS_A_CYCLE: u64 = 8;

/// How long a command may have before the kill; the slowest takes about that on an idle machine.
const MOST_US: u64 = 50_000;

const LINKS: [&str; 3] = ["h10", "h20", "h30"];
const BRIDGED: [&str; 2] = ["h40", "h50"];

fn command(random: &mut Random) -> Vec<String> {
    let link = *random.of(&LINKS);
    let network = *random.of(&["default", "red"]);
    let host = format!("10.77.1.{}", link.as_bytes()[1]);
    let mac = format!("02:77:00:00:02:{:02x}", link.as_bytes()[1]);
    let hook = *random.of(&["tc", "xdp"]);
    let published = format!("{}:10.77.1.49:80", 8000 + random.below(3));
    let text = match random.below(12) {
        0..=2 => {
            format!("port add {link} --network {network} --hook {hook} --name web --mac {mac} --ip {host}")
        }
        3 => format!("port add {link} --hook {hook}"),
        4 | 5 => format!("port del {link}"),
        6 => return Vec::new(),
        7 => "network rm red --force".to_owned(),
        8 => "takeover br0".to_owned(),
        9 => "release br0".to_owned(),
        10 => format!("publish add red {published}"),
        _ => format!("publish del red {published}"),
    };
    text.split(' ').map(str::to_owned).collect()
}

/// Takes everything back.
fn clear(lab: &Lab) {
    let state = state(lab);
    let has = |what: &str, name: &str| !state[what][name].is_null();
    if has("takeovers", "br0") {
        lab.switch().ok(&["release", "br0"]);
    }
    if has("networks", "red") {
        lab.switch().ok(&["network", "rm", "red", "--force"]);
    }
    for port in lab.switch().ports() {
        lab.switch().ok(&["port", "del", &port.name]);
    }
}

/// Begins a command and kills the controller some time later. Whether the command had ended by then.
fn kill_within(lab: &mut Lab, arguments: &[String], after: Duration) -> bool {
    let mut client = lab.switch_ns().command(vswitch_tests::switch::binary());
    client.arg("--socket").arg(lab.switch().socket()).args(arguments);
    client.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let begun = Instant::now();
    let mut client = client.spawn().expect("the binary is there");
    std::thread::sleep(after.saturating_sub(begun.elapsed()));
    let had_ended = client.try_wait().expect("a child").is_some();
    lab.switch_mut().kill9();
    client.wait().expect("a child");
    had_ended
}

/// Begins a start and kills it some time later.
fn kill_in_start(lab: &mut Lab, after: Duration) {
    let switch = lab.switch();
    let mut command = lab.switch_ns().command(vswitch_tests::switch::binary());
    command.arg("run").arg("--socket").arg(switch.socket()).arg("--state-dir").arg(switch.state_dir());
    command.arg("--bpffs").arg(switch.bpffs()).arg("--no-docker-plugin");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut child = command.spawn().expect("the binary is there");
    std::thread::sleep(after);
    let _ended = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
    child.wait().expect("a child");
}

#[test]
fn a_controller_killed_anywhere_leaves_what_the_next_one_understands() {
    let kills = count("VSWITCH_KILLS", 16);
    let mut random = Random::new();
    let (mut lab, _outside) = world("killed anywhere");
    let hosts = lab.hosts("h", 5, &HostOptions::ipv4_only());
    let wires: Vec<Wire> = hosts.iter().map(|host| lab.wire(host)).collect();
    lab.switch_ns().ip(&[
        "link add br0 type bridge stp_state 0 mcast_snooping 0",
        "addr add 10.99.0.1/24 dev br0",
        "link set h40 master br0 up",
        "link set h50 master br0 up",
        "link set br0 up",
        "link set h10 up",
        "link set h20 up",
        "link set h30 up",
    ]);
    // A bridge keeps the MAC that it was given, also after a release.
    let look = |lab: &Lab| {
        let links = hosts.iter().zip(&wires).take(3);
        let links: Vec<_> = links.map(|(host, wire)| Footprint::of(lab.switch_ns(), host, wire)).collect();
        (links, Footprint::of_namespace(lab.switch_ns()).without(&["gc_", "base_reachable"]))
    };
    let before = look(&lab);
    let (mut done, mut cut) = (0, 0);
    for round in 1..=kills {
        let arguments = command(&mut random);
        let after = Duration::from_micros(random.below(MOST_US));
        if arguments.is_empty() {
            if state(&lab)["networks"]["red"].is_null() {
                network(&lab, "red", 1, &[]);
            }
            lab.switch_mut().kill9();
            kill_in_start(&mut lab, after * 16);
        } else if kill_within(&mut lab, &arguments, after) {
            done += 1;
        } else {
            cut += 1;
        }
        lab.switch_mut().start_again();
        assert_as_desired(&lab, &BRIDGED, &format!("round {round}, {arguments:?} killed after {after:?}"));
        if round % ROUNDS_A_CYCLE == 0 || round == kills {
            clear(&lab);
            assert_as_desired(&lab, &BRIDGED, "everything taken back");
            assert_eq!(observed(&lab).own_links.len() + desired(&lab, &BRIDGED).ports.len(), 0);
            for (at, link) in before.0.iter().enumerate() {
                link.assert_restored(|| look(&lab).0.swap_remove(at));
            }
            before.1.assert_restored(|| look(&lab).1);
        }
    }
    Row {
        fault: "SIGKILL at a random moment of a command or start",
        did: "the next start made desired and observed the same; no link, program, pin, map entry, rule or setting was left",
        lost: format!("0 of {kills} kills left a trace ({cut} in the middle of a command, {done} after its end)"),
        bridge: &docker0::killed_anywhere(),
    }
    .say();
}
