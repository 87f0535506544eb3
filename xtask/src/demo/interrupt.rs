//! Ctrl-C and SIGTERM as something to ask for, so that the demo always ends by its own way and cleans up.
//!
//! The signals are handled, not blocked: a blocked one would stay blocked in every program that the demo starts. A
//! ping that runs at Ctrl-C ends at once and the demo sees it fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

pub(super) struct Interrupts(Arc<AtomicBool>);

impl Interrupts {
    pub(super) fn catch() -> Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&came)).context("cannot watch for signals")?;
        }
        Ok(Self(came))
    }

    /// Whether one came.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Waits a moment and says whether one came.
    pub(super) fn wait(&self) -> bool {
        thread::sleep(Duration::from_millis(100));
        self.came()
    }
}
