//! Stage: where is the destination?

use vswitch_common::fdb;
use vswitch_common::policy;
use vswitch_common::port::PortId;
use vswitch_common::verdict::Verdict;

use crate::maps;
use crate::pipeline::Admitted;

/// Out of the station's port if it is known, else to everybody.
#[inline(always)]
pub(crate) fn destination(admitted: &Admitted) -> Verdict {
    if admitted.ethernet.destination.is_group() {
        return Verdict::Flood(admitted.domain);
    }
    let entry = maps::fdb(admitted.key(admitted.ethernet.destination));
    let port = PortId(entry.port);
    let Some(config) = maps::port(port) else {
        return Verdict::Flood(admitted.domain);
    };
    if !fdb::is_current(&entry, config, admitted.now_ns) {
        return Verdict::Flood(admitted.domain);
    }
    match policy::may_leave((admitted.ingress.id, admitted.ingress.config), (port, config)) {
        Ok(()) => Verdict::Forward(port),
        Err(reason) => Verdict::Drop(reason),
    }
}
