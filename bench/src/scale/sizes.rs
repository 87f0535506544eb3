//! What a frame's length costs, from the shortest to the longest of a usual MTU.

use vswitch_tests::bpf::Vary;
use vswitch_tests::frame;

use super::crowd::Crowd;
use super::{Curve, fail, is_wanted, measure};
use crate::cpu::Awake;
use crate::metric::Metric;
use crate::record::Record;
use crate::rivals::Kind;
use crate::rounds::{Plan, guarded};

/// Forwarding.
pub(super) const FORWARD: Curve = Curve::new(
    Metric::more("sizes-forward", "forwarding frames of a length", "kpps"),
    "octets",
    "XDP-born frames of so many octets between two ports, into an XDP drop",
);

/// Octets of a frame, its header included.
const SIZES: [u64; 6] = [64, 128, 256, 512, 1024, 1514];
/// Those of the header.
const HEADER: usize = 14;

/// Plays all rounds.
pub(super) fn play(plan: &Plan, kinds: &[Kind], record: &mut Record) {
    if !is_wanted(plan, &FORWARD) {
        return;
    }
    let mut crowds = Vec::new();
    for kind in kinds {
        match guarded(|| Crowd::set_up(*kind, 2, &[])) {
            Ok(crowd) => crowds.push(crowd),
            Err(error) => fail(record, "sizes", *kind, &error),
        }
    }
    for round in 0..plan.rounds {
        println!("round {}/{} with frames of many lengths", round + 1, plan.rounds);
        let _awake = Awake::keep();
        for size in SIZES {
            for crowd in &mut crowds {
                crowd.introduce();
                let payload = vec![0; size as usize - HEADER];
                let frame = frame::raw(crowd.s.mac, crowd.x.mac, frame::EXPERIMENTAL, &payload);
                let kind = crowd.kind;
                measure(record, &FORWARD, (kind, size, round), || {
                    crowd.rate(&frame, Vary::Nothing, plan.time)
                });
            }
        }
    }
}
