//! A server in a station for the time of one run.

use std::fs;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use vswitch_tests::process::Process;
use vswitch_tests::wait::poll;

use crate::rivals::Rival;
use crate::station::Station;

/// The next server's port: one that was just used may linger.
static NEXT: AtomicU16 = AtomicU16::new(20_000);

/// Longest wait for a server to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A port that no server had before.
pub(super) fn unused_port() -> u16 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Starts a server in a station on a CPU and waits until it listens on a TCP port.
pub(super) fn start(
    rival: &Rival,
    (station, cpu): (&Station, usize),
    port: u16,
    program: &str,
    arguments: &[&str],
) -> Result<Process> {
    let log = rival.scratch.path(&format!("{program}-server.log"));
    let mut server = Process::start(station.command_on(cpu, program).args(arguments), &log);
    let tables = ["tcp", "tcp6"].map(|table| format!("/proc/{}/net/{table}", server.pid()));
    let listens = poll(PATIENCE, || {
        if let Some(ended) = server.status() {
            return Some(Err(ended));
        }
        let found =
            tables.iter().any(|path| fs::read_to_string(path).is_ok_and(|text| listens_on(port, &text)));
        found.then_some(Ok(()))
    });
    match listens {
        Some(Ok(())) => Ok(server),
        Some(Err(ended)) => bail!("{program} ended with {ended}: {}", server.output()),
        None => bail!("{program} does not listen on port {port}: {}", server.output()),
    }
}

/// Whether a socket listens on a port: state `0A` (include/net/tcp_states.h).
fn listens_on(port: u16, table: &str) -> bool {
    let port = format!(":{port:04X}");
    table.lines().skip(1).any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        let state = fields.nth(1).unwrap_or_default();
        local.ends_with(&port) && state == "0A"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_socket_is_told_from_a_connected_one() {
        let line = |state| {
            format!(
                "  sl  local rem st\n   0: 00000000:1451 00000000:0000 {state} 00000000:00000000 00:0 0\n"
            )
        };
        assert!(listens_on(5201, &line("0A")));
        assert!(!listens_on(5201, &line("01")));
        assert!(!listens_on(5202, &line("0A")));
    }
}
