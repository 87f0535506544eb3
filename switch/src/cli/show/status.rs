//! The controller's status, as `key  value` lines.

use super::port::hook_mode;
use super::{list, pairs, yes_no};
use crate::api::types::{DockerUser, DockerUserChain, DockerUserStatus, Status};

/// What the controller is and how it fares.
pub(in crate::cli) fn status(status: &Status) -> String {
    let features = status.kernel.features.iter().map(|(name, found)| format!("{name}={}", yes_no(*found)));
    let mut rows = vec![
        ("version", format!("{} (ABI {})", status.version, status.abi)),
        ("uptime", uptime(status.uptime_seconds)),
        ("adopted", yes_no(status.adopted)),
        ("kernel", status.kernel.release.clone()),
        ("features", list(features)),
        ("networks", status.networks.to_string()),
        ("ports", status.ports.to_string()),
        ("fdb", format!("{} of {} entries", status.fdb.entries, status.fdb.limit)),
        ("events lost", status.events_lost.to_string()),
        ("socket", status.paths.socket.clone()),
        ("state", status.paths.state_dir.clone()),
        ("pins", status.paths.bpffs.clone()),
    ];
    rows.extend(status.docker_user.map(|docker| ("docker-user", docker_user(docker))));
    rows.extend(status.warnings.iter().map(|warning| ("warning", warning.clone())));
    let limits = status.limits.iter();
    rows.extend(limits.map(|limit| {
        (
            "limit",
            format!("{} {} entries {} KiB", limit.name, limit.entries, limit.memory_bytes.div_ceil(1024)),
        )
    }));
    rows.extend(status.hooks.iter().map(|(port, mode)| ("hook", format!("{port} {}", hook_mode(*mode)))));
    pairs(rows)
}

/// Whether our jump is in Docker's chain for others.
fn docker_user(docker: DockerUserStatus) -> String {
    let chain = |found| match found {
        DockerUserChain::Unknown => "not looked at",
        DockerUserChain::NoChain => "no such chain",
        DockerUserChain::NoJump => "no jump",
        DockerUserChain::Jump => "jump in place",
    };
    match (docker.choice, docker.needed) {
        (DockerUser::Leave, _) => "left alone".to_owned(),
        (DockerUser::Jump, false) => "no jump: no network of Docker's needs one".to_owned(),
        (DockerUser::Jump, true) => {
            format!("iptables: {}, ip6tables: {}", chain(docker.iptables), chain(docker.ip6tables))
        }
    }
}

fn uptime(seconds: u64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {seconds}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h {minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_status_reads_as_keys_and_values() {
        let text = status(&samples::status());
        for line in [
            "version      0.1.0 (ABI 1)",
            "uptime       1d 2h 3m",
            "adopted      yes",
            "features     tcx=yes",
            "fdb          2 of 65536 entries",
            "limit        fdb 65536 entries 6400 KiB",
            "hook         veth0 tcx",
            "docker-user  iptables: jump in place, ip6tables: no such chain",
            "warning      network blue: chain forward drops",
        ] {
            assert!(text.lines().any(|found| found == line), "{text} lacks {line:?}");
        }
    }

    #[test]
    fn an_uptime_has_the_units_that_matter() {
        assert_eq!([59, 60, 3_661, 90_000].map(uptime), ["59s", "1m 0s", "1h 1m", "1d 1h 0m"]);
    }
}
