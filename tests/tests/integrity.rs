//! Integrity: a full mesh of four hosts at a tenth of what the links carry. Nothing is lost, doubled, overtaken or changed.

use std::collections::BTreeMap;
use std::thread::{scope, sleep};

use sha2::{Digest, Sha256};
use vswitch_tests::prelude::*;
use vswitch_tests::wait::poll;

const HOSTS: usize = 4;

/// Frames sent in a row; one more than the ring of a veth has places (kernel 6.18 `drivers/net/veth.c`, `VETH_RING_SIZE`).
const BURST: usize = 257;

/// Bursts from each host to each other one.
const BURSTS: usize = 6;

/// Time between two bursts of a host: with the sending some tenth of what a link carries, 200,000 frames a second.
const PAUSE: Duration = Duration::from_millis(13);

/// A machine at its limit loses frames in the rings of its veths, before and behind the switch. It never doubles, changes or
/// reorders them.
const ATTEMPTS: u64 = 5;

/// EtherType for experiments (IEEE 802 clause 9.2.3).
const EXPERIMENTAL: u16 = 0x88b5;

/// Shortest and longest payload: frames of 60 to 1,514 octets.
const PAYLOAD: (usize, usize) = (46, 1_500);

/// A small generator (xorshift64).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

/// Octets of a frame without check sequence: 60, 64, the longest, or any.
fn payload_size(random: &mut u64) -> usize {
    match next(random) % 6 {
        0 => PAYLOAD.0,
        1 => PAYLOAD.0 + 4,
        2 => PAYLOAD.1,
        _ => PAYLOAD.0 + next(random) as usize % (PAYLOAD.1 - PAYLOAD.0 + 1),
    }
}

/// Attempt, number within the pair, noise, and a hash over it all.
fn numbered(to: MacAddr, from: MacAddr, attempt: u64, number: u64, random: &mut u64) -> Vec<u8> {
    let mut payload: Vec<u8> = [attempt.to_be_bytes(), number.to_be_bytes()].concat();
    let size = payload_size(random);
    payload.extend((0..size - 32).map(|_| next(random) as u8));
    payload.extend(&digest(&payload)[..16]);
    frame::raw(to, from, EXPERIMENTAL, &payload)
}

fn digest(octets: &[u8]) -> Vec<u8> {
    Sha256::digest(octets).to_vec()
}

/// Attempt, sender and number of a frame of ours, whose hash must be right.
#[track_caller]
fn open(frame: &[u8]) -> Option<(u64, [u8; 6], u64)> {
    if frame.get(12..14) != Some(&EXPERIMENTAL.to_be_bytes()[..]) {
        return None;
    }
    let (told, hash) = frame[14..].split_at(frame.len() - 30);
    assert!(digest(told)[..16] == *hash, "a frame of {} octets arrived changed", frame.len());
    let number = |at: usize| u64::from_be_bytes(told[at..at + 8].try_into().expect("eight octets"));
    Some((number(0), frame[6..12].try_into().expect("six octets"), number(8)))
}

/// Bursts from one host to all others in turn.
fn send(from: &Host, all: &[Host], attempt: u64) {
    let mut random = 0x9e37_79b9_7f4a_7c15 ^ u64::from(from.mac().octets()[5]) ^ attempt << 8;
    for burst in 0..BURSTS {
        for to in all.iter().filter(|to| to.mac() != from.mac()) {
            let numbers = (burst * BURST) as u64..((burst + 1) * BURST) as u64;
            let frames: Vec<_> =
                numbers.map(|number| numbered(to.mac(), from.mac(), attempt, number, &mut random)).collect();
            from.inject_all(&frames);
            sleep(PAUSE);
        }
    }
}

/// Frames of an attempt that are missing at all hosts together.
///
/// # Panics
/// When one came twice, changed, out of order, or to the wrong host.
fn missing(hosts: &[Host], heard: &[Sniffer], attempt: u64) -> usize {
    let mut missing = 0;
    for (to, heard) in hosts.iter().zip(heard) {
        let mut numbers: BTreeMap<[u8; 6], Vec<u64>> = BTreeMap::new();
        for seen in heard.received(|frame| frame[..6] == to.mac().octets()) {
            if let Some((_, from, number)) = open(&seen.frame).filter(|(of, _, _)| *of == attempt) {
                numbers.entry(from).or_default().push(number);
            }
        }
        let strays = heard.received(|frame| open(frame).is_some() && frame[..6] != to.mac().octets());
        assert!(strays.is_empty(), "{} got {} frames for others", to.name(), strays.len());
        for from in hosts.iter().filter(|from| from.mac() != to.mac()) {
            let came = numbers.get(&from.mac().octets()).map_or(&[][..], Vec::as_slice);
            let is_in_order = came.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(is_in_order, "{} to {}: a frame came twice or was overtaken", from.name(), to.name());
            missing += BURSTS * BURST - came.len();
        }
    }
    missing
}

each_hook!(a_full_mesh_at_a_tenth_of_the_load_is_carried_whole, |lab| {
    let hosts = lab.hosts("h", HOSTS, &HostOptions::bare());
    for host in &hosts {
        lab.connect(host, PortOptions::default());
    }
    let heard: Vec<Sniffer> = hosts.iter().map(Host::sniff).collect();
    for host in &hosts {
        host.inject(&frame::marked(MacAddr::BROADCAST, host.mac(), 1));
        heard.iter().zip(&hosts).filter(|(_, of)| of.mac() != host.mac()).for_each(|(heard, _)| {
            heard.expect("the host's first word", frame::has_mark(1));
            heard.clear();
        });
    }
    let all = HOSTS * (HOSTS - 1) * BURSTS * BURST;
    for attempt in 1..=ATTEMPTS {
        heard.iter().for_each(Sniffer::clear);
        scope(|scope| hosts.iter().for_each(|host| drop(scope.spawn(|| send(host, &hosts, attempt)))));
        let ours = |frame: &[u8]| frame.get(12..14) == Some(&EXPERIMENTAL.to_be_bytes()[..]);
        let arrived = || heard.iter().map(|heard| heard.received(ours).len()).sum::<usize>();
        poll(Duration::from_secs(3), || (arrived() >= all).then_some(()));
        sleep(Duration::from_millis(100));
        let lost = missing(&hosts, &heard, attempt);
        eprintln!("attempt {attempt}: {lost} of {all} frames lost");
        if lost == 0 {
            return;
        }
    }
    panic!("frames were lost {ATTEMPTS} times in a row");
});
