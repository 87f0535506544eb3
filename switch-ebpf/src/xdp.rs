//! The XDP hook carries out what XDP does well: unicast to a link that takes redirects, and drops. Everything else it
//! passes up, untouched and uncounted, to the tc program of the same port.

use aya_ebpf::bindings::xdp_action::{XDP_DROP, XDP_PASS};
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::verdict::{DropReason, Verdict};
use vswitch_common::vlan::Form;

use crate::packet::{Frame as _, XdpFrame};
use crate::pipeline::{Decision, Standing};
use crate::{count, learn, maps, port};

/// Learns, counts and delivers, or leaves it all to tc.
#[inline(always)]
pub(crate) fn act(frame: &XdpFrame, decision: &Decision) -> u32 {
    if decision.standing == Standing::Left {
        return XDP_PASS;
    }
    // Asked for once: the kernel counts it together.
    let bytes = frame.length();
    match decision.verdict.unpack() {
        Verdict::Drop(reason) => {
            accept(frame, decision, bytes, false);
            end(decision.ingress, reason)
        }
        Verdict::Forward(port, form) => match target(bytes, decision, port, form) {
            Some(config) => forward(frame, decision, bytes, (port, config)),
            None => XDP_PASS,
        },
        Verdict::Flood(_) | Verdict::Group(..) | Verdict::Answer(_) | Verdict::Punt(_) | Verdict::Local => {
            XDP_PASS
        }
    }
}

/// The port to forward to, if this hook can do so.
#[inline(always)]
pub(crate) fn target(
    bytes: u32,
    decision: &Decision,
    port: PortId,
    form: Form,
) -> Option<&'static PortConfig> {
    // A tag is pushed and popped by tc, where that moves no bytes.
    if form.differs_from(decision.tag.form()) {
        return None;
    }
    let config = maps::port(port)?;
    if !config.has(flag::XDP_TARGET) {
        return None;
    }
    // A second tag on top of a full payload: tc has the first one beside the frame, not in it.
    let is_for_tc = !policy::fits(config, bytes) && policy::fits(config, bytes - decision.tag.bytes());
    if is_for_tc { None } else { Some(config) }
}

#[inline(always)]
fn forward(frame: &XdpFrame, decision: &Decision, bytes: u32, (port, config): (PortId, &PortConfig)) -> u32 {
    let is_born = frame.is_born_as_xdp(decision.ethernet.ethertype);
    accept(frame, decision, bytes, is_born);
    if !policy::fits(config, bytes) {
        return end(decision.ingress, DropReason::TooBig);
    }
    match maps::TARGETS.redirect(port.index(), 0) {
        Ok(action) => {
            count::tx(port, 1, bytes, is_born);
            action
        }
        Err(_) => end(decision.ingress, DropReason::EgressFailed),
    }
}

/// The frame's fate is decided here: count it, and learn from it if it was admitted.
#[inline(always)]
fn accept(frame: &XdpFrame, decision: &Decision, bytes: u32, is_born: bool) {
    count::rx_xdp(decision.ingress, frame, bytes, is_born);
    if decision.standing == Standing::Admitted {
        learn::commit(decision, port::of(decision.ingress));
    }
}

#[inline(always)]
fn end(port: PortId, reason: DropReason) -> u32 {
    count::drop(port, 1, reason);
    XDP_DROP
}
