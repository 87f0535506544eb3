//! Ctrl-C and SIGTERM as something to ask for, so that the demo always ends by its own way and cleans up.
//!
//! The signals are blocked and read from a descriptor. Programs that the demo starts get them as usual (the standard
//! library clears the mask for a child), so a ping that runs ends at once and the demo sees it fail.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

pub(super) struct Interrupts(SignalFd);

impl Interrupts {
    pub(super) fn catch() -> Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        signals.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self(
            SignalFd::with_flags(&signals, flags).context("cannot watch for signals")?,
        ))
    }

    /// Whether one came since the last call.
    pub(super) fn came(&self) -> Result<bool> {
        Ok(self.0.read_signal().context("cannot read signals")?.is_some())
    }

    /// Waits a moment and says whether one came.
    pub(super) fn wait(&self) -> Result<bool> {
        thread::sleep(Duration::from_millis(100));
        self.came()
    }
}
