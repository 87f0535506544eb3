//! The programs in the kernel over any frame: what comes of it is counted once and for one reason, no port gets back what
//! it sent, and a trace has said all of it before and changed nothing.

use std::net::IpAddr;

use vswitch_common::trace::{Ending, TraceRecord};
use vswitch_common::verdict::Verdict;

use super::{Check, outcome};
use crate::program::*;

/// Ports, each with options of its own.
const PORTS: u16 = 6;
/// Inputs after which everything learned is forgotten, so that an input's outcome has few causes.
const ROUND: u32 = 256;

/// Loads the programs and sets the ports up.
pub(super) fn prepare(work: impl FnOnce(Check<'_>) + Send) {
    Fixture::run_alone(PORTS, |fixture| {
        let mut number = 0;
        work(&mut |input| {
            if number % ROUND == 0 {
                arrange(fixture);
            }
            number += 1;
            check(fixture, input)
        });
    });
}

/// A plain port; a guarded one; one of a smaller MTU, isolated, with a limit; a trunk and an access port of a VLAN-aware
/// network; a port that hears its own.
fn arrange(fixture: &mut Fixture) {
    fixture.reset();
    let ips: [IpAddr; 2] = [[10, 0, 0, 1].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 1].into()];
    fixture.guard(B, station(2), &ips);
    fixture.set_flags(C, flag::ISOLATED);
    fixture.set(C, |config| (config.mtu, config.mac_limit) = (200, 3));
    fixture.make_vlan_aware(D, 10, &[20, 30]);
    fixture.make_vlan_aware(PortId(5), 20, &[]);
    for port in [D, PortId(5)] {
        fixture.set(port, |config| config.network = 2);
        fixture.join(port, Some(2));
    }
    fixture.set_flags(PortId(6), flag::HAIRPIN | flag::ISOLATED);
    fixture.introduce([10, 0, 0, 1], station(2));
    fixture.introduce([0xfd00, 0, 0, 0, 0, 0, 0, 1], station(2));
    for (port, number) in [(A, 1), (B, 2)] {
        fixture.configure(key(station(number)), port, 1);
    }
}

/// The first octet chooses port and hook, the rest is the frame.
fn check(fixture: &mut Fixture, input: &[u8]) -> u64 {
    let Some((chosen, frame)) = input.split_first() else { return 0 };
    let is_tagged = matches!(frame.get(12..14), Some([0x81, 0] | [0x88, 0xa8]));
    // The kernel runs no program over less, and refuses such a frame before it comes to one.
    if frame.len() < if is_tagged { 18 } else { 14 } || frame.len() > 2_000 {
        return 1;
    }
    let ingress = PortId(u16::from(chosen & 0x7f) % PORTS + 1);
    let mut hook = if chosen & 0x80 == 0 { Hook::Tc } else { Hook::Xdp };
    fixture.refill(ingress);
    fixture.bpf.beat().expect("the map is there");
    let mut record = trace(fixture, hook, ingress, frame);
    if record.ending() == Ending::PassedUp {
        assert_eq!(fixture.xdp(ingress, frame).end, End::Passed, "a trace said that XDP passes it up");
        assert_eq!(fixture.tally(), Tally::new(), "XDP counted what it passes up");
        hook = Hook::Tc;
        record = trace(fixture, hook, ingress, frame);
    }
    assert_eq!(fixture.tally(), Tally::new(), "a trace counted");
    assert!(fixture.notices().is_empty() && fixture.punts().is_empty(), "a trace told the controller");
    if hook == Hook::Tc && !can_run(&frame[if is_tagged { 16 } else { 12 }..]) {
        return 2;
    }
    match hook {
        Hook::Tc => drop(fixture.tc_as_received(ingress, frame)),
        Hook::Xdp => {
            assert_ne!(fixture.xdp(ingress, frame).end, End::Passed, "a trace said it does not pass");
        }
    }
    let counted = fixture.tally();
    judge(fixture, ingress, &record, &counted);
    let notices: Vec<u16> = fixture.notices().iter().map(|notice| notice.kind).collect();
    if record.reach != 2 {
        assert!(notices.is_empty(), "a refused frame taught something");
    }
    let punted = fixture.punts().len();
    let learned = (record.lesson, notices.len(), punted);
    outcome(&(
        format!("port-{}", char::from(b'a' + (ingress.0 as u8))),
        hook,
        kind(&record),
        reason(&record),
        letters(learned),
    ))
}

/// The kernel runs no tc program over an IP packet shorter than its header. Of what follows the addresses.
fn can_run(rest: &[u8]) -> bool {
    match rest {
        [0x08, 0x00, packet @ ..] => packet.len() >= 20,
        [0x86, 0xdd, packet @ ..] => packet.len() >= 40,
        _ => true,
    }
}

fn trace(fixture: &mut Fixture, hook: Hook, ingress: PortId, frame: &[u8]) -> TraceRecord {
    let ifindex = fixture.link(ingress).ifindex;
    fixture.bpf.trace(hook, ifindex, frame).expect("the kernel runs the program").record
}

/// The counters agree with what the trace said, and with the invariants.
fn judge(fixture: &Fixture, ingress: PortId, record: &TraceRecord, counted: &Tally) {
    let of = |port: PortId| counted.of(port);
    let drops = |port: PortId| of(port).drops.iter().sum::<u64>();
    let (sent, dropped) = fixture
        .ports()
        .fold((0, 0), |(sent, dropped), port| (sent + of(port).tx_packets, dropped + drops(port)));
    assert_eq!(of(ingress).rx_packets, 1, "a frame in is counted once: {counted:?}");
    if let Some(reason) = record.drop_reason() {
        assert_eq!(of(ingress).drops[reason as usize], 1, "dropped for {}: {counted:?}", reason.name());
        return assert_eq!((sent, dropped), (0, 1), "dropped for {} and more: {counted:?}", reason.name());
    }
    match record.verdict().unpack() {
        Verdict::Forward(port, _) => {
            assert_eq!((of(port).tx_packets, sent, dropped), (1, 1, 0), "forwarded: {counted:?}");
            assert!(port != ingress || ingress == PortId(6), "a frame came back: {counted:?}");
        }
        Verdict::Flood(_) | Verdict::Group(..) => {
            assert!(sent + dropped > 0, "a flood to nobody: {counted:?}");
            assert!(of(ingress).tx_packets == 0 || ingress == PortId(6), "a flood came back: {counted:?}");
            assert!(fixture.ports().all(|port| of(port).tx_packets + drops(port) <= 1), "twice: {counted:?}");
        }
        Verdict::Answer(_) => {
            let is = (of(ingress).answered, of(ingress).tx_packets, sent, dropped);
            assert_eq!(is, (1, 1, 1, 0), "answered: {counted:?}");
        }
        Verdict::Punt(_) => assert_eq!((of(ingress).punted, sent, dropped), (1, 0, 0), "punted: {counted:?}"),
        Verdict::Local => panic!("nothing here is for the host"),
        Verdict::Drop(reason) => panic!("a verdict to drop for {} without a drop", reason.name()),
    }
}

fn kind(record: &TraceRecord) -> &'static str {
    match record.verdict().unpack() {
        Verdict::Forward(..) => "forward",
        Verdict::Flood(_) => "flood",
        Verdict::Group(..) => "group",
        Verdict::Answer(_) => "answer",
        Verdict::Punt(_) => "punt",
        Verdict::Local => "local",
        Verdict::Drop(_) => "drop",
    }
}

fn reason(record: &TraceRecord) -> &'static str {
    record.drop_reason().map_or("", DropReason::name)
}

/// Small numbers as letters, for outcomes leave digits out.
fn letters((lesson, notices, punted): (u32, usize, usize)) -> String {
    let letter = |number: usize| char::from(b'a' + (number.min(25) as u8));
    [lesson as usize, notices, punted].into_iter().map(letter).collect()
}
