//! The controller stopped in the middle of its work while hosts ask for more than the ring buffers hold: what is lost is counted,
//! forwarding goes on, and the controller catches up.

use std::net::Ipv4Addr;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vswitch_common::limits::{EVENT_RING_BYTES, PUNT_RING_BYTES, PUNTS_PER_PORT_S};
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{Probe, try_ping};

use crate::churn::size;
use crate::row::Row;

/// With their shares of a second they ask for more than the ring of questions holds.
const ASKERS: usize = 16;
/// Bytes of a record in a ring, with the kernel's header: a question, and a notice of a new station.
const QUESTION_BYTES: u32 = 80;
const NOTICE_BYTES: u32 = 40;
/// Memory that all of this may take, in KiB.
const MEMORY_KIB: u64 = 24 * 1024;

/// Questions for addresses that nobody has, each for another.
fn questions(from: &Host, number: usize) -> Vec<Vec<u8>> {
    let first = 0x0a4d_8000 + number as u32 * 1_024;
    let ask = |target| frame::arp_request((from.mac(), from.ipv4()), Ipv4Addr::from(first + target));
    (0..PUNTS_PER_PORT_S).map(ask).collect()
}

/// Frames of stations that were never seen, more than the ring of notices holds.
fn newcomers() -> Vec<Vec<u8>> {
    let station = |number: u32| {
        let [_, b, c, d] = number.to_be_bytes();
        frame::marked(MacAddr::from_octets([2, 0, 1, b, c, d]), MacAddr::from_octets([2, 0, 0, b, c, d]), 1)
    };
    (0..EVENT_RING_BYTES / NOTICE_BYTES + 2_000).map(station).collect()
}

#[test]
fn a_stopped_controller_loses_questions_but_no_frames_and_catches_up() {
    assert!(
        ASKERS as u32 * PUNTS_PER_PORT_S > PUNT_RING_BYTES / QUESTION_BYTES + 256,
        "the ring would hold them"
    );
    let Some(mut lab) = Hooks::Tc.vswitch_lab("ring overrun") else { return };
    let hosts = lab.hosts("h", 5, &HostOptions::ipv4_only());
    let askers = lab.hosts("q", ASKERS, &HostOptions::bare());
    hosts.iter().chain(&askers).for_each(|host| drop(lab.connect(host, PortOptions::default())));
    let [a, b, seeker, silent, crowd] = &hosts[..] else { panic!("five hosts") };
    let (pid, before) = (lab.switch().pid().expect("it runs"), lab.switch().status());
    let memory = size(pid).0;
    let batches: Vec<_> =
        askers.iter().enumerate().map(|(number, host)| (host, questions(host, number))).collect();
    let strangers = newcomers();
    let probe = Probe::start(a, b, 1_000);
    let signal = |signal| kill(Pid::from_raw(pid.cast_signed()), signal).expect("it runs");

    signal(Signal::SIGSTOP);
    let begun = Instant::now();
    batches.iter().for_each(|(host, frames)| host.inject_all(frames));
    // Its question comes when the ring is full, and so does that after a second.
    let lost = try_ping(seeker, silent.ipv4().into(), 56, 1);
    let stopped = begun.elapsed();
    crowd.inject_all(&strangers);
    probe.cover(200);
    signal(Signal::SIGCONT);
    let continued = Instant::now();

    let status = lab.switch().status();
    until("a question that was lost, and is asked again, to be answered", SOON, || {
        try_ping(seeker, silent.ipv4().into(), 56, 1).ok()
    });
    let caught_up = continued.elapsed();
    let report = probe.finish();
    report.assert_no_loss();
    let dropped =
        |host: &Host| lab.switch().counters(&format!("{}0", host.name())).drops.get("punt-lost").copied();
    let by_asker: Vec<u64> = askers.iter().filter_map(dropped).collect();
    let punts_lost: u64 = by_asker.iter().sum::<u64>() + dropped(seeker).unwrap_or(0);
    assert!(punts_lost > 256, "{by_asker:?} of {ASKERS} askers lost questions, in {stopped:?}");
    assert!(dropped(seeker) > Some(0), "the seeker's question was not lost: {lost:?} in {stopped:?}");
    let said = status.events_lost - before.events_lost;
    assert!(said > punts_lost, "{said} records lost, {punts_lost} questions among them, and notices");
    let after = size(pid).0;
    assert!(after <= memory + MEMORY_KIB, "memory went from {memory} to {after} KiB");
    // Who is where was learned in the kernel, with or without a notice.
    let known = lab.switch().fdb_show(&["--port", "h50"]).len();
    assert!(known >= strangers.len(), "{known} of {} stations were learned", strangers.len());
    Row {
        fault: "the controller stopped (SIGSTOP) while 16 hosts ask for 4,096 addresses and 15,000 stations come",
        did: "what the ring buffers do not hold is dropped as `punt-lost`, or a notice less; `status` counts both; stations are learned \
              all the same; a host that asks again is answered",
        lost: format!(
            "0 of {} probes; {punts_lost} questions and {} notices; caught up within {:.1} s; memory {memory} to {after} KiB",
            report.sent,
            said - punts_lost,
            caught_up.as_secs_f32()
        ),
        bridge: "has no controller",
    }
    .say();
}
