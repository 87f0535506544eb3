//! The tc hook carries out every verdict.

use aya_ebpf::bindings::{TC_ACT_OK, TC_ACT_SHOT};
use vswitch_common::frame::{Arp, ETHERNET_BYTES, Ethernet, ethertype};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;
use vswitch_common::verdict::{DropReason, Punt, Verdict};

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
        Decision::Admit(admitted, lesson, verdict) => (admitted, lesson, verdict),
    };
    learn::commit(&admitted, lesson);
    let ingress = admitted.ingress;
    count::rx_tc(ingress.id, frame, frame.length());
    match verdict {
        Verdict::Forward(port) => forward(frame, &admitted, port),
        Verdict::Flood(_) => flood_or_end(frame, ingress),
        Verdict::Answer(owner) => answer(frame, &admitted, owner),
        Verdict::Punt(why) => punt(frame, &admitted, why),
        Verdict::Local => TC_ACT_OK,
        Verdict::Drop(reason) => end(frame, ingress.id, reason),
    }
}

/// Floods on behalf of the controller, which punted frames go to.
#[inline(always)]
pub(crate) fn flood_for_controller(frame: &TcFrame) -> i32 {
    let id = PortId(frame.control() as u16);
    match maps::port(id) {
        Some(config) => flood_or_end(frame, Ingress { id, config }),
        None => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn forward(frame: &TcFrame, admitted: &Admitted, port: PortId) -> i32 {
    let Some(config) = maps::port(port) else {
        return end(frame, admitted.ingress.id, DropReason::PortDown);
    };
    if !egress::fits(frame, config) {
        return end(frame, admitted.ingress.id, DropReason::TooBig);
    }
    count::tx(port, frame.segments(), frame.length());
    egress::send(frame, config, admitted.ethernet.destination)
}

#[inline(always)]
fn flood_or_end(frame: &TcFrame, ingress: Ingress) -> i32 {
    if flood::flood(frame, ingress) { TC_ACT_SHOT } else { end(frame, ingress.id, DropReason::NobodyToFlood) }
}

/// Turns the request around into the reply of `owner`.
#[inline(always)]
fn answer(frame: &TcFrame, admitted: &Admitted, owner: MacAddr) -> i32 {
    let Admitted { ingress, arp: request, .. } = admitted;
    let ethernet = Ethernet { destination: request.sender_mac, source: owner, ethertype: ethertype::ARP };
    if !write_reply(frame, ethernet, request, owner) {
        return end(frame, ingress.id, DropReason::EgressFailed);
    }
    maps::with_counters(ingress.id, |counters| counters.answered += 1);
    count::tx(ingress.id, 1, frame.length());
    egress::send(frame, ingress.config, request.sender_mac)
}

#[inline(always)]
fn write_reply(frame: &TcFrame, ethernet: Ethernet, request: &Arp, owner: MacAddr) -> bool {
    frame.write(0, &ethernet.bytes()) && frame.write(ETHERNET_BYTES, &request.reply_from(owner))
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
