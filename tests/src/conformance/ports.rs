//! Rows about what single ports are told to do and not to do.

use std::thread::sleep;
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use super::forwarding::{NOBODY, STATION};
use super::trial::Case;
use super::{Answer, Row, Trial, ensure};
use crate::frame;
use crate::lab::PortOptions;
use crate::switch::NetworkOptions;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "Isolated ports reach only ports that are not, by unicast and by flood",
        source: "RFC 5517 2",
        run: isolated,
    },
    Row {
        behaviour: "A port with hairpin gets back what is for stations on its own side, and its floods",
        source: "802.1Q 8.6.1 (reflective relay)",
        run: hairpin,
    },
    Row {
        behaviour: "From a port that does not learn nobody is learned; its frames are forwarded",
        source: "802.1Q 8.4",
        run: no_learning,
    },
    Row {
        behaviour: "A port without floods gets only what is known to be its",
        source: "Linux (`flood off`)",
        run: no_flood,
    },
    Row {
        behaviour: "A port may be limited to so many stations; the others are let through and not learned",
        source: "RFC 2889 5.7",
        run: mac_limit,
    },
    Row {
        behaviour: "Broadcasts, multicasts and unknown unicast of a port may each be limited; the rest is not held back",
        source: "RFC 2889 5.10",
        run: storm,
    },
    Row {
        behaviour: "Without a limit a port floods as much as it is sent",
        source: "802.1D 7.7",
        run: no_storm,
    },
];

fn with(first: PortOptions) -> Vec<PortOptions> {
    vec![first, PortOptions::default(), PortOptions::default()]
}

fn plain(t: &mut Trial, first: PortOptions) -> Answer {
    t.connect(&NetworkOptions::default(), with(first))
}

fn isolated(t: &mut Trial) -> Answer {
    let isolated = PortOptions { isolated: true, ..PortOptions::default() };
    let ports = vec![isolated.clone(), isolated, PortOptions::default()];
    t.connect(&NetworkOptions::default(), ports)?;
    let floods = [t.broadcast(0), t.broadcast(1), t.broadcast(2)];
    let (across, down, up) = (t.frame(0, t.mac(1)), t.frame(2, t.mac(1)), t.frame(1, t.mac(2)));
    t.check(&[
        Case::unchanged("a flood of an isolated port", 0, &floods[0], &[2]),
        Case::unchanged("a flood of another", 1, &floods[1], &[2]),
        Case::unchanged("a flood of the port that is not", 2, &floods[2], &[0, 1]),
        Case::unchanged("between isolated ports", 0, &across, &[]),
        Case::unchanged("to an isolated port", 2, &down, &[1]),
        Case::unchanged("from an isolated port", 1, &up, &[2]),
    ])
}

fn hairpin(t: &mut Trial) -> Answer {
    plain(t, PortOptions { hairpin: true, ..PortOptions::default() })?;
    let (said, back) = (t.broadcast(0), t.frame_of(STATION, t.mac(0)));
    t.check(&[
        Case::unchanged("a broadcast", 0, &said, &[0, 1, 2]),
        Case::unchanged("a frame to its own side", 0, &back, &[0]),
    ])
}

fn no_learning(t: &mut Trial) -> Answer {
    plain(t, PortOptions { no_learning: true, ..PortOptions::default() })?;
    let (said, to) = (t.broadcast(0), t.frame(1, t.mac(0)));
    t.check(&[
        Case::unchanged("a broadcast", 0, &said, &[1, 2]),
        Case::unchanged("a frame to who sent it", 1, &to, &[0, 2]),
    ])
}

fn no_flood(t: &mut Trial) -> Answer {
    plain(t, PortOptions { no_flood: true, ..PortOptions::default() })?;
    let (flood, unknown) = (t.broadcast(1), t.frame(1, NOBODY));
    let multicast = t.frame(1, MacAddr::from_octets([3, 0, 0, 0, 0, 7]));
    let (said, to) = (t.broadcast(0), t.frame(1, t.mac(0)));
    t.check(&[
        Case::unchanged("a broadcast", 1, &flood, &[2]),
        Case::unchanged("a multicast", 1, &multicast, &[2]),
        Case::unchanged("unknown unicast", 1, &unknown, &[2]),
        Case::unchanged("a broadcast of the port", 0, &said, &[1, 2]),
        Case::unchanged("a frame to a known station", 1, &to, &[0]),
    ])
}

fn mac_limit(t: &mut Trial) -> Answer {
    plain(t, PortOptions::default().with(&["--mac-limit", "2"]))?;
    let mut cases = Vec::new();
    for (last, reached) in [(1, &[0][..]), (2, &[0]), (3, &[0, 2])] {
        let station = MacAddr::from_octets([2, 0, 0, 0, 7, last]);
        let (said, to) = (t.frame_of(station, MacAddr::BROADCAST), t.frame(1, station));
        cases.push(Case::unchanged("a broadcast", 0, &said, &[1, 2]));
        cases.push(Case::unchanged("a frame to who sent it", 1, &to, reached));
    }
    t.check(&cases)
}

/// Frames of a storm.
const STORM: usize = 300;

/// What of it may pass in the second that it takes at most on a slow machine, with 100 frames a second.
const LIMITED: std::ops::RangeInclusive<usize> = 8..=150;

/// Sends a storm from station 0 and says how much of it station 1 got.
fn blow(t: &mut Trial, to: MacAddr) -> usize {
    let sent = t.frame(0, to);
    // In bursts that no receive queue is too short for.
    for _ in 0..STORM / 50 {
        t.host(0).inject_all(&[&sent; 50]);
        sleep(Duration::from_millis(3));
    }
    sleep(Duration::from_millis(150));
    let mark = frame::mark_of(&sent).expect("it has one");
    t.counts(frame::has_mark(mark))[1]
}

fn storm(t: &mut Trial) -> Answer {
    let limits = ["--storm", "broadcast=100", "--storm", "multicast=100", "--storm", "unknown=100"];
    plain(t, PortOptions::default().with(&limits))?;
    let said = t.broadcast(1);
    t.check(&[Case::unchanged("a broadcast", 1, &said, &[0, 2])])?;
    let group = MacAddr::from_octets([3, 0, 0, 0, 0, 7]);
    for (what, to) in [("broadcasts", MacAddr::BROADCAST), ("multicasts", group), ("unknown unicast", NOBODY)]
    {
        let passed = blow(t, to);
        ensure(LIMITED.contains(&passed), || format!("{what}: {passed} of {STORM} passed"))?;
    }
    let passed = blow(t, t.mac(1));
    ensure(passed == STORM, || format!("{passed} of {STORM} frames to a known station passed"))
}

fn no_storm(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let passed = blow(t, MacAddr::BROADCAST);
    ensure(passed == STORM, || format!("{passed} of {STORM} passed"))
}
