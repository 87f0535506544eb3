//! What the hooks would do with a decision, written down instead of done. Nothing is learned, counted, spent or sent.
//!
//! What `act` asks before it acts, this asks by the same functions.

use vswitch_common::mac::MacAddr;
use vswitch_common::policy;
use vswitch_common::storm::StormKind;
use vswitch_common::trace::{Ending, Lesson, Reach, TraceRecord, WRITTEN, control};
use vswitch_common::verdict::{DropReason, Verdict};

use crate::maps::Spend;
use crate::packet::{Frame as _, TcFrame, XdpFrame};
use crate::pipeline::{Decision, Ingress, Standing};
use crate::{egress, flood, learn, maps, port, tc, xdp};

/// How a frame ends, as one word: an enum with a payload has bytes that the verifier takes for uninitialised.
#[derive(Clone, Copy)]
struct End(u64);

impl End {
    #[inline(always)]
    const fn by(ending: Ending) -> Self {
        Self(ending as u64)
    }

    #[inline(always)]
    const fn dropped(reason: DropReason) -> Self {
        Self(Ending::Dropped as u64 | (reason as u64) << 32)
    }
}

/// What the tc hook would do.
#[inline(always)]
pub(crate) fn at_tc(frame: &TcFrame, decision: &Decision) -> u32 {
    let ingress = port::of(decision.ingress);
    write(decision, ingress, tc_end(frame, decision, ingress))
}

#[inline(always)]
fn tc_end(frame: &TcFrame, decision: &Decision, ingress: Ingress) -> End {
    match decision.verdict.unpack() {
        Verdict::Forward(port, _) => match egress::to(frame, port) {
            Ok(config) if config.has_peer(decision.ethernet.destination) => End::by(Ending::IntoPeer),
            Ok(_) => End::by(Ending::Carried),
            Err(reason) => End::dropped(reason),
        },
        Verdict::Flood(_) | Verdict::Group(..) | Verdict::Punt(_)
            if !tc::is_within_storm_limit(decision, ingress, Spend::Ask) =>
        {
            End::dropped(StormKind::of(decision.ethernet.destination).reason())
        }
        Verdict::Flood(_) | Verdict::Group(..) => {
            let number = frame.control(control::NUMBER);
            if flood::foresee(frame, ingress, decision.vid, decision.list, number) {
                End::by(Ending::Carried)
            } else {
                End::dropped(decision.list.nobody())
            }
        }
        Verdict::Punt(_) => {
            if maps::punt_token(ingress.id, decision.now_ns, Spend::Ask) {
                End::by(Ending::Carried)
            } else {
                End::dropped(DropReason::PuntLimited)
            }
        }
        Verdict::Answer(_) | Verdict::Local => End::by(Ending::Carried),
        Verdict::Drop(reason) => End::dropped(reason),
    }
}

/// What the XDP hook would do.
#[inline(always)]
pub(crate) fn at_xdp(frame: &XdpFrame, decision: &Decision) -> u32 {
    write(decision, port::of(decision.ingress), xdp_end(frame, decision))
}

#[inline(always)]
fn xdp_end(frame: &XdpFrame, decision: &Decision) -> End {
    match decision.verdict.unpack() {
        _ if decision.standing == Standing::Left => End::by(Ending::PassedUp),
        Verdict::Drop(reason) => End::dropped(reason),
        Verdict::Forward(port, form) => match xdp::target(frame.length(), decision, port, form) {
            None => End::by(Ending::PassedUp),
            Some(config) if policy::fits(config, frame.length()) => End::by(Ending::Carried),
            Some(_) => End::dropped(DropReason::TooBig),
        },
        Verdict::Flood(_) | Verdict::Group(..) | Verdict::Answer(_) | Verdict::Punt(_) | Verdict::Local => {
            End::by(Ending::PassedUp)
        }
    }
}

/// Writes it all down. The program's return value.
#[inline(always)]
fn write(decision: &Decision, ingress: Ingress, end: End) -> u32 {
    let mut record = TraceRecord {
        now_ns: decision.now_ns,
        verdict: decision.verdict.word(),
        ending: end.0 as u32,
        reason: (end.0 >> 32) as u32,
        ingress: decision.ingress.0,
        domain: decision.domain.0,
        vid: decision.vid,
        tpid: decision.tag.tpid,
        tci: decision.tag.tci,
        ethertype: decision.ethernet.ethertype,
        ..TraceRecord::EMPTY
    };
    match decision.standing {
        Standing::Refused => {}
        Standing::Left => record.reach = Reach::Left as u32,
        Standing::Admitted => admitted(decision, ingress, &mut record),
    }
    if maps::write_trace(&record) { WRITTEN } else { 0 }
}

/// What only an admitted frame has.
#[inline(always)]
fn admitted(decision: &Decision, ingress: Ingress, record: &mut TraceRecord) {
    let to: MacAddr = decision.ethernet.destination;
    record.reach = Reach::Decided as u32;
    record.source = maps::fdb(decision.key(decision.ethernet.source));
    if !to.is_group() {
        record.destination = maps::fdb(decision.key(to));
    }
    record.lesson = if learn::can_commit(decision, ingress) {
        Lesson::of(decision.lesson.learn) as u32
    } else {
        Lesson::NoRoom as u32
    };
    if decision.arp.is_some() {
        record.question = 1;
        record.is_question = (to.is_broadcast() && decision.arp.is_question()) as u16;
    } else if decision.nd.is_some() {
        record.question = 2;
        record.is_question = (to.is_group() && decision.nd.is_question()) as u16;
    }
}
