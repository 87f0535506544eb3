//! The model switch against a real one, frame by frame: random ports, flags and addresses, the same deliveries.
//!
//! Against the Linux bridge it proves the model; against vswitch it proves vswitch.

use std::collections::BTreeMap;
use std::time::Instant;

use vswitch_tests::model::{Kind, Outcome, PortSettings, Switch as Model};
use vswitch_tests::prelude::*;
use vswitch_tests::wait::poll;

/// Ports of one case.
const PORTS: usize = 6;

/// Frames of one case.
const FRAMES: u64 = 150;

/// A small generator (xorshift64): a seed gives the same case again.
struct Random {
    state: u64,
    /// Whether addresses that no bridge relays come up.
    reserved: bool,
}

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 16) as usize % limit
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// Few stations, so that they meet, and what is no station.
fn address(random: &mut Random, as_source: bool) -> MacAddr {
    match random.below(12) {
        0 if as_source => MacAddr::ZERO,
        0 | 1 => MacAddr::BROADCAST,
        2 => MacAddr::from_octets([3, 0, 0, 0, 0, 9]),
        // The Linux bridge learns from such frames, the model and vswitch do not: not before a bridge, then.
        3 if !as_source && random.reserved => MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 14]),
        number => station((number % 6) as u8),
    }
}

fn station(number: u8) -> MacAddr {
    MacAddr::from_octets([2, 0, 0, 0, 0xaa, number])
}

/// One case: ports with random flags in two networks, static entries, then frames one by one.
fn model_agrees(mut lab: Lab, seed: u64, reserved: bool) {
    eprintln!("seed {seed}");
    let (mut random, mut model) = (Random { state: seed, reserved }, Model::default());
    lab.subject().create_network("other");
    let hosts = lab.hosts("h", PORTS, &HostOptions::bare());
    let mut sniffers = Vec::new();
    for (id, host) in hosts.iter().enumerate() {
        let settings = PortSettings {
            network: u16::from(random.one_in(3)),
            isolated: random.one_in(3),
            hairpin: random.one_in(4),
            learning: !random.one_in(4),
            flood: !random.one_in(4),
            ..PortSettings::default()
        };
        let options = PortOptions {
            network: (settings.network == 1).then(|| "other".to_owned()),
            isolated: settings.isolated,
            hairpin: settings.hairpin,
            no_learning: !settings.learning,
            no_flood: !settings.flood,
            ..PortOptions::default()
        };
        lab.connect(host, options);
        model.set_port(id as u32, settings);
        sniffers.push(host.sniff());
    }
    for number in 4..6 {
        let (port, sticky) = (random.below(PORTS), random.one_in(2));
        lab.subject().add_entry(station(number), &format!("h{}0", port + 1), sticky);
        let kind = if sticky { Kind::Sticky } else { Kind::Static };
        model.add_entry(station(number).octets(), port as u32, kind, Duration::ZERO);
    }
    let start = Instant::now();
    let mut expected: BTreeMap<u64, Outcome> = BTreeMap::new();
    for mark in 0..FRAMES {
        let ingress = random.below(PORTS);
        let frame = frame::marked(address(&mut random, false), address(&mut random, true), mark);
        let outcome = model.deliver(ingress as u32, &frame, start.elapsed());
        hosts[ingress].inject(&frame);
        let arrived = || {
            outcome
                .deliveries
                .iter()
                .all(|&port| !sniffers[port as usize].received(frame::has_mark(mark)).is_empty())
        };
        let came = poll(SOON, || arrived().then_some(()));
        let context = || format!("seed {seed}: port {ingress} sent {}: {outcome:?}", frame::describe(&frame));
        assert!(came.is_some(), "{}, but it is missing; ports and stations: {:?}", context(), model);
        if outcome.deliveries.is_empty() {
            // Nothing tells that a frame was dropped; it must not overtake the next one in learning.
            std::thread::sleep(Duration::from_millis(5));
        }
        expected.insert(mark, outcome);
    }
    std::thread::sleep(Duration::from_millis(300));
    for (mark, outcome) in &expected {
        let counts = sniffers.iter().map(|sniffer| sniffer.received(frame::has_mark(*mark)).len());
        let seen: Vec<u32> = counts.enumerate().flat_map(|(id, count)| vec![id as u32; count]).collect();
        assert_eq!(seen, outcome.deliveries, "seed {seed}, frame {mark}: {outcome:?}");
    }
    fdb_agrees(&mut lab, &model, start.elapsed(), seed);
}

/// The same stations at the same ports.
fn fdb_agrees(lab: &mut Lab, model: &Model, now: Duration, seed: u64) {
    let theirs = lab.subject().fdb();
    let theirs: BTreeMap<_, _> =
        theirs.into_iter().map(|entry| ((entry.network, entry.mac), entry.port)).collect();
    let name = |network: u16| if network == 1 { "other" } else { "default" }.to_owned();
    let entries = model.fdb(now).into_iter();
    let ours: BTreeMap<_, _> = entries
        .map(|(((network, _vlan), mac), entry)| {
            ((name(network), MacAddr::from_octets(mac)), format!("h{}0", entry.port + 1))
        })
        .collect();
    assert_eq!(theirs, ours, "seed {seed}");
}

/// A seed of choice with `VSWITCH_LAB_SEED`, else four that never change.
fn seeds() -> Vec<u64> {
    std::env::var("VSWITCH_LAB_SEED")
        .map_or_else(|_| vec![1, 77, 4242, 900_001], |seed| vec![seed.parse().expect("a number")])
}

#[test]
fn the_model_agrees_with_the_linux_bridge() {
    for seed in seeds() {
        model_agrees(Lab::with("agreement", Rival::LinuxBridge, Hooks::Auto), seed, false);
    }
}

fn vswitch_agrees(hooks: Hooks) {
    for seed in seeds() {
        let Some(lab) = hooks.vswitch_lab("agreement") else {
            return;
        };
        model_agrees(lab, seed, true);
    }
}

#[test]
fn vswitch_at_xdp_agrees_with_the_model() {
    vswitch_agrees(Hooks::Xdp);
}

#[test]
fn vswitch_at_tc_agrees_with_the_model() {
    vswitch_agrees(Hooks::Tc);
}

#[test]
fn vswitch_at_mixed_hooks_agrees_with_the_model() {
    vswitch_agrees(Hooks::Mixed);
}
