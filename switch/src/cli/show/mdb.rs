//! Members of multicast groups: a line each.

use super::{or_nothing, table};
use crate::api::types::{MdbEntry, MdbKind};

/// A line a member.
pub(in crate::cli) fn members(members: &[MdbEntry]) -> String {
    let rows = members.iter().map(|member| {
        [
            member.group.map_or_else(|| format!("all {}", member.family), |group| group.to_string()),
            member.port.clone(),
            member.network.clone(),
            or_nothing(member.vlan),
            match member.kind {
                MdbKind::Member => "member",
                MdbKind::Router => "router",
            }
            .to_string(),
            or_nothing(member.expires_seconds.map(|seconds| format!("{seconds:.1}s"))),
        ]
    });
    table(["GROUP", "PORT", "NETWORK", "VLAN", "KIND", "EXPIRES"], rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_router_gets_all_groups() {
        let router =
            MdbEntry { group: None, kind: MdbKind::Router, expires_seconds: None, ..samples::member() };
        let text = members(&[samples::member(), router]);
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["239.1.2.3", "veth0", "default", "-", "member", "259.5s"]);
        assert_eq!(lines[2], ["all", "ipv4", "veth0", "default", "-", "router", "-"]);
    }
}
