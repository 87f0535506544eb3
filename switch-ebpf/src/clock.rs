//! The clock of the data path. One of the files that may be unsafe.

use aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns;

/// Coarse monotonic time in nanoseconds, as `CLOCK_MONOTONIC_COARSE` gives it: a tick's resolution, no hardware access.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: takes nothing, reads the kernel's timekeeper.
    unsafe { bpf_ktime_get_coarse_ns() }
}
