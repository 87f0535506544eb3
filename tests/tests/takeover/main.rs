//! Bridges replaced under running traffic, and put back: a plain one in every detail, and those of Docker, libvirt and LXC.

mod bridge;
mod docker;
mod measured;
mod others;

/// Probes a second.
const RATE: u32 = 1_000;

/// Most probes that may be lost in a takeover or a release.
const LOSS: usize = 1;
