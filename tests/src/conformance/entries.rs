//! Rows about how long stations are known, entries that were configured, and flushing.

use std::time::{Duration, Instant};

use vswitch_common::mac::MacAddr;

use super::forwarding::STATION;
use super::trial::Case;
use super::{Answer, Candidate, Row, Trial, ensure};
use crate::lab::PortOptions;
use crate::switch::NetworkOptions;
use crate::wait::poll;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "A station that is silent for the ageing time is unknown; only its own frames keep it known",
        source: "802.1D 7.9.2, 802.1Q 8.8.3",
        run: ageing,
    },
    Row {
        behaviour: "Another ageing time counts at once for those who are known",
        source: "802.1D 7.9.2, 14.7.1",
        run: live_ageing,
    },
    Row {
        behaviour: "A configured station is reached before it speaks and however long it is silent",
        source: "802.1D 7.9.1, 802.1Q 8.8.1",
        run: configured,
    },
    Row {
        behaviour: "A configured entry is not changed by learning (vswitch, Linux: if sticky)",
        source: "802.1D 7.8, 802.1Q 8.7",
        run: sticky,
    },
    Row {
        behaviour: "Who was behind a link that went down is unknown at once",
        source: "802.1D 17.11, Linux",
        run: link_down,
    },
    Row {
        behaviour: "Who was behind a port that was removed is unknown, also when the link is a port again",
        source: "Linux",
        run: port_removed,
    },
];

/// The least ageing time that leaves room to look twice, or the least that the switch takes.
fn least_ageing(t: &Trial) -> Duration {
    Duration::from_secs(if t.candidate() == Candidate::Ovs { 15 } else { 3 })
}

fn ageing(t: &mut Trial) -> Answer {
    let age = least_ageing(t);
    let options = NetworkOptions { ageing: Some(age), ..NetworkOptions::default() };
    t.connect(&options, vec![PortOptions::default(); 3])?;
    let (silent, speaks) = (t.broadcast(0), t.broadcast(1));
    let start = Instant::now();
    t.check(&[
        Case::unchanged("a broadcast", 0, &silent, &[1, 2]),
        Case::unchanged("a broadcast", 1, &speaks, &[0, 2]),
    ])?;
    t.wait_until(start, age.mul_f64(0.55));
    let (again, to) = (t.broadcast(1), t.frame(2, t.mac(0)));
    t.check(&[
        Case::unchanged("a broadcast", 1, &again, &[0, 2]),
        Case::unchanged("before the time", 2, &to, &[0]),
    ])?;
    // Open vSwitch looks for the silent once a second.
    let slack = Duration::from_millis(if t.candidate() == Candidate::Ovs { 2000 } else { 400 });
    t.wait_until(start, age + slack);
    let (to_speaker, to_silent) = (t.frame(2, t.mac(1)), t.frame(2, t.mac(0)));
    t.check(&[
        Case::unchanged("to the one who spoke again", 2, &to_speaker, &[1]),
        Case::unchanged("to the silent one after the time", 2, &to_silent, &[0, 1]),
    ])
}

fn live_ageing(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let said = t.broadcast(0);
    t.check(&[Case::unchanged("a broadcast", 0, &said, &[1, 2])])?;
    std::thread::sleep(Duration::from_millis(1300));
    let network = t.network();
    t.lab().subject().set_ageing(&network, Duration::from_secs(1));
    let to = t.frame(1, t.mac(0));
    t.check(&[Case::unchanged("after more than the new time, 1 s", 1, &to, &[0, 2])])
}

fn configured(t: &mut Trial) -> Answer {
    let age = least_ageing(t);
    let options = NetworkOptions { ageing: Some(age), ..NetworkOptions::default() };
    t.connect(&options, vec![PortOptions::default(); 3])?;
    add_entry(t, STATION, 1);
    let to = t.frame(0, STATION);
    t.check(&[Case::unchanged("before it spoke", 0, &to, &[1])])?;
    std::thread::sleep(age + Duration::from_millis(1200));
    let to = t.frame(0, STATION);
    t.check(&[Case::unchanged("after the ageing time", 0, &to, &[1])])
}

fn add_entry(t: &mut Trial, mac: MacAddr, number: usize) {
    let port = t.port(number);
    t.lab().subject().add_entry(mac, &port, true);
}

fn sticky(t: &mut Trial) -> Answer {
    t.plain(3)?;
    add_entry(t, STATION, 1);
    let (said, to) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame(2, STATION));
    t.check(&[
        Case::unchanged("a broadcast from it at another port", 0, &said, &[1, 2]),
        Case::unchanged("a frame to it", 2, &to, &[1]),
    ])
}

fn link_down(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let (said, to) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame(1, STATION));
    t.check(&[Case::unchanged("a broadcast", 0, &said, &[1, 2]), Case::unchanged("before", 1, &to, &[0])])?;
    t.host(0).namespace().ip(&["link set dev eth0 down"]);
    let is_gone = |t: &mut Trial| t.lab().subject().fdb().iter().all(|entry| entry.mac != STATION);
    let gone = poll(Duration::from_secs(2), || is_gone(t).then_some(()));
    let to = t.frame(1, STATION);
    let answer = t.check(&[Case::unchanged("a frame to it", 1, &to, &[2])]);
    t.host(0).namespace().ip(&["link set dev eth0 up"]);
    ensure(gone.is_some(), || "it is still in the table after 2 s".to_owned()).and(answer)
}

fn port_removed(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let (said, to) = (t.frame_of(STATION, MacAddr::BROADCAST), t.frame(1, STATION));
    t.check(&[Case::unchanged("a broadcast", 0, &said, &[1, 2]), Case::unchanged("before", 1, &to, &[0])])?;
    let (port, network) = (t.port(0), t.network());
    t.lab().subject().delete_port(&port);
    let to = t.frame(1, STATION);
    t.check(&[Case::unchanged("without the port", 1, &to, &[2])])?;
    t.lab().add_port(&port, PortOptions::network(&network));
    let to = t.frame(1, STATION);
    t.check(&[Case::unchanged("with the port again", 1, &to, &[0, 2])])
}
