//! The way of one frame: parse → port → vlan → guard → learn → respond → lookup → multicast. Read this
//! first.
//!
//! `decide` only reads. What it finds out is a [`Decision`], which the hook's `act` carries out: learn, count, deliver.
//! So a frame that the XDP program passes up to the tc program behind it is decided twice and carried out once, and
//! a trace (`trace.rs`) is a decision that nobody carries out.

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey, Learn};
use vswitch_common::frame::{Arp, Ethernet, ethertype};
use vswitch_common::mac::MacAddr;
use vswitch_common::multicast::{GroupKey, Kind};
use vswitch_common::nd::Message;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::{DropReason, Packed, Verdict};
use vswitch_common::vlan::Tag;

use crate::flood::List;
use crate::packet::Frame;
use crate::{clock, guard, learn, lookup, multicast, parse, port, respond, vlan};

/// The port a frame came in by.
#[derive(Clone, Copy)]
pub(crate) struct Ingress {
    pub(crate) id: PortId,
    pub(crate) config: &'static PortConfig,
}

/// How far a frame came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Refused: nothing is learned from it.
    Refused,
    /// The other hook decides.
    Left,
    /// Admitted.
    Admitted,
}

/// What was read from a frame, and what is to become of it.
///
/// It lies in per-CPU map memory between `decide` and `act`. What is there is any number to the verifier, so that all ways
/// through `decide` meet before `act` and their costs add up instead of multiplying (ADR 0009). There is no pointer in it,
/// which could not be followed any more.
#[derive(Clone, Copy)]
pub(crate) struct Decision {
    pub(crate) standing: Standing,
    pub(crate) ingress: PortId,
    pub(crate) domain: DomainId,
    pub(crate) vid: u16,
    pub(crate) tag: Tag,
    pub(crate) ethernet: Ethernet,
    pub(crate) arp: Arp,
    pub(crate) nd: Message,
    pub(crate) multicast: Kind,
    pub(crate) group: GroupKey,
    pub(crate) now_ns: u64,
    pub(crate) lesson: Lesson,
    pub(crate) verdict: Packed,
    pub(crate) list: List,
}

impl Decision {
    /// Nothing known of a frame yet.
    pub(crate) const EMPTY: Self = Self {
        standing: Standing::Refused,
        ingress: PortId::NOBODY,
        domain: DomainId(0),
        vid: 0,
        tag: Tag::NONE,
        ethernet: Ethernet { destination: MacAddr::ZERO, source: MacAddr::ZERO, ethertype: 0 },
        arp: Arp::NONE,
        nd: Message::NONE,
        multicast: Kind::Other,
        group: GroupKey::routers(DomainId(0), 0),
        list: List::NOBODY,
        now_ns: 0,
        lesson: Lesson { learn: Learn::Keep, entry: FdbEntry::NONE },
        verdict: Packed::UNDECIDED,
    };

    /// The FDB key of an address in the frame's domain.
    #[inline(always)]
    pub(crate) fn key(&self, mac: MacAddr) -> FdbKey {
        FdbKey::new(self.domain, mac)
    }

    #[inline(always)]
    fn refuse(&mut self, reason: DropReason) {
        self.standing = Standing::Refused;
        self.verdict = Verdict::Drop(reason).pack();
    }
}

/// What the source teaches, and the entry that said otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Lesson {
    pub(crate) learn: Learn,
    pub(crate) entry: FdbEntry,
}

/// Decides about a frame and changes nothing but the decision.
#[inline(always)]
pub(crate) fn decide(frame: &impl Frame, decision: &mut Decision) {
    let ingress = port::ingress(frame);
    decision.ingress = ingress.id;
    decision.multicast = Kind::Other;
    let headers = match parse::headers(frame) {
        Ok(headers) => headers,
        Err(reason) => return decision.refuse(reason),
    };
    decision.ethernet = headers.ethernet;
    decision.tag = headers.tag;
    if frame.is_left_to_tc(&headers) {
        decision.standing = Standing::Left;
        return;
    }
    if let Err(reason) = admit(frame, ingress, &headers, decision) {
        return decision.refuse(reason);
    }
    decision.standing = Standing::Admitted;
    decision.lesson = learn::lesson(decision, ingress);
    if decision.lesson.learn == Learn::Refuse {
        decision.verdict = Verdict::Drop(DropReason::Flapping).pack();
        return;
    }
    decision.verdict = respond::answer(decision, ingress);
    if !decision.verdict.is_decided() {
        decision.verdict = lookup::destination(decision, ingress);
    }
}

/// Says who gets a flood, and narrows it down to those who want it if it is multicast: the last stage. One for the tc hook, which
/// floods, and apart, for it begins where all ways through [`decide`] have met.
#[inline(always)]
pub(crate) fn narrow(frame: &impl Frame, decision: &mut Decision) {
    let destination = decision.ethernet.destination;
    if !matches!(decision.verdict.unpack(), Verdict::Flood(_)) {
        return;
    }
    decision.list = List::of_network(port::of(decision.ingress));
    if destination.is_group() && !destination.is_broadcast() {
        multicast::look(frame, decision);
        multicast::narrow(decision);
    }
}

/// The stages that may refuse a frame. Nothing is learned from one that they refuse.
#[inline(always)]
fn admit(
    frame: &impl Frame,
    ingress: Ingress,
    headers: &parse::Headers,
    decision: &mut Decision,
) -> Result<(), DropReason> {
    let now_ns = clock::now_ns();
    port::admit(&ingress, &headers.ethernet, now_ns)?;
    decision.vid = vlan::classify(&ingress, headers.tag)?;
    decision.domain = vswitch_common::vlan::domain(ingress.config, decision.vid);
    // Most frames are neither: zeros for a message that is none would be written octet by octet, and nobody reads them.
    decision.arp.clear();
    if headers.ethernet.ethertype == ethertype::ARP {
        decision.arp = parse::arp(frame, headers);
    }
    decision.nd.clear();
    if parse::may_be_nd(frame, headers) {
        decision.nd = parse::nd(frame, headers);
    }
    guard::admit(frame, &ingress, headers, decision)?;
    // A VLAN-unaware network carries tagged frames untouched: whose addresses these are is not for it to say.
    if decision.vid == 0 && headers.tag.is_some() {
        decision.arp.clear();
        decision.nd.clear();
    }
    decision.now_ns = now_ns;
    Ok(())
}
