//! Rows about multicast groups: who gets what, while somebody asks who wants what. Station 0 sends, 1 is a member, 2 wants
//! nothing, 3 asks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::thread::sleep;
use std::time::{Duration, Instant};

use vswitch::api::types::MulticastMode;
use vswitch::multicast::{Asker, Settings, frame as query_frame};
use vswitch_common::membership::{Family, Group};

use super::{Answer, Row, Trial};
use crate::frame::membership::{Version, report};
use crate::frame::{internet_checksum, ip};
use crate::traffic::multicast::mac_of;

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "While somebody asks, a group reaches its members and the one who asks",
        source: "RFC 4541 2.1.2 (1), 3",
        run: members,
    },
    Row {
        behaviour: "So does one that was joined by a host of the older version (IGMPv2, MLDv1)",
        source: "RFC 4541 2.1.1, RFC 3376 7.3",
        run: older_members,
    },
    Row {
        behaviour: "A group that nobody joined reaches the one who asks alone",
        source: "RFC 4541 2.1.2 (3)",
        run: unwanted,
    },
    Row {
        behaviour: "Reports go to the one who asks alone: a host that hears another's would keep silent",
        source: "RFC 4541 2.1.1 (1)",
        run: reports,
    },
    Row { behaviour: "Questions reach all", source: "RFC 3376 4.1.12, RFC 3810 5.1.15", run: questions },
    Row {
        behaviour: "Who left gets the group no longer, once asked about it in vain",
        source: "RFC 2236 3, RFC 4541 2.1.1",
        run: left,
    },
    Row {
        behaviour: "224.0.0.x and ff02::1 reach all even so",
        source: "RFC 4541 2.1.2 (2), 3",
        run: of_the_link,
    },
    Row {
        behaviour: "Groups of neighbour discovery (ff02::1:ffxx:xxxx) reach all even so",
        source: "RFC 4861 7.2.2: no address without them",
        run: solicited_node,
    },
    Row {
        behaviour: "Without anybody who asks a group reaches all, whoever joined",
        source: "RFC 4541 2.1.1: memberships are kept while there is a querier",
        run: nobody_asks,
    },
];

/// What is joined.
pub(super) const GROUP_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 1, 2, 3));
pub(super) const GROUP_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 1, 2, 3));
/// What nobody joins.
const OTHER_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(239, 9, 9, 9));
const OTHER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 9, 9, 9));

/// How long a switch may take until it has seen enough to prune: a question, the time to answer it, and a moment.
const SETTLED: Duration = Duration::from_secs(6);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);

/// Of the datagrams.
const PORT: u16 = 7_777;

/// A frame with IPv4, router alert and IGMPv2, without padding.
const SHORTEST: usize = 46;
/// In such a frame.
const HEADER_V4: Range<usize> = 14..38;
const CHECKSUM_V4: Range<usize> = 24..26;
const SOURCE_V4: Range<usize> = 26..30;

const STATIONS: usize = 4;
const MEMBER: usize = 1;
const ASKER: usize = 3;

/// Address of a station in a family.
fn address(station: usize, family: Family) -> IpAddr {
    let last = station as u16 + 1;
    match family {
        Family::V4 => Ipv4Addr::new(10, 77, 0, last as u8).into(),
        Family::V6 => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last).into(),
    }
}

fn family(group: IpAddr) -> Family {
    if group.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// A question about a group, or about all, to be answered within a second.
fn question(family: Family, about: Option<IpAddr>) -> Vec<u8> {
    let asker = Asker::new(0x5a5a_5a5a, 7);
    let (mode, link_local) = (MulticastMode::Auto, asker.link_local());
    let settings = Settings { mode, is_querier: true, interval_s: 60, response_s: 1, link_local };
    let about = about.and_then(|group| match group {
        IpAddr::V4(group) => Group::new(family, &group.octets()),
        IpAddr::V6(group) => Group::new(family, &group.octets()),
    });
    let mut frame = query_frame(asker, family, about, &settings);
    if let IpAddr::V4(from) = address(ASKER, family) {
        // A switch may take one from 0.0.0.0 for no router's (RFC 4541 section 2.1.1), and Open vSwitch does.
        frame[SOURCE_V4].copy_from_slice(&from.octets());
        frame[CHECKSUM_V4].fill(0);
        let sum = internet_checksum(&[&frame[HEADER_V4]]);
        frame[CHECKSUM_V4].copy_from_slice(&sum.to_be_bytes());
    }
    frame
}

/// What the member says about a group.
fn said(t: &Trial, version: Version, group: IpAddr, joins: bool) -> Vec<u8> {
    report(version, (t.mac(MEMBER), address(MEMBER, family(group))), group, joins)
}

/// Four plain ports of a network that snoops.
fn snooping(t: &mut Trial) -> Answer {
    t.plain(4)?;
    let network = t.network();
    t.lab().subject().snoop(&network);
    Ok(())
}

/// A datagram of station 0 for a group; no two are alike.
fn stream(t: &mut Trial, group: IpAddr) -> Vec<u8> {
    let (mac, to, data) = (t.mac(0), mac_of(group), t.mark().to_be_bytes());
    match (address(0, family(group)), group) {
        (IpAddr::V4(from), IpAddr::V4(group)) => ip::ipv4_udp((mac, from, PORT), (to, group, PORT), &data),
        (IpAddr::V6(from), IpAddr::V6(group)) => ip::ipv6_udp((mac, from, PORT), (to, group, PORT), &data),
        _ => unreachable!("the address is of the group's family"),
    }
}

/// Sends a frame, which should reach just these stations, once each and unchanged.
fn reaches(t: &Trial, what: &str, from: usize, frame: &[u8], expected: &[usize]) -> Answer {
    let counts: Vec<usize> = (0..STATIONS).map(|number| usize::from(expected.contains(&number))).collect();
    t.clear();
    t.host(from).inject(frame);
    // The Linux bridge cuts padding off (net/ipv4/igmp.c, ip_mc_check_iphdr).
    t.hear(what, |heard| heard.len() >= SHORTEST && frame.starts_with(heard), &counts)
}

/// Sends datagrams for a group, each after `before`, until one reaches just these stations.
fn settle(t: &mut Trial, group: IpAddr, expected: &[usize], before: impl Fn(&Trial)) -> Answer {
    let start = Instant::now();
    loop {
        before(t);
        let frame = stream(t, group);
        let answer = reaches(t, "a datagram", 0, &frame, expected);
        if answer.is_ok() || start.elapsed() > SETTLED {
            return answer;
        }
        sleep(PAUSE);
    }
}

/// The member joins both groups while the asker asks.
fn joined(t: &mut Trial, version: Version) -> Answer {
    snooping(t)?;
    for group in [GROUP_V4, GROUP_V6] {
        settle(t, group, &[MEMBER, ASKER], |t| {
            t.host(ASKER).inject(&question(family(group), None));
            t.host(MEMBER).inject(&said(t, version, group, true));
        })?;
    }
    Ok(())
}

fn members(t: &mut Trial) -> Answer {
    joined(t, Version::New)
}

fn older_members(t: &mut Trial) -> Answer {
    joined(t, Version::Old)
}

fn unwanted(t: &mut Trial) -> Answer {
    joined(t, Version::New)?;
    settle(t, OTHER_V4, &[ASKER], |_| {})?;
    settle(t, OTHER_V6, &[ASKER], |_| {})
}

fn reports(t: &mut Trial) -> Answer {
    joined(t, Version::New)?;
    for version in [Version::Old, Version::New] {
        for group in [GROUP_V4, GROUP_V6] {
            reaches(t, "a report", MEMBER, &said(t, version, group, true), &[ASKER])?;
        }
    }
    Ok(())
}

fn questions(t: &mut Trial) -> Answer {
    joined(t, Version::New)?;
    for family in [Family::V4, Family::V6] {
        reaches(t, "a question", ASKER, &question(family, None), &[0, 1, 2])?;
    }
    Ok(())
}

fn left(t: &mut Trial) -> Answer {
    joined(t, Version::Old)?;
    for group in [GROUP_V4, GROUP_V6] {
        t.host(MEMBER).inject(&said(t, Version::Old, group, false));
        for _ in 0..2 {
            t.host(ASKER).inject(&question(family(group), Some(group)));
            sleep(PAUSE);
        }
        settle(t, group, &[ASKER], |_| {})?;
    }
    Ok(())
}

/// While it prunes, the switch lets these groups through to all.
fn kept(t: &mut Trial, groups: &[&str]) -> Answer {
    joined(t, Version::New)?;
    for group in groups {
        let frame = stream(t, group.parse().expect("a group"));
        reaches(t, group, 0, &frame, &[1, 2, 3])?;
    }
    Ok(())
}

fn of_the_link(t: &mut Trial) -> Answer {
    kept(t, &["224.0.0.1", "224.0.0.251", "ff02::1"])
}

fn solicited_node(t: &mut Trial) -> Answer {
    kept(t, &["ff02::1:ff12:3456"])
}

fn nobody_asks(t: &mut Trial) -> Answer {
    snooping(t)?;
    for group in [GROUP_V4, GROUP_V6] {
        t.host(MEMBER).inject(&said(t, Version::New, group, true));
    }
    sleep(SETTLED / 3);
    for group in [GROUP_V4, GROUP_V6] {
        let frame = stream(t, group);
        reaches(t, "a datagram", 0, &frame, &[1, 2, 3])?;
    }
    Ok(())
}
