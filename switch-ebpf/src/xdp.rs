//! The XDP hook carries out what XDP does well: unicast to a link that takes redirects, and drops. Everything else it
//! passes up, untouched and uncounted, to the tc program of the same port.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use vswitch_common::policy;
use vswitch_common::port::{PortId, flag};
use vswitch_common::verdict::{DropReason, Verdict};

use crate::packet::{Frame as _, XdpFrame};
use crate::pipeline::{Admitted, Decision, Lesson};
use crate::{count, learn, maps};

/// Learns, counts and delivers, or leaves it all to tc.
#[inline(always)]
pub(crate) fn act(frame: &XdpFrame, decision: Decision) -> u32 {
    match decision {
        Decision::Refuse(port, reason) => {
            count::rx_xdp(port, frame, frame.length());
            end(port, reason)
        }
        Decision::Leave => XDP_PASS,
        Decision::Admit(admitted, lesson, verdict) => match verdict {
            // A tag is pushed and popped by tc, where that moves no bytes.
            Verdict::Forward(_, form) if form.differs_from(admitted.tag.form()) => XDP_PASS,
            Verdict::Forward(port, _) => forward(frame, &admitted, lesson, port),
            Verdict::Drop(reason) => {
                accept(frame, &admitted, lesson);
                end(admitted.ingress.id, reason)
            }
            Verdict::Flood(_) | Verdict::Answer(_) | Verdict::Punt(_) | Verdict::Local => XDP_PASS,
        },
    }
}

#[inline(always)]
fn forward(frame: &XdpFrame, admitted: &Admitted, lesson: Lesson, port: PortId) -> u32 {
    let Some(config) = maps::port(port) else {
        return XDP_PASS;
    };
    if !config.has(flag::XDP_TARGET) {
        return XDP_PASS;
    }
    let bytes = frame.length();
    accept(frame, admitted, lesson);
    if !policy::fits(config, bytes) {
        return end(admitted.ingress.id, DropReason::TooBig);
    }
    match maps::TARGETS.redirect(port.index(), 0) {
        Ok(action) => {
            count::tx(port, 1, bytes);
            action
        }
        Err(_) => end(admitted.ingress.id, DropReason::EgressFailed),
    }
}

/// The frame's fate is decided here: learn from it and count it.
#[inline(always)]
fn accept(frame: &XdpFrame, admitted: &Admitted, lesson: Lesson) {
    learn::commit(admitted, lesson);
    count::rx_xdp(admitted.ingress.id, frame, frame.length());
}

#[inline(always)]
fn end(port: PortId, reason: DropReason) -> u32 {
    count::drop(port, 1, reason);
    XDP_DROP
}
