//! Rows about ARP and neighbour discovery, and about groups that all hosts must hear.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::thread::sleep;
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use super::trial::Case;
use super::{Answer, Finding, Row, Trial};
use crate::frame::{self, ArpPacket};

pub(super) const ROWS: &[Row] = &[
    Row {
        behaviour: "A request for a host that said its address is answered without disturbing others",
        source: "RFC 826, RFC 1027",
        run: known,
    },
    Row { behaviour: "A request for nobody known reaches all others once", source: "RFC 826", run: nobody },
    Row {
        behaviour: "A probe for a taken address reaches all, and nobody answers for its owner",
        source: "RFC 5227 2.1",
        run: probe,
    },
    Row {
        behaviour: "Announcements and gratuitous replies reach all",
        source: "RFC 5227 2.3, 3",
        run: announcement,
    },
    Row {
        behaviour: "A request to one host goes to it, and nobody answers for it",
        source: "RFC 1122 2.3.2.1",
        run: unicast_request,
    },
    Row {
        behaviour: "A solicitation for a host that said its address is answered without disturbing others",
        source: "RFC 4861 7.2.8",
        run: known_v6,
    },
    Row {
        behaviour: "A solicitation for nobody known reaches all others once",
        source: "RFC 4861 7.2.2",
        run: nobody_v6,
    },
    Row {
        behaviour: "Duplicate address detection reaches all, and nobody answers for the owner",
        source: "RFC 4862 5.4",
        run: duplicate_detection,
    },
    Row {
        behaviour: "224.0.0.x and ff02::1 reach every port, whoever joined",
        source: "RFC 4541 2.1.2, 3",
        run: link_local_groups,
    },
];

const ASKER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const OWNER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 250);
const ASKER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const OWNER_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
const NOBODY_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0xdead);

/// How often a question for a host that has said its address is asked, until the answer comes from the switch: a
/// controller may know a moment later.
const TRIES: usize = 12;

fn is_arp(operation: u16) -> impl Fn(&[u8]) -> bool {
    move |frame| frame::arp_of(frame).is_some_and(|arp| arp.operation == operation)
}

fn is_nd(kind: u8) -> impl Fn(&[u8]) -> bool {
    move |frame| {
        let payload = frame::payload_of(frame).unwrap_or_default();
        frame::ethertype_of(frame) == Some(frame::IPV6)
            && payload.get(6) == Some(&58)
            && payload.get(40) == Some(&kind)
    }
}

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// Three plain ports; station 1 has said its addresses.
fn acquainted(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let owner = t.mac(1);
    t.host(1).inject(&frame::gratuitous_arp((owner, OWNER)));
    let to_all = (MacAddr::BROADCAST, ASKER_V6);
    t.host(1).inject(&frame::ip::advertisement_of(OWNER_V6, (owner, OWNER_V6), to_all));
    t.hear("what it says", is_arp(1), &[1, 0, 1])?;
    t.hear("what it says", is_nd(ADVERTISEMENT), &[1, 0, 1])?;
    t.clear();
    Ok(())
}

/// Asks until the switch answers the question alone.
fn answered(
    t: &Trial,
    question: &[u8],
    is_question: impl Fn(&[u8]) -> bool,
    is_answer: impl Fn(&[u8]) -> bool,
) -> Answer {
    let mut heard = Vec::new();
    for _ in 0..TRIES {
        t.clear();
        t.host(0).inject(question);
        sleep(Duration::from_millis(250));
        heard = t.counts(&is_question);
        if heard == [0, 0, 0] && t.counts(&is_answer) == [1, 0, 0] {
            return Ok(());
        }
    }
    let others = heard.iter().sum::<usize>();
    Err(Finding::Differs(format!("the question reaches {others} hosts")))
}

fn known(t: &mut Trial) -> Answer {
    acquainted(t)?;
    let (asker, owner) = (t.mac(0), t.mac(1));
    let tells =
        |frame: &[u8]| frame::arp_of(frame).is_some_and(|arp| arp.is_reply() && arp.sender == (owner, OWNER));
    answered(t, &frame::arp_request((asker, ASKER), OWNER), is_arp(1), tells)
}

fn nobody(t: &mut Trial) -> Answer {
    t.plain(3)?;
    t.host(0).inject(&frame::arp_request((t.mac(0), ASKER), NOBODY));
    t.hear("the request", is_arp(1), &[0, 1, 1])?;
    t.hear("a reply", is_arp(2), &[0, 0, 0])
}

fn probe(t: &mut Trial) -> Answer {
    acquainted(t)?;
    t.host(0).inject(&frame::arp_probe(t.mac(0), OWNER));
    t.hear("the probe", is_arp(1), &[0, 1, 1])?;
    t.hear("a reply", is_arp(2), &[0, 0, 0])
}

fn announcement(t: &mut Trial) -> Answer {
    acquainted(t)?;
    let asker = (t.mac(0), ASKER);
    t.host(0).inject(&frame::gratuitous_arp(asker));
    t.hear("the announcement", is_arp(1), &[0, 1, 1])?;
    let reply = ArpPacket { operation: 2, sender: asker, target: asker };
    t.host(0).inject(&reply.frame(MacAddr::BROADCAST));
    t.hear("the gratuitous reply", is_arp(2), &[0, 1, 1])
}

fn unicast_request(t: &mut Trial) -> Answer {
    acquainted(t)?;
    let mut request = frame::arp_request((t.mac(0), ASKER), OWNER);
    request[..6].copy_from_slice(&t.mac(1).octets());
    t.host(0).inject(&request);
    t.hear("the request", is_arp(1), &[0, 1, 0])?;
    t.hear("a reply", is_arp(2), &[0, 0, 0])
}

fn known_v6(t: &mut Trial) -> Answer {
    acquainted(t)?;
    let question = frame::neighbour_solicitation((t.mac(0), ASKER_V6), OWNER_V6);
    answered(t, &question, is_nd(SOLICITATION), is_nd(ADVERTISEMENT))
}

fn nobody_v6(t: &mut Trial) -> Answer {
    t.plain(3)?;
    t.host(0).inject(&frame::neighbour_solicitation((t.mac(0), ASKER_V6), NOBODY_V6));
    t.hear("the solicitation", is_nd(SOLICITATION), &[0, 1, 1])?;
    t.hear("an advertisement", is_nd(ADVERTISEMENT), &[0, 0, 0])
}

fn duplicate_detection(t: &mut Trial) -> Answer {
    acquainted(t)?;
    t.host(0).inject(&frame::neighbour_solicitation((t.mac(0), Ipv6Addr::UNSPECIFIED), OWNER_V6));
    t.hear("the solicitation", is_nd(SOLICITATION), &[0, 1, 1])?;
    t.hear("an advertisement", is_nd(ADVERTISEMENT), &[0, 0, 0])
}

fn link_local_groups(t: &mut Trial) -> Answer {
    t.plain(3)?;
    let groups = [[1, 0, 0x5e, 0, 0, 1], [1, 0, 0x5e, 0, 0, 251], [0x33, 0x33, 0, 0, 0, 1]];
    let frames = groups.map(|group| t.frame(0, MacAddr::from_octets(group)));
    t.check(&frames.map(|frame| Case::unchanged("a frame to the group", 0, &frame, &[1, 2])))
}
