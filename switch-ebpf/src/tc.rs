//! The tc hook carries out every verdict.

use aya_ebpf::bindings::{TC_ACT_OK, TC_ACT_SHOT};
use vswitch_common::frame::{ETHERNET_BYTES, Ethernet};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;
use vswitch_common::storm::StormKind;
use vswitch_common::verdict::{DropReason, Punt, Verdict};
use vswitch_common::vlan::Form;

use crate::packet::{Frame as _, TcFrame};
use crate::pipeline::{Admitted, Decision, Ingress};
use crate::{count, egress, event, flood, learn, maps};

/// Learns, counts, delivers. Nothing that a program leaves undecided may climb into the host's stack, so each way out but
/// `Local` is a redirect or the end of the frame.
#[inline(always)]
pub(crate) fn act(frame: &TcFrame, decision: Decision) -> i32 {
    let (admitted, lesson, verdict) = match decision {
        Decision::Refuse(port, reason) => {
            count::rx_tc(port, frame, frame.length());
            return end(frame, port, reason);
        }
        // There is no hook behind this one.
        Decision::Leave => return TC_ACT_SHOT,
        Decision::Admit(admitted, lesson, verdict) => (admitted, lesson, verdict),
    };
    learn::commit(&admitted, lesson);
    let ingress = admitted.ingress;
    count::rx_tc(ingress.id, frame, frame.length());
    match verdict {
        Verdict::Forward(port, form) => forward(frame, &admitted, port, form),
        Verdict::Flood(_) => flood_within_limits(frame, &admitted),
        Verdict::Answer(owner) => answer(frame, &admitted, owner),
        Verdict::Punt(why) => punt(frame, &admitted, why),
        Verdict::Local => TC_ACT_OK,
        Verdict::Drop(reason) => end(frame, ingress.id, reason),
    }
}

/// Floods on behalf of the controller, which punted frames go to.
#[inline(always)]
pub(crate) fn flood_for_controller(frame: &TcFrame) -> i32 {
    let (id, vid) = (PortId(frame.control(0) as u16), frame.control(1) as u16);
    match maps::port(id) {
        Some(config) => flood_or_end(frame, Ingress { id, config }, vid),
        None => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn forward(frame: &TcFrame, admitted: &Admitted, port: PortId, form: Form) -> i32 {
    let ingress = admitted.ingress.id;
    let Some(config) = maps::port(port) else { return end(frame, ingress, DropReason::PortDown) };
    if !egress::fits(frame, config) {
        return end(frame, ingress, DropReason::TooBig);
    }
    let is = admitted.tag.form();
    if form.differs_from(is) && !frame.retag(admitted.tag, is, form) {
        return end(frame, ingress, DropReason::EgressFailed);
    }
    count::tx(port, frame.segments(), frame.length());
    egress::send(frame, config, admitted.ethernet.destination)
}

/// Floods what the port's storm limits let pass.
#[inline(always)]
fn flood_within_limits(frame: &TcFrame, admitted: &Admitted) -> i32 {
    let kind = StormKind::of(admitted.ethernet.destination);
    let interval_ns = admitted.ingress.config.storm_interval_ns[kind as usize];
    let port = admitted.ingress.id;
    if interval_ns != 0 && !maps::take_storm_token(port, kind, admitted.now_ns, interval_ns) {
        return end(frame, port, kind.reason());
    }
    flood_or_end(frame, admitted.ingress, admitted.vid)
}

#[inline(always)]
fn flood_or_end(frame: &TcFrame, ingress: Ingress, vid: u16) -> i32 {
    if flood::flood(frame, ingress, vid) {
        TC_ACT_SHOT
    } else {
        end(frame, ingress.id, DropReason::NobodyToFlood)
    }
}

/// Turns the request around into the reply of `owner`.
#[inline(always)]
fn answer(frame: &TcFrame, admitted: &Admitted, owner: MacAddr) -> i32 {
    let ingress = admitted.ingress;
    let asker = admitted.ethernet.source;
    let ethernet = Ethernet { destination: asker, source: owner, ethertype: admitted.ethernet.ethertype };
    let is_written = if admitted.nd.is_some() {
        maps::scratch().is_some_and(|scratch| {
            admitted.nd.write_answer(owner, scratch);
            frame.write(ETHERNET_BYTES, scratch)
        })
    } else {
        frame.write(ETHERNET_BYTES, &admitted.arp.reply_from(owner))
    };
    if !is_written || !frame.write(0, &ethernet.bytes()) {
        return end(frame, ingress.id, DropReason::EgressFailed);
    }
    maps::with_counters(ingress.id, |counters| counters.answered += 1);
    count::tx(ingress.id, 1, frame.length());
    egress::send(frame, ingress.config, asker)
}

/// Hands the frame to the controller, within the port's share of its time.
#[inline(always)]
fn punt(frame: &TcFrame, admitted: &Admitted, why: Punt) -> i32 {
    let port = admitted.ingress.id;
    if !maps::take_punt_token(port, admitted.now_ns) {
        return end(frame, port, DropReason::PuntLimited);
    }
    if !event::punt(frame, admitted, why) {
        return end(frame, port, DropReason::PuntLost);
    }
    maps::with_counters(port, |counters| counters.punted += 1);
    TC_ACT_SHOT
}

/// The end of the frame, counted.
#[inline(always)]
fn end(frame: &TcFrame, port: PortId, reason: DropReason) -> i32 {
    count::drop(port, frame.segments(), reason);
    TC_ACT_SHOT
}
