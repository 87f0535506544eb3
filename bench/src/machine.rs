//! The machine that a bench ran on, and the versions of what ran on it.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cpu;

/// Runnable tasks a second on average above which figures are not to be trusted.
const QUIET: f64 = 0.7;

/// What is written beside the figures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Machine {
    /// When it began, UTC.
    pub(crate) started: String,
    /// The source's commit, with `+` if there were changes beside it.
    pub(crate) commit: String,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Processor's name.
    pub(crate) processor: String,
    /// How many of them.
    pub(crate) cpus: usize,
    /// Whose virtual machine it is; `none` if it is none.
    pub(crate) virtualisation: String,
    /// Bytes of memory, in MB.
    pub(crate) memory_mb: u64,
    /// Load average of the minute before.
    pub(crate) load_before: f64,
    /// Programs that took part.
    pub(crate) versions: Vec<String>,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub(crate) fn look() -> Self {
        let dirty = !first_line("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
        let versions = [
            first_line("iperf3", &["--version"]),
            last_word_of("sockperf", &["--version"], "sockperf"),
            first_line("dockerd", &["--version"]),
            first_line("ovs-vswitchd", &["--version"]),
        ];
        Self {
            started: first_line("date", &["-u", "+%Y-%m-%d %H:%M"]),
            commit: if dirty { commit + "+" } else { commit },
            kernel: first_line("uname", &["-sr"]),
            processor: field("/proc/cpuinfo", "model name"),
            cpus: cpu::count(),
            virtualisation: first_line("systemd-detect-virt", &[]),
            memory_mb: field("/proc/meminfo", "MemTotal")
                .split(' ')
                .next()
                .and_then(|kib| kib.parse::<u64>().ok())
                .unwrap_or_default()
                / 1000,
            load_before: load(),
            versions: versions.into_iter().filter(|version| !version.is_empty()).collect(),
        }
    }

    /// Whether others had work for the CPUs just before.
    #[must_use]
    pub(crate) fn was_quiet(&self) -> bool {
        self.load_before < QUIET
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// What stands behind `NAME:` in a file of /proc, empty if there is none.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// The first line that a program prints, empty if it is not there.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

/// Where the version comes last in what a program prints.
fn last_word_of(program: &str, arguments: &[&str], name: &str) -> String {
    let line = first_line(program, arguments);
    if line.is_empty() {
        String::new()
    } else {
        format!("{name} {}", line.split(' ').next_back().unwrap_or(""))
    }
}
