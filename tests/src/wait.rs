//! Waiting for a condition by polling: the tests share two slow cores, so nothing sleeps for a guessed time.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long something that should happen at once may take on a busy machine.
pub const SOON: Duration = Duration::from_secs(10);

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// The first `Some` that `look` gives.
///
/// # Panics
/// When there was none `within` that time; `what` says what was waited for.
#[track_caller]
pub fn until<T>(what: &str, within: Duration, look: impl FnMut() -> Option<T>) -> T {
    poll(within, look).unwrap_or_else(|| panic!("waited {within:?} in vain for {what}"))
}

/// Like [`until`], but `None` when the time is over.
pub fn poll<T>(within: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let last = start.elapsed() >= within;
        if let Some(found) = look() {
            return Some(found);
        }
        if last {
            return None;
        }
        sleep(PAUSE);
    }
}
