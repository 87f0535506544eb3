//! A trace: what the data path found out about one frame and would do with it, as the trace programs write it down.
//!
//! The programs run the pipeline that frames go through and the checks that come behind it, and carry nothing out. The
//! controller runs them by `BPF_PROG_TEST_RUN`, one at a time, and reads what they wrote.

use crate::fdb::{FdbEntry, Learn};
use crate::verdict::{DropReason, Packed};
use crate::vlan::Form;

/// Bytes of the shortest frame that is traced: an Ethernet header. The kernel runs no program over less
/// (net/bpf/test_run.c, `bpf_test_init`).
pub const LEAST_BYTES: usize = crate::frame::ETHERNET_BYTES;

/// What a trace program returns when it wrote a record. Anything else: it did not get to the end.
pub const WRITTEN: u32 = 1;

/// Words of `cb` by which the controller tells the tc program what a test run cannot say.
pub mod control {
    /// The outer tag, which the stack has moved into metadata when tc sees a frame: TPID in the upper 16 bits, TCI in the lower.
    pub const TAG: usize = 0;
    /// Bytes that the frame has, which may be fewer or more than a test run takes.
    pub const LENGTH: usize = 1;
    /// Number of the trace, by which its copies are told from those of earlier ones.
    pub const NUMBER: usize = 2;
}

/// How far a frame came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Reach {
    /// Refused before anything was learned.
    Refused = 0,
    /// The XDP hook leaves it to tc without a look at it.
    Left = 1,
    /// Through the whole pipeline.
    Decided = 2,
}

/// What becomes of the source.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Lesson {
    /// The entry stands as it is, or the port does not learn.
    Keep = 0,
    /// Last-seen is written.
    Refresh = 1,
    /// A new entry.
    Insert = 2,
    /// The entry moves here.
    Move = 3,
    /// It would be learned, but a limit is reached.
    NoRoom = 4,
}

impl Lesson {
    /// What is to be learned, where there is room.
    #[inline(always)]
    #[must_use]
    pub const fn of(learn: Learn) -> Self {
        match learn {
            Learn::Keep | Learn::Stay | Learn::Refuse => Self::Keep,
            Learn::Refresh => Self::Refresh,
            Learn::Insert => Self::Insert,
            Learn::Move => Self::Move,
        }
    }

    /// From its number; `Keep` for a number that is none.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Refresh,
            2 => Self::Insert,
            3 => Self::Move,
            4 => Self::NoRoom,
            _ => Self::Keep,
        }
    }
}

/// How the hook would end the frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Ending {
    /// By the verdict.
    Carried = 0,
    /// The XDP hook passes it up to tc, which decides again.
    PassedUp = 1,
    /// By a drop, for the reason in [`TraceRecord::reason`], whatever the verdict.
    Dropped = 2,
    /// By the verdict, and straight into the peer behind the port.
    IntoPeer = 3,
}

/// What the trace programs write: the one element of the `TRACE` map. Written by them alone, read by the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TraceRecord {
    /// When, by the data path's clock; 0 if the frame was refused.
    pub now_ns: u64,
    /// [`Packed`] verdict; 0 where there is none.
    pub verdict: u64,
    /// What the FDB holds for the source.
    pub source: FdbEntry,
    /// What the FDB holds for the destination; nothing for a group address.
    pub destination: FdbEntry,
    /// [`Reach`].
    pub reach: u32,
    /// [`Lesson`].
    pub lesson: u32,
    /// [`Ending`].
    pub ending: u32,
    /// [`DropReason`], with [`Ending::Dropped`].
    pub reason: u32,
    /// [`PortId`](crate::port::PortId) of the ingress.
    pub ingress: u16,
    /// [`DomainId`](crate::domain::DomainId); 0 where the frame did not get that far.
    pub domain: u16,
    /// VLAN; 0 on a VLAN-unaware network.
    pub vid: u16,
    /// EtherType of the outer tag; 0 is none.
    pub tpid: u16,
    /// The outer tag.
    pub tci: u16,
    /// EtherType of what the frame carries.
    pub ethertype: u16,
    /// Whether it is an ARP packet (1), neighbour discovery (2) or neither (0), to the switch.
    pub question: u16,
    /// Whether that is a question which a switch may answer.
    pub is_question: u16,
}

impl TraceRecord {
    /// Nothing written yet.
    pub const EMPTY: Self = Self {
        now_ns: 0,
        verdict: 0,
        source: FdbEntry::NONE,
        destination: FdbEntry::NONE,
        reach: 0,
        lesson: 0,
        ending: 0,
        reason: 0,
        ingress: 0,
        domain: 0,
        vid: 0,
        tpid: 0,
        tci: 0,
        ethertype: 0,
        question: 0,
        is_question: 0,
    };

    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Packed {
        Packed::from_word(self.verdict)
    }

    /// How far the frame came.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        match self.reach {
            1 => Reach::Left,
            2 => Reach::Decided,
            _ => Reach::Refused,
        }
    }

    /// How the hook would end it.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        match self.ending {
            0 => Ending::Carried,
            1 => Ending::PassedUp,
            3 => Ending::IntoPeer,
            _ => Ending::Dropped,
        }
    }

    /// Why it is dropped, if it is.
    #[must_use]
    pub const fn drop_reason(&self) -> Option<DropReason> {
        match self.ending() {
            Ending::Dropped => Some(DropReason::from_number(self.reason as u16)),
            Ending::Carried | Ending::PassedUp | Ending::IntoPeer => None,
        }
    }
}

/// What a flood does at one member: value of the `TRACE_COPIES` map, by port slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Copied(pub u64);

impl Copied {
    /// A copy leaves in a form, or why none does; in the trace of this number.
    #[inline(always)]
    #[must_use]
    pub const fn new(number: u32, copy: Result<Form, DropReason>) -> Self {
        let outcome = match copy {
            Ok(form) => form.0 as u64,
            Err(reason) => (reason as u64 + 1) << 16,
        };
        Self((number as u64) << 32 | outcome)
    }

    /// What it says, if it is of the trace of this number. [`DropReason::NobodyToFlood`] is that floods do not leave by the port.
    #[must_use]
    pub const fn of(self, number: u32) -> Option<Result<Form, DropReason>> {
        if self.0 >> 32 != number as u64 {
            return None;
        }
        match (self.0 >> 16) as u16 {
            0 => Some(Ok(Form(self.0 as u16))),
            reason => Some(Err(DropReason::from_number(reason - 1))),
        }
    }
}

const _: () = assert!(size_of::<TraceRecord>() == 16 + 2 * size_of::<FdbEntry>() + 4 * 4 + 8 * 2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_reads_back_as_it_was_written_and_only_in_its_own_trace() {
        for form in [Form::UNTAGGED, Form::UNTOUCHED, Form(4094)] {
            let copied = Copied::new(7, Ok(form));
            assert_eq!(copied.of(7), Some(Ok(form)));
            assert_eq!(copied.of(8), None);
        }
        for reason in DropReason::ALL {
            assert_eq!(Copied::new(u32::MAX, Err(reason)).of(u32::MAX), Some(Err(reason)));
        }
        assert_eq!(Copied(0).of(1), None, "what was never written");
    }
}
