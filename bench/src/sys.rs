//! The one system call that no crate offers in a safe form: a thread that runs only when nobody else wants to.

use std::io;

/// Gives the calling thread the policy `SCHED_IDLE`: it runs when nothing else would (`sched(7)`).
///
/// # Errors
/// What the kernel says.
pub(crate) fn run_only_when_idle() -> io::Result<()> {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure outlives the call, and 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
