//! Networks: a line each, beginning as `docker network ls` does.

use super::{or_nothing, table, yes_no};
use crate::api::types::Network;

/// A line a network.
pub(in crate::cli) fn networks(networks: &[Network]) -> String {
    let titles =
        ["NETWORK ID", "NAME", "DRIVER", "SCOPE", "PORTS", "FDB", "AGEING", "MTU", "VLAN-AWARE", "INTERNAL"];
    let rows = networks.iter().map(|network| {
        [
            network.id.clone(),
            network.name.clone(),
            network.driver.clone(),
            network.scope.clone(),
            network.ports.len().to_string(),
            network.fdb_entries.to_string(),
            if network.ageing == 0 { "never".to_string() } else { format!("{}s", network.ageing) },
            or_nothing(network.mtu),
            yes_no(network.vlan_aware),
            yes_no(network.internal),
        ]
    });
    table(titles, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_network_is_one_line() {
        let never = Network { ageing: 0, mtu: Some(9000), ..samples::network("blue") };
        let text = networks(&[samples::network("default"), never]);
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["1", "default", "vswitch", "local", "1", "2", "300s", "-", "no", "no"]);
        assert_eq!(lines[2], ["1", "blue", "vswitch", "local", "1", "2", "never", "9000", "no", "no"]);
    }
}
