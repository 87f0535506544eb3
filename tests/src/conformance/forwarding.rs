//! Rows about forwarding and learning.

use std::time::Duration;

use vswitch_common::mac::MacAddr;

use super::trial::Case;
use super::{Answer, Row, Trial, ensure};
use crate::frame;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "A frame to an unknown station reaches every other port once, unchanged",
        source: "802.1D 7.7, RFC 2889 5.8",
        run: unknown,
    },
    Row { behaviour: "So do broadcasts and multicasts", source: "802.1D 7.7, RFC 2889 5.10", run: groups },
    Row {
        behaviour: "A frame to a known station reaches its port alone",
        source: "802.1D 7.9, 802.1Q 8.8",
        run: known,
    },
    Row { behaviour: "No frame returns to the port it came from", source: "802.1D 7.7.1", run: own_port },
    Row {
        behaviour: "A station that moves is reached at its new port from its first frame there on",
        source: "802.1D 7.8, 802.1Q 8.7",
        run: moved,
    },
    Row {
        behaviour: "Frames of one pair are neither reordered nor doubled, whatever their sizes",
        source: "802.1Q 6.5.3, 6.5.4",
        run: order,
    },
    Row {
        behaviour: "01-80-C2-00-00-00 to -0F are not relayed",
        source: "802.1D 7.12.6, 802.1Q 8.6.3",
        run: reserved,
    },
    Row {
        behaviour: "Groups beyond these, 01-80-C2-00-00-10 to -2F, are relayed like any other",
        source: "802.1Q 8.6.3",
        run: not_reserved,
    },
    Row {
        behaviour: "A frame from a group address is dropped and teaches nothing",
        source: "802.3 3.2.3, 802.1Q 8.7",
        run: group_source,
    },
    Row {
        behaviour: "So is one from 00-00-00-00-00-00",
        source: "Linux `is_valid_ether_addr`",
        run: zero_source,
    },
];

/// An individual address that nobody has.
pub(super) const NOBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);

/// A station behind one of the ports that is not its host.
pub(super) const STATION: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 0x55]);

fn unknown(t: &mut Trial) -> Answer {
    t.plain(4)?;
    let short = t.frame(0, NOBODY);
    let full = t.long(0, NOBODY, 1500);
    t.check(&[
        Case::unchanged("a short frame", 0, &short, &[1, 2, 3]),
        Case::unchanged("a full frame", 0, &full, &[1, 2, 3]),
    ])
}

fn groups(t: &mut Trial) -> Answer {
    t.plain(4)?;
    let broadcast = t.broadcast(0);
    let multicast = t.frame(1, MacAddr::from_octets([1, 0, 0x5e, 1, 2, 3]));
    let other = t.frame(2, MacAddr::from_octets([3, 0, 0, 0, 0, 7]));
    t.check(&[
        Case::unchanged("a broadcast", 0, &broadcast, &[1, 2, 3]),
        Case::unchanged("an IPv4 multicast", 1, &multicast, &[0, 2, 3]),
        Case::unchanged("another multicast", 2, &other, &[0, 1, 3]),
    ])
}

fn known(t: &mut Trial) -> Answer {
    t.plain(4)?;
    let said = t.broadcast(0);
    let (to, back) = (t.frame(1, t.mac(0)), t.frame(0, t.mac(1)));
    t.check(&[
        Case::unchanged("a broadcast", 0, &said, &[1, 2, 3]),
        Case::unchanged("a frame to who spoke", 1, &to, &[0]),
        Case::unchanged("the answer", 0, &back, &[1]),
    ])
}

fn own_port(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let (said, back) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame(0, STATION));
    let itself = t.frame_of(STATION, STATION);
    t.check(&[
        Case::unchanged("a broadcast", 0, &said, &[1, 2]),
        Case::unchanged("a frame to a station on its own side", 0, &back, &[]),
        Case::unchanged("a frame to its own sender", 0, &itself, &[]),
    ])
}

fn moved(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let mut cases = Vec::new();
    for (at, others) in [(0, [1, 2]), (1, [0, 2]), (0, [1, 2])] {
        let (said, to) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame(2, STATION));
        cases.push(Case::unchanged("a broadcast", at, &said, &others));
        cases.push(Case::unchanged("a frame to it", 2, &to, &[at]));
    }
    t.check(&cases)
}

/// A frame more than the ring of a veth with XDP holds.
const BURST: usize = 257;

fn order(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let said = t.broadcast(1);
    t.check(&[Case::unchanged("a broadcast", 1, &said, &[0, 2])])?;
    let (from, to) = (t.mac(0), t.mac(1));
    let sizes = [60, 1514, 64, 700, 61, 128, 1024];
    let frame = |number: usize| {
        frame::marked_as(
            to,
            from,
            frame::EXPERIMENTAL,
            1_000_000 + number as u64,
            sizes[number % sizes.len()],
        )
    };
    let frames: Vec<_> = (0..BURST).map(frame).collect();
    for burst in frames.chunks(32) {
        t.host(0).inject_all(burst);
        std::thread::sleep(Duration::from_millis(2));
    }
    let is_one = |frame: &[u8]| frame::mark_of(frame) >= Some(1_000_000);
    t.hear("a burst", is_one, &[0, BURST, 0])?;
    let arrived = t.all(1, is_one);
    ensure(arrived == frames, || "reordered or changed".to_owned())
}

fn reserved(t: &mut Trial) -> Answer {
    t.plain(2)?;
    relayed(t, 0x00..=0x0f).and_then(|relayed| {
        ensure(relayed.is_empty(), || format!("relays those that end in {}", relayed.join(" ")))
    })
}

fn not_reserved(t: &mut Trial) -> Answer {
    t.plain(2)?;
    relayed(t, 0x10..=0x2f).and_then(|relayed| {
        ensure(relayed.len() == 0x20, || format!("relays just those that end in {}", relayed.join(" ")))
    })
}

/// Which addresses of 01-80-C2-00-00-XX are relayed.
fn relayed(t: &mut Trial, range: std::ops::RangeInclusive<u8>) -> Result<Vec<String>, super::Finding> {
    let frames: Vec<_> =
        range.clone().map(|last| t.frame(0, MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, last]))).collect();
    t.host(0).inject_all(&frames);
    let last = t.broadcast(0);
    t.check(&[Case::unchanged("a broadcast", 0, &last, &[1])])?;
    let has_come = |sent: &Vec<u8>| t.first(1, |frame| frame == sent.as_slice()).is_some();
    let came = range.zip(&frames).filter(|(_, sent)| has_come(sent));
    Ok(came.map(|(last, _)| format!("{last:02X}")).collect())
}

fn group_source(t: &mut Trial) -> Answer {
    refused(t, MacAddr::from_octets([3, 0, 0, 0, 0, 7]))
}

fn zero_source(t: &mut Trial) -> Answer {
    refused(t, MacAddr::ZERO)
}

fn refused(t: &mut Trial, source: MacAddr) -> Answer {
    t.plain(3)?;
    let (said, after) = (t.frame_of(source, MacAddr::BROADCAST), t.broadcast(1));
    t.check(&[
        Case::unchanged("a broadcast from it", 0, &said, &[]),
        Case::unchanged("a broadcast from a station", 1, &after, &[0, 2]),
    ])?;
    let entries = t.lab().subject().fdb();
    ensure(entries.iter().all(|entry| entry.mac != source), || "the source was learned".to_owned())
}
