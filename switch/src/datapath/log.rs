//! Forwards the programs' debug records to the controller's log. Only in builds with the feature `ebpf-log`.

use std::thread;
use std::time::Duration;

use aya::Ebpf;
use aya_log::EbpfLogger;

/// How often the ring of records is read.
const INTERVAL: Duration = Duration::from_millis(50);

/// Reads records until the process ends.
pub(super) fn forward(ebpf: &mut Ebpf) {
    match EbpfLogger::init(ebpf) {
        Ok(mut logger) => {
            thread::spawn(move || {
                loop {
                    logger.flush();
                    thread::sleep(INTERVAL);
                }
            });
        }
        Err(error) => tracing::warn!(%error, "the programs' debug records cannot be read"),
    }
}
