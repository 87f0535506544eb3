//! How much the controller may do, and who may tell it to: capabilities, new privileges, system calls; and systemd's protocol.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use vswitch_tests::prelude::*;

use crate::docker0;
use crate::row::Row;

/// A line of what proc_pid_status(5) says.
fn line(text: &str, key: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key}")).trim().to_owned()
}

#[test]
fn the_controller_keeps_the_least_that_it_needs() {
    let Some(mut lab) = Hooks::Xdp.vswitch_lab("power") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    // With that little it still prepares peers in other namespaces, makes gateways, rules and name servers.
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    lab.switch().ok(&["network", "create", "red", "--subnet", "10.99.0.0/24"]);
    let pid = lab.switch().pid().expect("it runs");
    let kept = vswitch::privileges::KEPT.iter().fold(0_u64, |set, (bit, _)| set | 1 << bit);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let mut looked_at = 0;
    for thread in threads.filter_map(|thread| thread.file_name().into_string().ok()) {
        // A thread inside a namespace does not live long.
        let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/status")) else { continue };
        looked_at += 1;
        let of = |key: &str| line(&text, key);
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let bits = u64::from_str_radix(&of(set), 16).expect("hexadecimal");
            assert_eq!(bits & !kept, 0, "{set} of thread {thread}: {bits:x}");
        }
        assert_eq!((of("CapInh").as_str(), of("NoNewPrivs").as_str()), ("0000000000000000", "1"));
        assert_eq!(of("Seccomp"), "2", "no filter of system calls");
    }
    assert!(looked_at > 1, "a runtime has more than one thread");
    let names: Vec<_> = vswitch::privileges::KEPT.iter().map(|(_, name)| *name).collect();
    assert!(!names.contains(&"CAP_DAC_OVERRIDE") && !names.contains(&"CAP_SYS_MODULE"));
    Row {
        fault: "a fault in the controller that somebody exploits",
        did: "8 of 41 capabilities, no new privileges, 27 system calls refused, in every thread and child",
        lost: "–".to_owned(),
        bridge: &docker0::power(),
    }
    .say();
}

#[test]
fn the_control_socket_is_for_root_and_its_group() {
    let Some(lab) = Hooks::Auto.vswitch_lab("socket") else { return };
    let file = std::fs::metadata(lab.switch().socket()).expect("the socket");
    assert_eq!((file.permissions().mode() & 0o777, file.uid()), (0o660, 0));
    // Nobody's user may not even connect.
    let binary = vswitch_tests::switch::binary();
    let socket = lab.switch().socket();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
    let output =
        command.arg("--socket").arg(socket).args(["port", "show", "--json"]).output().expect("setpriv");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("permission-denied") || output.stdout.is_empty(), "{said}");
}

#[test]
fn systemd_is_told_when_it_is_ready_and_that_it_lives() {
    let Some(mut lab) = Hooks::Auto.vswitch_lab("systemd's protocol") else { return };
    let path = lab.scratch().path("notify");
    let socket = UnixDatagram::bind(&path).expect("a free place");
    socket.set_read_timeout(Some(SOON)).expect("not zero");
    let notify = format!("NOTIFY_SOCKET={}", path.display());
    lab.switch_mut().options_mut().launcher =
        vec!["env".to_owned(), notify, "WATCHDOG_USEC=30000000".to_owned()];
    lab.switch_mut().restart();
    let mut heard = String::new();
    until("READY=1 and WATCHDOG=1", SOON, || {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).expect("something in time");
        heard += &String::from_utf8_lossy(&buffer[..length]);
        (heard.contains("READY=1") && heard.contains("WATCHDOG=1")).then_some(())
    });
}
