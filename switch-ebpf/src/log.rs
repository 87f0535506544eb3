//! Debug records of the programs, by aya-log; nothing at all unless the feature `log` is on.
//!
//! Build with `cargo build --features ebpf-log` and run with `--log trace`: one record a decision, in the controller's log.

use aya_ebpf::EbpfContext;

use crate::pipeline::Decision;

/// Says what was decided about a frame.
#[cfg(feature = "log")]
#[inline(always)]
pub(crate) fn decision(context: &impl EbpfContext, hook: &str, decision: &Decision) {
    use vswitch_common::verdict::Verdict;
    match decision {
        Decision::Refuse(port, reason) => {
            aya_log_ebpf::trace!(context, "{}: port {} refuses: reason {}", hook, port.0, *reason as u8);
        }
        Decision::Leave => aya_log_ebpf::trace!(context, "{}: left to tc", hook),
        Decision::Admit(admitted, _, verdict) => {
            let (kind, to) = match verdict {
                Verdict::Forward(port, _) => (1u8, port.0),
                Verdict::Flood(domain) => (2, domain.0),
                Verdict::Answer(_) => (3, 0),
                Verdict::Punt(_) => (4, 0),
                Verdict::Local => (5, 0),
                Verdict::Drop(reason) => (6, *reason as u16),
            };
            aya_log_ebpf::trace!(
                context,
                "{}: port {} {:mac} > {:mac} type {:x}: verdict {} {}",
                hook,
                admitted.ingress.id.0,
                admitted.ethernet.source.octets(),
                admitted.ethernet.destination.octets(),
                admitted.ethernet.ethertype,
                kind,
                to
            );
        }
    }
}

/// Says nothing.
#[cfg(not(feature = "log"))]
#[inline(always)]
pub(crate) fn decision(_context: &impl EbpfContext, _hook: &str, _decision: &Decision) {}
