//! Stage: may the switch answer this itself? It answers broadcast ARP requests and multicast neighbour solicitations for
//! a known target; ARP requests for unknown ones go to the controller, which knows more and floods less. Unicast requests
//! (a cache asking whether a neighbour still lives), probes, announcements, gratuitous ARP and duplicate address detection
//! go their normal way.

use vswitch_common::fdb;
use vswitch_common::mac::MacAddr;
use vswitch_common::neighbour::NeighbourKey;
use vswitch_common::policy;
use vswitch_common::port::PortId;
use vswitch_common::verdict::{Packed, Punt, Verdict};

use crate::pipeline::{Decision, Ingress};
use crate::{maps, port};

/// A verdict, if the question is one for the switch.
#[inline(always)]
pub(crate) fn answer(decision: &Decision, ingress: Ingress) -> Packed {
    if decision.nd.is_question() && decision.ethernet.destination.is_group() {
        // An unknown target is left to the flood: solicitations go to few hosts' groups, not to all.
        return match maps::neighbour(NeighbourKey::v6(decision.domain, decision.nd.target)) {
            Some(known) if can_reach(decision, ingress, known.mac()) => Verdict::Answer(known.mac()).pack(),
            _ => Packed::UNDECIDED,
        };
    }
    let arp = &decision.arp;
    if !decision.ethernet.destination.is_broadcast() || !arp.is_question() {
        return Packed::UNDECIDED;
    }
    match maps::neighbour(NeighbourKey::v4(decision.domain, arp.target_ip)) {
        Some(known) if can_reach(decision, ingress, known.mac()) => Verdict::Answer(known.mac()).pack(),
        _ if maps::is_controller_away(decision.now_ns) => Packed::UNDECIDED,
        _ => Verdict::Punt(Punt::UnknownTarget).pack(),
    }
}

/// Whether the asker's frames would get to the station: nobody is told of one that has gone silent or that it may not see.
#[inline(always)]
fn can_reach(decision: &Decision, ingress: Ingress, station: MacAddr) -> bool {
    let entry = maps::fdb(decision.key(station));
    let at = PortId(entry.port);
    let Some(config) = maps::port(at) else {
        return false;
    };
    let ingress = (ingress.id, ingress.config);
    fdb::is_current(&entry, config, decision.now_ns)
        && !port::is_quarantined(at, decision.now_ns)
        && policy::may_leave(ingress, (at, config)).is_ok()
}
