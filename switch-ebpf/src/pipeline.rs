//! The way of one frame: parse → port → vlan → learn → respond → lookup. Read this first.
//!
//! `decide` only reads. What it finds out is a [`Decision`], which the hook's `act` carries out: learn, count, deliver.
//! So a frame that the XDP program passes up to the tc program behind it is decided twice and carried out once, and
//! a trace is a decision that nobody carries out.

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey, Learn};
use vswitch_common::frame::{Arp, Ethernet};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::{DropReason, Verdict};

use crate::packet::Frame;
use crate::{clock, learn, lookup, parse, port, respond, vlan};

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
    pub(crate) ethernet: Ethernet,
    pub(crate) arp: Arp,
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
    match admit(frame, ingress) {
        Ok(admitted) => {
            let lesson = learn::lesson(&admitted);
            let verdict = match respond::answer(&admitted) {
                Some(verdict) => verdict,
                None => lookup::destination(&admitted),
            };
            Decision::Admit(admitted, lesson, verdict)
        }
        Err(reason) => Decision::Refuse(ingress.id, reason),
    }
}

/// The stages that may refuse a frame. Nothing is learned from one that they refuse.
#[inline(always)]
fn admit(frame: &impl Frame, ingress: Ingress) -> Result<Admitted, DropReason> {
    let ethernet = parse::ethernet(frame)?;
    port::admit(&ingress, &ethernet)?;
    let domain = vlan::classify(&ingress);
    Ok(Admitted { ingress, domain, ethernet, arp: parse::arp(frame, &ethernet), now_ns: clock::now_ns() })
}
