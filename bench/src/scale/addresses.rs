//! What addresses cost: forwarding to one of many, and learning new ones.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use vswitch_common::mac::MacAddr;
use vswitch_tests::bpf::{Emitter, Vary};
use vswitch_tests::frame;
use vswitch_tests::scratch::unique_name;

use super::crowd::Crowd;
use super::{Curve, fail, is_wanted, measure};
use crate::cpu::Awake;
use crate::metric::Metric;
use crate::record::Record;
use crate::rivals::Kind;
use crate::rounds::{Plan, guarded};
use crate::station::LINK;

/// Forwarding.
pub(super) const FORWARD: Curve = Curve::new(
    Metric::more("macs-forward", "forwarding to many addresses", "kpps"),
    "addresses",
    "XDP-born frames of 64 bytes, each to the next of so many addresses behind one port, into an XDP drop; vswitch's FDB \
     is made for 66,000 entries, and for 1,200,000 where there are as many addresses",
);
/// Learning.
pub(super) const LEARN: Curve = Curve::new(
    Metric::more("macs-learn", "learning", "k addresses/s"),
    "addresses",
    "XDP-born frames of 64 bytes, each from an address that the switch does not know yet",
);

/// Entries that vswitch's FDB is made for, a little more than it comes with and many more, and how many addresses it then
/// forwards to. A bridge's table grows by itself.
const TABLES: [(u32, &[u64]); 2] = [(66_000, &[2, 1 << 10, LEARNED]), (1_200_000, &[1 << 20])];
/// How many are learned.
const LEARNED: u64 = 1 << 16;

/// The addresses are this one with other low octets.
const FIRST: MacAddr = MacAddr::from_octets([2, 0x99, 0, 0, 0, 0]);

/// Plays all rounds.
pub(super) fn play(plan: &Plan, kinds: &[Kind], record: &mut Record) {
    if ![&FORWARD, &LEARN].iter().any(|curve| is_wanted(plan, curve)) {
        return;
    }
    let mut crowds = Vec::new();
    for (entries, sizes) in TABLES {
        for kind in kinds {
            match guarded(|| set_up(*kind, entries)) {
                Ok(crowd) => crowds.push((crowd, sizes)),
                Err(error) => fail(record, "addresses", *kind, &error),
            }
        }
    }
    for round in 0..plan.rounds {
        println!("round {}/{} with many addresses", round + 1, plan.rounds);
        let _awake = Awake::keep();
        for (crowd, sizes) in &mut crowds {
            let kind = crowd.kind;
            if is_wanted(plan, &LEARN) && sizes.contains(&LEARNED) {
                measure(record, &LEARN, (kind, LEARNED, round), || learn(crowd, LEARNED));
            }
            for size in sizes.iter().copied().filter(|_| is_wanted(plan, &FORWARD)) {
                measure(record, &FORWARD, (kind, size, round), || forward(crowd, size, plan));
            }
        }
    }
}

/// A switch of two stations with a table of that size.
fn set_up(kind: Kind, entries: u32) -> Result<Crowd> {
    let config = std::env::temp_dir().join(format!("{}.toml", unique_name()));
    fs::write(&config, format!("[limits]\nfdb_entries = {entries}\n"))?;
    let crowd = Crowd::set_up(kind, 2, &["--config", &config.display().to_string()]);
    fs::remove_file(config)?;
    crowd
}

/// Lets `s` speak from so many addresses, all new; thousands a second.
fn learn(crowd: &mut Crowd, count: u64) -> Result<f64> {
    crowd.forget()?;
    crowd.introduce();
    let seconds = speak(crowd, count)?;
    let known = crowd.known()?;
    ensure!(known >= count, "it learned {known} of {count} addresses");
    Ok(count as f64 / seconds / 1e3)
}

fn forward(crowd: &mut Crowd, count: u64, plan: &Plan) -> Result<f64> {
    crowd.forget()?;
    crowd.introduce();
    speak(crowd, count)?;
    let frame = frame::raw(FIRST, crowd.x.mac, frame::EXPERIMENTAL, &[0; 50]);
    crowd.rate(&frame, Vary::Destination { mask: mask(count) }, plan.time)
}

/// Frames from `s`, each from the next address; the seconds that they took.
fn speak(crowd: &Crowd, count: u64) -> Result<f64> {
    let emitter = Emitter::new(&crowd.s.namespace, LINK, Vary::Source { mask: mask(count) })?;
    let frame = frame::raw(crowd.x.mac, FIRST, frame::EXPERIMENTAL, &[0; 50]);
    crowd.s.namespace.run(|| {
        crate::cpu::pin(crate::cpu::CLIENT)?;
        let start = Instant::now();
        emitter.emit(&frame, u32::try_from(count)?)?;
        Ok(start.elapsed().as_secs_f64())
    })
}

fn mask(count: u64) -> i32 {
    i32::try_from(count - 1).expect("there are at most two thousand million addresses")
}
