//! CPUs: where a thread runs, what keeps them awake, and how busy they were.
//!
//! An idle virtual CPU takes tens of microseconds to wake, which drowns the differences between switches. So latency and
//! packet rates are measured while a thread of lowest priority spins on each CPU, and CPU time is counted without them.

use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::sys;

/// The client's CPU, and the generator's.
pub(crate) const CLIENT: usize = 0;

/// The server's CPU: another one where there is one.
#[must_use]
pub(crate) fn server() -> usize {
    usize::from(count() > 1)
}

/// CPUs of this machine.
#[must_use]
pub(crate) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Binds the calling thread to a CPU.
///
/// # Errors
/// What the kernel says.
pub(crate) fn pin(cpu: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("cannot run on CPU {cpu}"))
}

/// Spinning threads, one a CPU, for as long as this lives. As threads they cannot outlive the process.
pub(crate) struct Awake {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Awake {
    /// Keeps all CPUs awake.
    pub(crate) fn keep() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count()).map(|cpu| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || {
                // A thread that cannot step back for others must not spin.
                if pin(cpu).is_ok() && sys::run_only_when_idle().is_ok() {
                    while !stop.load(Ordering::Relaxed) {
                        spin_loop();
                    }
                }
            })
        });
        Self { threads: threads.collect(), stop }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// CPU seconds that the whole machine spent on anything since it started (`/proc/stat`).
///
/// # Errors
/// When the file reads otherwise than documented.
pub(crate) fn busy_seconds() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/stat")?;
    busy_ticks(&text).map(|ticks| ticks as f64 / TICKS_PER_SECOND)
}

/// `USER_HZ`: a hundredth of a second on every architecture that Rust runs on with Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that a process spent.
///
/// # Errors
/// When it is gone.
pub(crate) fn process_seconds(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in brackets, may hold spaces; user and system time are the 12th and 13th field behind it.
    let (_, fields) = text.rsplit_once(')').context("/proc/PID/stat has no name")?;
    let ticks: Vec<u64> =
        fields.split_whitespace().skip(11).take(2).map_while(|word| word.parse().ok()).collect();
    Ok(ticks.iter().sum::<u64>() as f64 / TICKS_PER_SECOND)
}

fn busy_ticks(stat: &str) -> Result<u64> {
    let line = stat.lines().next().context("/proc/stat is empty")?;
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|word| word.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guests are in user.
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else {
        anyhow::bail!("/proc/stat begins with {line:?}");
    };
    Ok(user + nice + system + irq + softirq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_not_busy() {
        assert_eq!(busy_ticks("cpu  1 2 4 100 1000 8 16 5000 0 0\ncpu0 1").expect("it is well formed"), 31);
    }

    #[test]
    fn spinners_end_with_their_handle() {
        drop(Awake::keep());
    }
}
