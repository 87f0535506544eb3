//! The tc hook carries out every verdict.

use aya_ebpf::bindings::{TC_ACT_OK, TC_ACT_SHOT};
use vswitch_common::frame::{ETHERNET_BYTES, Ethernet};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::{PortId, flag};
use vswitch_common::storm::StormKind;
use vswitch_common::verdict::{DropReason, Punt, Verdict};
use vswitch_common::vlan::Form;

use crate::flood::List;
use crate::maps::Spend;
use crate::packet::{Frame as _, TcFrame};
use crate::pipeline::{Decision, Ingress, Standing};
use crate::{count, egress, event, flood, learn, maps, port};

/// Learns, counts, delivers. Nothing that a program leaves undecided may climb into the host's stack, so each way out but
/// `Local` is a redirect or the end of the frame.
#[inline(always)]
pub(crate) fn act(frame: &TcFrame, decision: &Decision) -> i32 {
    let ingress = port::of(decision.ingress);
    let is_admitted = decision.standing == Standing::Admitted;
    let is_born = is_admitted && frame.is_born_as_xdp(decision.ethernet.ethertype);
    count::rx_tc(ingress.id, frame, frame.length(), is_born);
    if is_admitted {
        learn::commit(decision, ingress);
    }
    match decision.verdict.unpack() {
        Verdict::Forward(port, form) => forward(frame, decision, port, form, is_born),
        // What the controller gets it floods, mostly: it counts as what it is.
        Verdict::Flood(_) | Verdict::Group(..) | Verdict::Punt(_)
            if !is_within_storm_limit(decision, ingress, Spend::Take) =>
        {
            end(frame, ingress.id, StormKind::of(decision.ethernet.destination).reason())
        }
        Verdict::Flood(_) | Verdict::Group(..) => spread(frame, decision, ingress),
        Verdict::Answer(owner) => answer(frame, decision, ingress, owner),
        Verdict::Punt(why) => punt(frame, decision, why),
        Verdict::Local => TC_ACT_OK,
        Verdict::Drop(reason) => end(frame, ingress.id, reason),
    }
}

/// Floods on behalf of the controller, which punted frames go to. A frame of its own comes from nobody's port, which then says
/// the network.
#[inline(always)]
pub(crate) fn flood_for_controller(frame: &TcFrame) -> i32 {
    let (id, vid) = (PortId(frame.control(0) as u16), frame.control(1) as u16);
    match maps::port(id) {
        Some(config) => {
            let ingress = Ingress { id, config };
            let is_own = id.0 == PortId::NOBODY.0;
            let list = if is_own { List::of_all(ingress) } else { List::of_network(ingress) };
            flood_or_end(frame, ingress, vid, list)
        }
        None => TC_ACT_SHOT,
    }
}

#[inline(always)]
fn forward(frame: &TcFrame, decision: &Decision, port: PortId, form: Form, is_born: bool) -> i32 {
    let ingress = decision.ingress;
    let config = match egress::to(frame, port) {
        Ok(config) => config,
        Err(reason) => return end(frame, ingress, reason),
    };
    let is = decision.tag.form();
    if form.differs_from(is) && !frame.retag(decision.tag, is, form) {
        return end(frame, ingress, DropReason::EgressFailed);
    }
    count::tx(port, frame.segments(), frame.length(), is_born);
    egress::send(frame, config, decision.ethernet.destination)
}

/// Whether the port's limit for frames of this kind has room for one more.
#[inline(always)]
pub(crate) fn is_within_storm_limit(decision: &Decision, ingress: Ingress, how: Spend) -> bool {
    let kind = StormKind::of(decision.ethernet.destination);
    let limit = ingress.config.storm_limit(kind);
    limit.interval_ns == 0 || maps::storm_token(ingress.id, kind, decision.now_ns, limit, how)
}

/// Tells the controller if it is about membership, and sends the copies.
#[inline(always)]
fn spread(frame: &TcFrame, decision: &Decision, ingress: Ingress) -> i32 {
    if decision.multicast.is_telling() && ingress.config.has(flag::SNOOPED) {
        event::snoop(frame, decision);
    }
    flood_or_end(frame, ingress, decision.vid, decision.list)
}

#[inline(always)]
fn flood_or_end(frame: &TcFrame, ingress: Ingress, vid: u16, list: List) -> i32 {
    if flood::flood(frame, ingress, vid, list) { TC_ACT_SHOT } else { end(frame, ingress.id, list.nobody()) }
}

/// Turns the request around into the reply of `owner`.
#[inline(always)]
fn answer(frame: &TcFrame, decision: &Decision, ingress: Ingress, owner: MacAddr) -> i32 {
    let asker = decision.ethernet.source;
    let ethernet = Ethernet { destination: asker, source: owner, ethertype: decision.ethernet.ethertype };
    let is_written = if decision.nd.is_some() {
        maps::scratch().is_some_and(|scratch| {
            decision.nd.write_answer(owner, scratch);
            frame.write(ETHERNET_BYTES, scratch)
        })
    } else {
        frame.write(ETHERNET_BYTES, &decision.arp.reply_from(owner))
    };
    if !is_written || !frame.write(0, &ethernet.bytes()) {
        return end(frame, ingress.id, DropReason::EgressFailed);
    }
    maps::with_counters(ingress.id, |counters| counters.answered += 1);
    count::tx(ingress.id, 1, frame.length(), false);
    egress::send(frame, ingress.config, asker)
}

/// Hands the frame to the controller, within the port's share of its time.
#[inline(always)]
fn punt(frame: &TcFrame, decision: &Decision, why: Punt) -> i32 {
    let port = decision.ingress;
    if !maps::punt_token(port, decision.now_ns, Spend::Take) {
        return end(frame, port, DropReason::PuntLimited);
    }
    if !event::punt(frame, decision, why) {
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
