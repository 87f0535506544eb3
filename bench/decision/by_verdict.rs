//! Nanoseconds of the pure decision, by verdict.

use std::hint::black_box;
use std::time::Duration;

use criterion::Criterion;
use vswitch_common::domain::DomainId;
use vswitch_common::frame::ethertype;
use vswitch_common::mac::MacAddr;
use vswitch_common::verdict::{DropReason, Punt, Verdict};
use vswitch_common::vlan::{Form, Tag};
use vswitch_decision_bench::{A, B, EGRESS, Known, decide};

/// A frame of 60 octets from A.
fn frame(to: MacAddr, tag: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut frame = [&to.octets()[..], &A.octets(), tag, rest].concat();
    frame.resize(60, 0);
    frame
}

fn ipv4(source: [u8; 4]) -> Vec<u8> {
    let head = [0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 6, 0, 0];
    frame(B, &[], &[&head[..], &source, &[10, 0, 0, 2]].concat())
}

fn arp_question() -> Vec<u8> {
    let head = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1];
    frame(
        MacAddr::BROADCAST,
        &[],
        &[&head[..], &A.octets(), &[10, 0, 0, 1], &[0; 6], &[10, 0, 0, 9]].concat(),
    )
}

fn by_verdict(criterion: &mut Criterion) {
    let plain = || frame(B, &[], &[0x88, 0xb5]);
    let tagged = |vid: u8| frame(B, &[0x81, 0x00, 0, vid], &[0x88, 0xb5]);
    let forward = Verdict::Forward(EGRESS, Form::UNTOUCHED);
    let in_vlan = Verdict::Forward(EGRESS, Tag { tpid: ethertype::VLAN, tci: 10 }.form());
    let cases = [
        ("forward to a known station", plain(), Known::two_ports(), forward),
        ("forward IPv4 from a guarded port", ipv4([10, 0, 0, 1]), Known::guarded(), forward),
        ("forward within a VLAN", tagged(10), Known::trunks(), in_vlan),
        (
            "flood to an unknown station",
            plain(),
            Known::with_unknown_destination(),
            Verdict::Flood(DomainId(1)),
        ),
        (
            "flood a broadcast",
            frame(MacAddr::BROADCAST, &[], &[0x88, 0xb5]),
            Known::two_ports(),
            Verdict::Flood(DomainId(1)),
        ),
        ("punt an ARP question", arp_question(), Known::two_ports(), Verdict::Punt(Punt::UnknownTarget)),
        (
            "drop a spoofed address",
            ipv4([10, 0, 0, 7]),
            Known::guarded(),
            Verdict::Drop(DropReason::SpoofedIp),
        ),
        ("drop a VLAN not allowed", tagged(11), Known::trunks(), Verdict::Drop(DropReason::VlanNotAllowed)),
        (
            "drop to the port it came from",
            plain(),
            Known::with_both_behind_the_ingress(),
            Verdict::Drop(DropReason::SamePort),
        ),
    ];
    let mut group = criterion.benchmark_group("decide");
    for (name, frame, known, expected) in cases {
        assert!(decide(&frame, &known).0 == expected.pack(), "{name}: another verdict");
        group.bench_function(name, |bencher| bencher.iter(|| decide(black_box(&frame), black_box(&known))));
    }
    group.finish();
}

fn main() {
    // A decision takes nanoseconds: a second each is plenty.
    let short = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    let mut criterion = short.configure_from_args();
    by_verdict(&mut criterion);
    criterion.final_summary();
}
