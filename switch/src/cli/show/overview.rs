//! Everything in one table: networks, their ports, who is behind them, and traffic.

use serde::Serialize;
use serde_json::{Map, Value};

use super::port::{dropped, hook, state};
use super::{NOTHING, list, or_nothing, table};
use crate::api::types::{Network, Port};

/// Networks, each with its ports: an array in JSON, in which `ports` holds the ports instead of their names.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::cli) struct Overview<'a> {
    networks: Vec<NetworkWithPorts<'a>>,
}

#[derive(Debug)]
struct NetworkWithPorts<'a> {
    network: &'a Network,
    ports: Vec<&'a Port>,
}

impl Serialize for NetworkWithPorts<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json = |error: serde_json::Error| serde::ser::Error::custom(error);
        let mut object: Map<String, Value> =
            serde_json::to_value(self.network).and_then(serde_json::from_value).map_err(json)?;
        object.insert("ports".to_string(), serde_json::to_value(&self.ports).map_err(json)?);
        object.serialize(serializer)
    }
}

impl<'a> Overview<'a> {
    /// Puts each port under its network. Ports of a network that came to be between the two questions are left out.
    pub(in crate::cli) fn new(networks: &'a [Network], ports: &'a [Port]) -> Self {
        let with_ports = |network: &'a Network| {
            let ports = ports.iter().filter(|port| port.network == network.name).collect();
            NetworkWithPorts { network, ports }
        };
        Self { networks: networks.iter().map(with_ports).collect() }
    }

    /// A line a port; a network without ports has one too.
    pub(in crate::cli) fn table(&self) -> String {
        let titles = ["NETWORK", "PORT", "STATE", "HOOK", "HOST", "MAC", "ADDRESSES", "RX", "TX", "DROPS"];
        let rows = self.networks.iter().flat_map(|NetworkWithPorts { network, ports }| {
            let empty = ports.is_empty().then(|| {
                let mut cells = [NOTHING; 10].map(str::to_string);
                cells[0].clone_from(&network.name);
                cells
            });
            ports.iter().map(|port| cells(port)).chain(empty)
        });
        table(titles, rows)
    }
}

fn cells(port: &Port) -> [String; 10] {
    let host = port.endpoint.as_ref();
    [
        port.network.clone(),
        port.name.clone(),
        state(port.state).to_string(),
        hook(port.hook).to_string(),
        or_nothing(host.and_then(|host| host.name.as_ref())),
        or_nothing(host.and_then(|host| host.mac)),
        list(host.map_or(&[][..], |host| &host.addresses)),
        port.counters.rx_packets.to_string(),
        port.counters.tx_packets.to_string(),
        dropped(port).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn networks_with_and_without_ports_are_listed() {
        let (networks, ports) =
            ([samples::network("default"), samples::network("blue")], [samples::port("veth0")]);
        let overview = Overview::new(&networks, &ports);
        let text = overview.table();
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        let host = ["web", "02:42:ac:11:00:02", "172.17.0.2"];
        assert_eq!(
            lines[1],
            [&["default", "veth0", "forwarding", "tc"], &host[..], &["1200", "900", "7"]].concat()
        );
        assert_eq!(lines[2], ["blue", "-", "-", "-", "-", "-", "-", "-", "-", "-"]);
        let json = serde_json::to_value(&overview).expect("JSON");
        assert_eq!((&json[0]["Name"], &json[0]["ports"][0]["name"]), (&"default".into(), &"veth0".into()));
        assert_eq!(json[1]["ports"], serde_json::json!([]));
    }
}
