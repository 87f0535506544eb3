//! Ports added and deleted at full speed beside running traffic, by one client and by eight: nothing is lost, and nothing grows.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use vswitch_tests::prelude::*;
use vswitch_tests::proof::BpfObjects;
use vswitch_tests::traffic::{LongTransfer, Probe};

use crate::audit::assert_as_desired;
use crate::docker0;
use crate::rival;
use crate::row::{Random, Row, count};

/// Resident memory that may come and go with caches and allocator, in KiB.
const SLACK_KIB: u64 = 8 * 1024;

/// Status of one request on a connection of its own.
pub(crate) fn request(socket: &Path, method: &str, target: &str, body: &str) -> std::io::Result<u16> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let head = String::from_utf8_lossy(&answer[..answer.len().min(16)]).into_owned();
    head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| std::io::Error::other(head))
}

/// Resident memory of a process in KiB, and its open descriptors.
pub(crate) fn size(pid: u32) -> (u64, usize) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the controller runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the controller runs").count();
    (resident.and_then(|kib| kib.trim().parse().ok()).expect("VmRSS"), descriptors)
}

fn cycle(socket: &Path, link: &str, hook: &str) {
    let body = format!(r#"{{"link":"{link}","hook":"{hook}"}}"#);
    assert_eq!(request(socket, "POST", "/v1/ports", &body).ok(), Some(201), "port add {link}");
    assert_eq!(
        request(socket, "DELETE", &format!("/v1/ports/{link}"), "").ok(),
        Some(200),
        "port del {link}"
    );
}

#[test]
fn ports_that_come_and_go_cost_the_others_nothing_and_leave_nothing() {
    let cycles = count("VSWITCH_CHURN", 150);
    let Some(mut lab) = Hooks::Tc.vswitch_lab("churn") else { return };
    let hosts = lab.hosts("h", 4, &HostOptions::ipv4_only());
    hosts[..2].iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    let spare: Vec<Wire> = hosts[2..].iter().map(|host| lab.wire(host)).collect();
    let (socket, pid) = (lab.switch().socket(), lab.switch().pid().expect("it runs"));
    // Once, so that what is made at first use is there.
    for (wire, hook) in spare.iter().zip(["tc", "xdp"]) {
        cycle(&socket, &wire.port, hook);
    }
    let quiet = LongTransfer::start(&hosts[0], &hosts[1]);
    let begun = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    let quiet = quiet.finish() as f64 / begun.elapsed().as_secs_f64();
    let (objects, (memory, descriptors)) = (BpfObjects::of(lab.switch()), size(pid));
    let probe = Probe::start(&hosts[0], &hosts[1], 1_000);
    let stream = LongTransfer::start(&hosts[0], &hosts[1]);
    let begun = Instant::now();
    for turn in 0..cycles {
        cycle(&socket, &spare[turn as usize % 2].port, ["tc", "xdp"][turn as usize % 2]);
    }
    let took = begun.elapsed();
    let loaded = stream.finish() as f64 / took.as_secs_f64();
    let report = probe.finish();
    report.assert_no_loss();
    BpfObjects::of(lab.switch()).since(&objects).assert_gone();
    let after = size(pid);
    assert_eq!(after.1, descriptors, "descriptors");
    assert!(after.0 <= memory + SLACK_KIB, "resident memory went from {memory} to {} KiB", after.0);
    assert_as_desired(&lab, &[], "after the churn");
    Row {
        fault: "ports added and deleted at full speed under load",
        did: "programs, maps, links and descriptors as before; memory too",
        lost: format!(
            "0 of {} probes in {cycles} cycles ({:.0} a second); TCP, at a steady rate, kept {:.0} %; {} KiB to {} KiB",
            report.sent,
            cycles as f64 / took.as_secs_f64(),
            100.0 * loaded / quiet,
            memory,
            after.0
        ),
        bridge: &rival::churn(cycles),
    }
    .say();
}

/// One of what a client may ask, on its own link and network.
fn operation(random: &mut Random, socket: &Path, client: usize) -> std::io::Result<u16> {
    let (link, network) = (format!("s{client}"), format!("n{client}"));
    let port = format!("/v1/ports/{link}");
    match random.below(9) {
        0 | 1 => request(socket, "POST", "/v1/ports", &format!(r#"{{"link":"{link}"}}"#)),
        2 | 3 => request(socket, "DELETE", &port, ""),
        4 => request(socket, "PATCH", &port, r#"{"isolated":true,"mac_limit":7}"#),
        5 => request(socket, "POST", "/v1/networks", &format!(r#"{{"name":"{network}"}}"#)),
        6 => request(socket, "DELETE", &format!("/v1/networks/{network}?force=true"), ""),
        7 => request(
            socket,
            "POST",
            "/v1/fdb",
            &format!(r#"{{"mac":"02:00:00:00:01:0{client}","port":"{link}","sticky":true}}"#),
        ),
        _ => request(socket, "GET", "/v1/ports", ""),
    }
}

#[test]
fn eight_clients_at_once_for_long_make_nothing_grow() {
    const CLIENTS: usize = 8;
    let operations = count("VSWITCH_SOAK", 1_500);
    let Some(mut lab) = Hooks::Tc.vswitch_lab("soak") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    for client in 0..CLIENTS {
        lab.switch_ns().ip(&[
            format!("link add s{client} type veth peer name t{client}"),
            format!("link set t{client} up"),
        ]);
    }
    let (socket, pid) = (lab.switch().socket(), lab.switch().pid().expect("it runs"));
    let run = |total: u64| {
        std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let mut random = Random::of_number(client as u64 + total);
                    let socket = &socket;
                    scope.spawn(move || {
                        for _ in 0..total / CLIENTS as u64 {
                            let status = operation(&mut random, socket, client).expect("an answer");
                            assert!(status < 500, "client {client}: {status}");
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().expect("a client's requests are answered"));
        });
    };
    let clear = || {
        for client in 0..CLIENTS {
            let _none = request(&socket, "DELETE", &format!("/v1/ports/s{client}"), "");
            let _none = request(&socket, "DELETE", &format!("/v1/networks/n{client}?force=true"), "");
        }
    };
    // A tenth to warm up: allocators and caches grow to their size.
    run(operations / 10);
    clear();
    let (objects, (memory, descriptors)) = (BpfObjects::of(lab.switch()), size(pid));
    let probe = Probe::start(&hosts[0], &hosts[1], 500);
    let begun = Instant::now();
    run(operations);
    let took = begun.elapsed();
    clear();
    let report = probe.finish();
    report.assert_no_loss();
    BpfObjects::of(lab.switch()).since(&objects).assert_gone();
    let after = size(pid);
    assert!(after.0 <= memory + SLACK_KIB, "resident memory went from {memory} to {} KiB", after.0);
    // Connections may take a moment to go.
    until("descriptors to be as before", SOON, || (size(pid).1 <= descriptors + 1).then_some(()));
    assert_as_desired(&lab, &[], "after the soak");
    Row {
        fault: "eight clients at once: ports, networks, entries, random",
        did: "each answered; memory, descriptors and BPF objects as after the warm-up",
        lost: format!(
            "0 of {} probes in {operations} operations ({:.0} a second); {memory} KiB to {} KiB",
            report.sent,
            operations as f64 / took.as_secs_f64(),
            after.0
        ),
        bridge: &docker0::clients(),
    }
    .say();
}
