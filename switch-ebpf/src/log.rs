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
    let (kind, detail) = match decision.verdict.unpack() {
        Verdict::Forward(port, _) => ("forward", port.0),
        Verdict::Flood(domain) => ("flood", domain.0),
        Verdict::Answer(_) => ("answer", 0),
        Verdict::Punt(_) => ("punt", 0),
        Verdict::Local => ("local", 0),
        Verdict::Drop(reason) => ("drop", reason as u16),
    };
    aya_log_ebpf::trace!(
        context,
        "{}: port {} {:mac} > {:mac}: {} {}",
        hook,
        decision.ingress.0,
        decision.ethernet.source.octets(),
        decision.ethernet.destination.octets(),
        kind,
        detail
    );
}

/// Says nothing.
#[cfg(not(feature = "log"))]
#[inline(always)]
pub(crate) fn decision(_context: &impl EbpfContext, _hook: &str, _decision: &Decision) {}
