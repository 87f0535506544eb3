//! Stage: where is the destination?

use vswitch_common::fdb::{self, Learn};
use vswitch_common::policy;
use vswitch_common::port::{PortConfig, PortId};
use vswitch_common::verdict::Verdict;

use crate::pipeline::{Admitted, Lesson};
use crate::{maps, vlan};

/// Out of the station's port if it is known, else to everybody.
#[inline(always)]
pub(crate) fn destination(admitted: &Admitted, lesson: &Lesson) -> Verdict {
    if admitted.ethernet.destination.is_group() {
        return Verdict::Flood(admitted.domain);
    }
    let is_own = admitted.ethernet.destination.bits() == admitted.ethernet.source.bits();
    if is_own && !matches!(lesson.learn, Learn::Keep) {
        // The FDB will say so in a moment: the station is where it speaks.
        return out_of(admitted, admitted.ingress.id, admitted.ingress.config);
    }
    let entry = maps::fdb(admitted.key(admitted.ethernet.destination));
    let port = PortId(entry.port);
    let Some(config) = maps::port(port) else {
        return Verdict::Flood(admitted.domain);
    };
    if !fdb::is_current(&entry, config, admitted.now_ns) {
        return Verdict::Flood(admitted.domain);
    }
    out_of(admitted, port, config)
}

/// Out of the port, if the frame may.
#[inline(always)]
fn out_of(admitted: &Admitted, port: PortId, config: &PortConfig) -> Verdict {
    if let Err(reason) = policy::may_leave((admitted.ingress.id, admitted.ingress.config), (port, config)) {
        return Verdict::Drop(reason);
    }
    match vlan::leave(port, config, admitted.vid) {
        Ok(form) => Verdict::Forward(port, form),
        Err(reason) => Verdict::Drop(reason),
    }
}
