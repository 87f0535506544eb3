//! What each stage of a trace says, in words.

use vswitch_common::fdb::{FdbEntry, entry_flag};
use vswitch_common::frame::ethertype;
use vswitch_common::mac::MacAddr;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::trace::{Ending, Lesson, Reach};
use vswitch_common::verdict::{DropReason, Verdict};
use vswitch_common::vlan::{Form, Tag};

use super::Sight;
use crate::api::types::Hook;

impl Sight<'_> {
    fn name(&self, port: PortId) -> String {
        self.controller.link_name(port)
    }

    fn config(&self, port: PortId) -> PortConfig {
        self.controller.datapath.port(port).unwrap_or(PortConfig::FREE)
    }

    fn tag(&self) -> Tag {
        Tag { tpid: self.record.tpid, tci: self.record.tci }
    }

    /// Whether the hook looked further than at the headers.
    fn is_seen(&self) -> bool {
        self.record.reach() != Reach::Left
    }

    fn is_decided(&self) -> bool {
        self.record.reach() == Reach::Decided
    }

    /// Where an entry points, what it is, and for how long it has been silent.
    fn place(&self, mac: MacAddr, entry: &FdbEntry) -> String {
        let kind = match entry.flags {
            flags if flags & entry_flag::LOCAL != 0 => "local".to_owned(),
            flags if flags & entry_flag::STICKY != 0 => "sticky".to_owned(),
            flags if flags & entry_flag::STATIC != 0 => "static".to_owned(),
            _ => {
                format!("dynamic, {:.1} s", self.record.now_ns.saturating_sub(entry.seen_ns) as f64 / 1e9)
            }
        };
        format!("{mac} is behind {} ({kind})", self.name(PortId(entry.port)))
    }
}

/// What the headers say.
pub(super) fn parse(sight: &Sight<'_>) -> Option<String> {
    let protocol = match sight.record.ethertype {
        ethertype::IPV4 => "IPv4".to_owned(),
        ethertype::IPV6 => "IPv6".to_owned(),
        ethertype::ARP => "ARP".to_owned(),
        other => format!("type {other:#06x}"),
    };
    let tag = match (sight.tag(), sight.hook) {
        (tag, _) if !tag.is_some() => "untagged".to_owned(),
        (tag, hook) => {
            let place = if hook == Hook::Tc { "in metadata" } else { "in the frame" };
            format!("tag {:#06x} of VLAN {} {place}", tag.tpid, tag.vid())
        }
    };
    let (from, to) = (sight.header.source, sight.header.destination);
    Some(format!("{from} to {to}, {protocol}, {tag}, {} bytes", sight.bytes))
}

/// Whose link it is.
pub(super) fn port(sight: &Sight<'_>) -> Option<String> {
    sight.is_seen().then(|| {
        let port = PortId(sight.record.ingress);
        let network = sight.controller.state.ports.get(&port.0).map_or("", |state| state.network.as_str());
        format!("{}, slot {} of network {network}, forwards", sight.name(port), port.0)
    })
}

/// Which VLAN it is in.
pub(super) fn vlan(sight: &Sight<'_>) -> Option<String> {
    let vid = sight.record.vid;
    sight.is_seen().then(|| match (vid, sight.tag().is_some()) {
        (0, _) => "the network is not VLAN-aware: tags stay as they are".to_owned(),
        (_, true) if sight.tag().vid() == vid => format!("VLAN {vid}, by its tag"),
        _ => format!("VLAN {vid}, the port's for untagged frames"),
    })
}

/// Whether the port may say this.
pub(super) fn guard(sight: &Sight<'_>) -> Option<String> {
    let guarded = sight.config(PortId(sight.record.ingress)).has(flag::GUARDED);
    let said = if guarded { "the addresses are the port's own" } else { "the port is not guarded" };
    sight.is_seen().then(|| said.to_owned())
}

/// What the source teaches.
pub(super) fn learn(sight: &Sight<'_>) -> Option<String> {
    if !sight.is_decided() {
        return None;
    }
    let (from, entry) = (sight.header.source, &sight.record.source);
    let ingress = PortId(sight.record.ingress);
    let learns = sight.config(ingress).has(flag::LEARNING);
    Some(match Lesson::from_number(sight.record.lesson) {
        Lesson::Keep if !learns => "the port does not learn".to_owned(),
        Lesson::Keep => format!("{}, which stands", sight.place(from, entry)),
        Lesson::Refresh => format!("{}, would be marked as heard", sight.place(from, entry)),
        Lesson::Insert => format!("{from} is new, would be learned at {}", sight.name(ingress)),
        Lesson::Move if PortId(entry.port) == ingress => {
            format!("{from} was forgotten by a flush, would be learned at {}", sight.name(ingress))
        }
        Lesson::Move => {
            format!("{}, would move to {}", sight.place(from, entry), sight.name(ingress))
        }
        Lesson::NoRoom => format!("{from} would not be learned: table or port is at its limit"),
    })
}

/// Whether the switch answers.
pub(super) fn respond(sight: &Sight<'_>) -> Option<String> {
    if !sight.is_decided() {
        return None;
    }
    Some(match sight.record.verdict().unpack() {
        Verdict::Answer(owner) => format!("the target is known → answer for {owner}"),
        Verdict::Punt(_) => "an ARP request for somebody unknown → punt to the controller".to_owned(),
        _ if sight.record.is_question != 0 => {
            "a question that nobody here can answer, so it takes its way".to_owned()
        }
        _ => "no question for the switch".to_owned(),
    })
}

/// Where the destination is.
pub(super) fn lookup(sight: &Sight<'_>) -> Option<String> {
    if !sight.is_decided() {
        return None;
    }
    let (to, entry) = (sight.header.destination, &sight.record.destination);
    let found = if to.is_group() {
        format!("{to} is a group address")
    } else if to == sight.header.source {
        format!("{to} is the sender itself")
    } else if entry.is_some() {
        sight.place(to, entry)
    } else {
        format!("{to} is unknown")
    };
    match sight.record.verdict().unpack() {
        Verdict::Answer(_) | Verdict::Punt(_) => None,
        Verdict::Forward(port, tag) => {
            Some(format!("{found} → forward to {}, {}", sight.name(port), said_form(tag)))
        }
        Verdict::Flood(_) if entry.is_some() && !to.is_group() => {
            Some(format!("{found}, but aged or void → flood"))
        }
        Verdict::Flood(_) => Some(format!("{found} → flood")),
        Verdict::Group(..) => Some(format!("{found} → to those who want it, `vswitch mdb show` lists them")),
        Verdict::Local => Some(format!("{found} → to the host")),
        Verdict::Drop(reason) => Some(format!("{found} → {}", refusal(reason))),
    }
}

/// What the hook does about it.
pub(super) fn act(sight: &Sight<'_>) -> Option<String> {
    let verdict = sight.record.verdict().unpack();
    Some(match (sight.record.ending(), verdict) {
        (Ending::PassedUp, _) => "pass up to tc, untouched and uncounted".to_owned(),
        (Ending::Dropped, Verdict::Forward(port, _)) => {
            let mtu = sight.config(port).mtu;
            let reason = sight.record.drop_reason().unwrap_or(DropReason::TooBig);
            format!("{}: {} has an MTU of {mtu}", refusal(reason), sight.name(port))
        }
        (Ending::Dropped, _) => refusal(sight.record.drop_reason().unwrap_or(DropReason::Malformed)),
        (Ending::IntoPeer, Verdict::Forward(port, _)) => {
            format!("straight into the peer of {}", sight.name(port))
        }
        (_, Verdict::Forward(port, _)) => format!("out of {}", sight.name(port)),
        (_, Verdict::Flood(_) | Verdict::Group(..)) => copies(sight),
        (_, Verdict::Answer(_)) => format!("the reply goes out of {}", sight.name(sight.port)),
        (_, Verdict::Punt(_)) => "to the controller, which floods it or knows better".to_owned(),
        (_, Verdict::Local) => "up the host's stack".to_owned(),
        (_, Verdict::Drop(reason)) => refusal(reason),
    })
}

fn copies(sight: &Sight<'_>) -> String {
    let to = sight.deliveries.iter().map(|copy| match copy.tag.as_str() {
        "untouched" => copy.port.clone(),
        "untagged" => format!("{} (untagged)", copy.port),
        vid => format!("{} (tag {vid})", copy.port),
    });
    let not = sight.withheld.iter().map(|port| format!("{} ({})", port.port, port.reason));
    let (to, not): (Vec<_>, Vec<_>) = (to.collect(), not.collect());
    let but = if not.is_empty() { String::new() } else { format!("; none to {}", not.join(", ")) };
    format!("copies to {}{but}", to.join(", "))
}

/// A form, for programs.
pub(super) fn form(form: Form) -> String {
    match form {
        Form::UNTOUCHED => "untouched".to_owned(),
        Form::UNTAGGED => "untagged".to_owned(),
        Form(vid) => vid.to_string(),
    }
}

fn said_form(form: Form) -> String {
    match form {
        Form::UNTOUCHED => "as it is".to_owned(),
        Form::UNTAGGED => "untagged".to_owned(),
        Form(vid) => format!("with a tag of VLAN {vid}"),
    }
}

/// Why a port gets no copy of a flood.
pub(super) fn withheld(reason: DropReason) -> &'static str {
    if reason == DropReason::NobodyToFlood { "no-flood" } else { reason.name() }
}

/// A drop, for people.
pub(super) fn refusal(reason: DropReason) -> String {
    let why = match reason {
        DropReason::Malformed => "shorter than its headers, or in a form that cannot be checked",
        DropReason::InvalidSource => "a group address or zero is no station's",
        DropReason::LinkConstrained => "bridges do not relay to this address",
        DropReason::SamePort => "that is where the frame comes from",
        DropReason::TooBig => "longer than the port takes",
        DropReason::NoPort => "the link is no port",
        DropReason::PortDown => "the port does not forward",
        DropReason::NobodyToFlood => "no other port may have a copy",
        DropReason::EgressFailed => "the kernel refuses it at the egress",
        DropReason::PuntLost => "the controller is too far behind",
        DropReason::PuntLimited => "the port has used up its share of the controller's time",
        DropReason::Isolated => "both ports are isolated",
        DropReason::InvalidVlan => "no VLAN for such frames",
        DropReason::VlanNotAllowed => "the port is no member of the VLAN",
        DropReason::SpoofedMac => "the port was not given this MAC address",
        DropReason::SpoofedIp => "the port was not given this IP address",
        DropReason::RogueServer => "only trusted ports may be a DHCP server or router",
        DropReason::StormBroadcast => "the port is at its limit for broadcasts",
        DropReason::StormMulticast => "the port is at its limit for multicasts",
        DropReason::StormUnknown => "the port is at its limit for unknown unicast",
        DropReason::Quarantined => "the port is quarantined: stations flapped there",
        DropReason::Flapping => "the station flapped and is pinned to another port",
        DropReason::NobodyJoined => {
            "nobody else has joined the group, or no router is there to hear a report"
        }
    };
    format!("drop {}: {why}", reason.name())
}
