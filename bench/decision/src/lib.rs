//! The pure decision put together on the host: the functions of `vswitch-common` in the order in which
//! `switch-ebpf/src/pipeline.rs` asks them, over values that its maps would have given. `by_verdict.rs` times it.
//!
//! Left out are the maps, the kernel's helpers and the carrying out: all of that together is what `verdict-…` of `cargo xtask
//! bench` measures in the kernel. A change that makes a decision slower shows here first, and without root.

use vswitch_common::domain::{DomainId, NetworkId};
use vswitch_common::fdb::{self, FdbEntry, Learn};
use vswitch_common::frame::{ARP_BYTES, Arp, ETHERNET_BYTES, Ethernet, ethertype};
use vswitch_common::guard::{self, Ask};
use vswitch_common::mac::MacAddr;
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::verdict::{DropReason, Packed, Punt, Verdict};
use vswitch_common::vlan::{self, Tag, VlanId, VlanSet};

/// The station that sends.
pub const A: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 1]);
/// The other one.
pub const B: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0, 2]);
/// A's port.
pub const INGRESS: PortId = PortId(1);
/// B's port.
pub const EGRESS: PortId = PortId(2);
const NOW_NS: u64 = 1_000_000_000_000;

/// What the maps would say about a frame.
#[derive(Clone)]
pub struct Known {
    from: PortConfig,
    to: PortConfig,
    vlans: VlanSet,
    source: FdbEntry,
    destination: FdbEntry,
    /// The one IPv4 address that the port was given.
    given: [u8; 4],
}

impl Known {
    /// Two ports of a network, A behind the first and B behind the second.
    #[must_use]
    pub fn two_ports() -> Self {
        let port = PortConfig {
            ageing_ns: 300_000_000_000,
            ifindex: 7,
            flags: flag::FORWARDING | flag::LEARNING | flag::FLOOD | flag::XDP_TARGET,
            epoch: 1,
            mtu: 1500,
            network: NetworkId(1).0,
            domain: DomainId(1).0,
            ..PortConfig::FREE
        };
        Self {
            from: port,
            to: PortConfig { ifindex: 8, ..port },
            vlans: VlanSet::EMPTY,
            source: FdbEntry::dynamic(INGRESS, &port, NOW_NS),
            destination: FdbEntry::dynamic(EGRESS, &port, NOW_NS),
            given: [10, 0, 0, 1],
        }
    }

    /// B is not known.
    #[must_use]
    pub fn with_unknown_destination() -> Self {
        Self { destination: FdbEntry::NONE, ..Self::two_ports() }
    }

    /// B is behind A's port.
    #[must_use]
    pub fn with_both_behind_the_ingress() -> Self {
        let known = Self::two_ports();
        Self { destination: known.source, to: known.from, ..known }
    }

    /// A's port is guarded.
    #[must_use]
    pub fn guarded() -> Self {
        let mut known = Self::two_ports();
        known.from.flags |= flag::GUARDED | flag::GUARDED_IP;
        known.from.guard_mac = A.bits();
        known
    }

    /// Both are trunks of VLAN 10.
    #[must_use]
    pub fn trunks() -> Self {
        let mut known = Self::two_ports();
        for port in [&mut known.from, &mut known.to] {
            port.flags |= flag::VLAN_AWARE | flag::TRUNK;
        }
        known.vlans.insert(VlanId::new(10).expect("10 is one"));
        known
    }
}

/// The verdict, and what the source teaches.
#[must_use]
pub fn decide(frame: &[u8], known: &Known) -> (Packed, Learn) {
    match admit(frame, known) {
        Ok((ethernet, vid, arp)) => {
            let learn = fdb::learn(&known.source, INGRESS, &known.from, NOW_NS);
            (destination(&ethernet, vid, &arp, known), learn)
        }
        Err(reason) => (Verdict::Drop(reason).pack(), Learn::Keep),
    }
}

/// The stages that may refuse a frame.
fn admit(frame: &[u8], known: &Known) -> Result<(Ethernet, u16, Arp), DropReason> {
    let head = frame.first_chunk::<ETHERNET_BYTES>().ok_or(DropReason::Malformed)?;
    let mut ethernet = Ethernet::parse(head);
    let (mut tag, mut at) = (Tag::NONE, ETHERNET_BYTES);
    if Tag::is_tpid(ethernet.ethertype) {
        let [a, b, c, d] = *frame.get(14..).and_then(<[u8]>::first_chunk).ok_or(DropReason::Malformed)?;
        tag = Tag { tpid: ethernet.ethertype, tci: u16::from_be_bytes([a, b]) };
        (ethernet.ethertype, at) = (u16::from_be_bytes([c, d]), at + 4);
    }
    if !known.from.has(flag::FORWARDING) {
        return Err(DropReason::PortDown);
    }
    if !ethernet.source.is_valid_source() {
        return Err(DropReason::InvalidSource);
    }
    if ethernet.destination.is_link_constrained() {
        return Err(DropReason::LinkConstrained);
    }
    let vid = vlan::classify(&known.from, tag, &known.vlans)?;
    let packet = &frame[at..];
    let arp = match packet.first_chunk::<ARP_BYTES>() {
        Some(bytes) if ethernet.ethertype == ethertype::ARP => Arp::parse(bytes),
        _ => Arp::NONE,
    };
    if known.from.has(flag::GUARDED) {
        check(&ethernet, packet, known)?;
    }
    Ok((ethernet, vid, arp))
}

fn check(ethernet: &Ethernet, packet: &[u8], known: &Known) -> Result<(), DropReason> {
    guard::check_mac(&known.from, ethernet.source)?;
    if ethernet.ethertype != ethertype::IPV4 {
        return Ok(());
    }
    let header = packet.first_chunk::<{ guard::IPV4_BYTES }>().ok_or(DropReason::Malformed)?;
    match guard::check_v4(&known.from, header, 0, 0)? {
        Ask::V4(ip) if ip != known.given => Err(DropReason::SpoofedIp),
        _ => Ok(()),
    }
}

/// Where to: to the controller, to everybody, or out of the station's port.
fn destination(ethernet: &Ethernet, vid: u16, arp: &Arp, known: &Known) -> Packed {
    if ethernet.destination.is_broadcast() && arp.is_question() {
        return Verdict::Punt(Punt::UnknownTarget).pack();
    }
    let everybody = Verdict::Flood(vlan::domain(&known.from, vid)).pack();
    if ethernet.destination.is_group() || !fdb::is_current(&known.destination, &known.to, NOW_NS) {
        return everybody;
    }
    let egress = PortId(known.destination.port);
    if let Err(reason) = policy::may_leave((INGRESS, &known.from), (egress, &known.to)) {
        return Verdict::Drop(reason).pack();
    }
    match vlan::leave(&known.to, vid, &known.vlans) {
        Ok(form) => Verdict::Forward(egress, form).pack(),
        Err(reason) => Verdict::Drop(reason).pack(),
    }
}
