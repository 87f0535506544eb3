//! Stage: where is the destination?

use vswitch_common::fdb::{self, Learn};
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::{DropReason, Packed, Verdict};

use crate::pipeline::{Decision, Ingress};
use crate::{maps, port, vlan};

/// Out of the station's port if it is known, else to everybody.
#[inline(always)]
pub(crate) fn destination(decision: &Decision, ingress: Ingress) -> Packed {
    if decision.ethernet.destination.is_group() {
        return Verdict::Flood(decision.domain).pack();
    }
    let is_own = decision.ethernet.destination.bits() == decision.ethernet.source.bits();
    if is_own && !matches!(decision.lesson.learn, Learn::Keep | Learn::Stay) {
        // The FDB will say so in a moment: the station is where it speaks.
        return out_of(decision, ingress, ingress.id, ingress.config);
    }
    let key = decision.key(decision.ethernet.destination);
    let recent = maps::Place::of(key, decision.now_ns);
    let egress = recent.port();
    if egress.0 != PortId::NOBODY.0
        && !port::is_quarantined(egress, decision.now_ns)
        && let Some(config) = maps::port(egress)
    {
        return out_of(decision, ingress, egress, config);
    }
    let entry = maps::fdb(key);
    let egress = PortId(entry.port);
    let Some(config) = maps::port(egress) else {
        return Verdict::Flood(decision.domain).pack();
    };
    if !fdb::is_current(&entry, config, decision.now_ns) {
        return Verdict::Flood(decision.domain).pack();
    }
    if port::is_quarantined(egress, decision.now_ns) {
        // A station that was learned there may be reachable by another port.
        let is_there = entry.is_permanent();
        return if is_there {
            Verdict::Drop(DropReason::Quarantined)
        } else {
            Verdict::Flood(decision.domain)
        }
        .pack();
    }
    recent.note(&entry, decision.now_ns);
    out_of(decision, ingress, egress, config)
}

/// Out of the port, if the frame may.
#[inline(always)]
fn out_of(decision: &Decision, ingress: Ingress, egress: PortId, config: &PortConfig) -> Packed {
    if let Err(reason) = policy::may_leave((ingress.id, ingress.config), (egress, config)) {
        return Verdict::Drop(reason).pack();
    }
    match vlan::leave(egress, config, decision.vid) {
        Ok(form) => Verdict::Forward(egress, form).pack(),
        Err(reason) => Verdict::Drop(reason).pack(),
    }
}
