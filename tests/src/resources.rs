//! What a controller takes of the machine: memory and processor time, as Linux counts them.

use std::fs;
use std::time::Duration;

use crate::switch::Switch;

/// Jiffies a second in `/proc`, whatever the kernel counts by itself (`USER_HZ` of `asm-generic/param.h`).
const JIFFIES_A_SECOND: u64 = 100;

/// Memory of the controller that is in use, in KiB.
///
/// # Panics
/// When it does not run.
#[must_use]
#[track_caller]
pub fn resident_kib(switch: &Switch) -> u64 {
    let status = read(switch, "status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says so");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Processor time that the controller has taken so far.
///
/// # Panics
/// When it does not run.
#[must_use]
#[track_caller]
pub fn processor_time(switch: &Switch) -> Duration {
    let stat = read(switch, "stat");
    // The name before it may have spaces in it (proc_pid_stat(5)).
    let (_, fields) = stat.rsplit_once(')').expect("Linux says so");
    let spent =
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number"));
    Duration::from_millis(spent.sum::<u64>() * 1000 / JIFFIES_A_SECOND)
}

#[track_caller]
fn read(switch: &Switch, file: &str) -> String {
    let pid = switch.pid().expect("the controller runs");
    fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the controller runs")
}
