//! The way of one frame: parse → port → vlan → guard → learn → respond → lookup. Read this first.
//!
//! `decide` only reads. What it finds out is a [`Decision`], which the hook's `act` carries out: learn, count, deliver.
//! So a frame that the XDP program passes up to the tc program behind it is decided twice and carried out once, and
//! a trace is a decision that nobody carries out.

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey, Learn};
use vswitch_common::frame::{Arp, Ethernet};
use vswitch_common::mac::MacAddr;
use vswitch_common::nd::Message;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::{DropReason, Verdict};
use vswitch_common::vlan::Tag;

use crate::packet::Frame;
use crate::{clock, guard, learn, lookup, parse, port, respond, vlan};

/// The port a frame came in by.
#[derive(Clone, Copy)]
pub(crate) struct Ingress {
    pub(crate) id: PortId,
    pub(crate) config: &'static PortConfig,
}

/// A frame that was admitted, with what the stages read from it.
#[derive(Clone, Copy)]
pub(crate) struct Admitted {
    pub(crate) ingress: Ingress,
    pub(crate) domain: DomainId,
    pub(crate) vid: u16,
    pub(crate) tag: Tag,
    pub(crate) ethernet: Ethernet,
    pub(crate) arp: Arp,
    pub(crate) nd: Message,
    pub(crate) now_ns: u64,
}

impl Admitted {
    /// The FDB key of an address in the frame's domain.
    #[inline(always)]
    pub(crate) fn key(&self, mac: MacAddr) -> FdbKey {
        FdbKey::new(self.domain, mac)
    }
}

/// What is to become of a frame.
#[derive(Clone, Copy)]
pub(crate) enum Decision {
    /// Not admitted: learned from in no way.
    Refuse(PortId, DropReason),
    /// The other hook decides.
    Leave,
    /// Admitted: what to learn from it, and its verdict.
    Admit(Admitted, Lesson, Verdict),
}

/// What the source teaches, and the entry that said otherwise.
#[derive(Clone, Copy)]
pub(crate) struct Lesson {
    pub(crate) learn: Learn,
    pub(crate) entry: FdbEntry,
}

/// Decides about a frame and changes nothing.
#[inline(always)]
pub(crate) fn decide(frame: &impl Frame) -> Decision {
    let ingress = match port::ingress(frame) {
        Ok(ingress) => ingress,
        Err(reason) => return Decision::Refuse(PortId::NOBODY, reason),
    };
    let headers = match parse::headers(frame) {
        Ok(headers) => headers,
        Err(reason) => return Decision::Refuse(ingress.id, reason),
    };
    if frame.is_left_to_tc(&headers) {
        return Decision::Leave;
    }
    match admit(frame, ingress, &headers) {
        Ok(admitted) => {
            let lesson = learn::lesson(&admitted);
            let verdict = match respond::answer(&admitted) {
                Some(verdict) => verdict,
                None => lookup::destination(&admitted, &lesson),
            };
            Decision::Admit(admitted, lesson, verdict)
        }
        Err(reason) => Decision::Refuse(ingress.id, reason),
    }
}

/// The stages that may refuse a frame. Nothing is learned from one that they refuse.
#[inline(always)]
fn admit(frame: &impl Frame, ingress: Ingress, headers: &parse::Headers) -> Result<Admitted, DropReason> {
    port::admit(&ingress, &headers.ethernet)?;
    let vid = vlan::classify(&ingress, headers.tag)?;
    let arp = parse::arp(frame, headers);
    guard::admit(frame, &ingress, headers, &arp)?;
    // A VLAN-unaware network carries tagged frames untouched: whose addresses these are is not for it to say.
    let is_foreign = vid == 0 && headers.tag.is_some();
    Ok(Admitted {
        ingress,
        domain: vswitch_common::vlan::domain(ingress.config, vid),
        vid,
        tag: headers.tag,
        ethernet: headers.ethernet,
        arp: if is_foreign { Arp::NONE } else { arp },
        nd: if is_foreign { Message::NONE } else { parse::nd(frame, headers) },
        now_ns: clock::now_ns(),
    })
}
