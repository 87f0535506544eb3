//! Stage: may the switch answer this itself? It answers broadcast ARP requests and multicast neighbour solicitations for
//! a known target; ARP requests for unknown ones go to the controller, which knows more and floods less. Unicast requests
//! (a cache asking whether a neighbour still lives), probes, announcements, gratuitous ARP and duplicate address detection
//! go their normal way.

use vswitch_common::fdb;
use vswitch_common::limits::HEARTBEAT_STALE_NS;
use vswitch_common::mac::MacAddr;
use vswitch_common::neighbour::NeighbourKey;
use vswitch_common::policy;
use vswitch_common::port::PortId;
use vswitch_common::verdict::{Punt, Verdict};

use crate::maps;
use crate::pipeline::Admitted;

/// A verdict, if the question is one for the switch.
#[inline(always)]
pub(crate) fn answer(admitted: &Admitted) -> Option<Verdict> {
    if admitted.nd.is_question() && admitted.ethernet.destination.is_group() {
        // An unknown target is left to the flood: solicitations go to few hosts' groups, not to all.
        return match maps::neighbour(NeighbourKey::v6(admitted.domain, admitted.nd.target)) {
            Some(known) if can_reach(admitted, known.mac()) => Some(Verdict::Answer(known.mac())),
            _ => None,
        };
    }
    let arp = &admitted.arp;
    if !admitted.ethernet.destination.is_broadcast() || !arp.is_question() {
        return None;
    }
    match maps::neighbour(NeighbourKey::v4(admitted.domain, arp.target_ip)) {
        Some(known) if can_reach(admitted, known.mac()) => Some(Verdict::Answer(known.mac())),
        _ if admitted.now_ns.saturating_sub(maps::heartbeat_ns()) > HEARTBEAT_STALE_NS => None,
        _ => Some(Verdict::Punt(Punt::UnknownTarget)),
    }
}

/// Whether the asker's frames would get to the station: nobody is told of one that has gone silent or that it may not see.
#[inline(always)]
fn can_reach(admitted: &Admitted, station: MacAddr) -> bool {
    let entry = maps::fdb(admitted.key(station));
    let port = PortId(entry.port);
    let Some(config) = maps::port(port) else {
        return false;
    };
    let ingress = (admitted.ingress.id, admitted.ingress.config);
    fdb::is_current(&entry, config, admitted.now_ns) && policy::may_leave(ingress, (port, config)).is_ok()
}
