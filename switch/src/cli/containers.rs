//! Names of containers that nobody told vswitch of, asked of a Docker engine: those behind the ports of a bridge that was
//! taken over, for one.
//!
//! Only for people to see, so the command asks and not the controller, which must never wait for an engine that may be
//! waiting for it. Without an engine, or with one that is slow, there are no names; that is no error.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use vswitch_common::mac::MacAddr;

use crate::api::types::Port;
use crate::engine;

/// How long the engine may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// A container of the engine's list, as far as it says who is behind a port.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Container {
    names: Vec<String>,
    network_settings: Settings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Settings {
    networks: std::collections::BTreeMap<String, Place>,
}

/// Where a container is in one network.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    #[serde(rename = "MacAddress")]
    mac: String,
    #[serde(rename = "IPAddress")]
    ipv4: String,
    #[serde(rename = "GlobalIPv6Address")]
    ipv6: String,
}

/// The engine's running containers; none if it does not answer.
pub(super) async fn running(socket: &Path) -> Vec<Container> {
    match tokio::time::timeout(ANSWER_LIMIT, engine::get(socket, "/containers/json")).await {
        Ok(Some(containers)) => containers,
        _ => Vec::new(),
    }
}

/// Names ports whose host has a MAC that a container has, unless it was named; and says the container's addresses where
/// nobody has heard any.
pub(super) fn name(ports: &mut [Port], containers: &[Container]) {
    for endpoint in ports.iter_mut().filter_map(|port| port.endpoint.as_mut()) {
        let found = endpoint.mac.and_then(|mac| find(containers, mac));
        let Some((container, place)) = found.filter(|_| endpoint.name.is_none()) else { continue };
        endpoint.name = container.names.first().map(|name| name.trim_start_matches('/').to_owned());
        if endpoint.addresses.is_empty() {
            let said = [&place.ipv4, &place.ipv6].into_iter();
            endpoint.addresses = said.filter_map(|ip| ip.parse::<IpAddr>().ok()).collect();
        }
    }
}

fn find(containers: &[Container], mac: MacAddr) -> Option<(&Container, &Place)> {
    let places = containers.iter().flat_map(|container| {
        container.network_settings.networks.values().map(move |place| (container, place))
    });
    places.into_iter().find(|(_, place)| place.mac.parse() == Ok(mac))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_port_is_named_after_the_container_with_its_mac() {
        let text = r#"[{"Id":"1","Names":["/other"]},{"Names":["/web","/a/web"],"NetworkSettings":{"Networks":{"bridge":
            {"MacAddress":"02:42:ac:11:00:02","IPAddress":"172.17.0.2","GlobalIPv6Address":""}}}}]"#;
        let containers: Vec<Container> = serde_json::from_str(text).expect("an engine's list");
        let mut ports = [samples::port("veth0"), samples::port("veth1")];
        for port in &mut ports {
            let endpoint = port.endpoint.as_mut().expect("an endpoint");
            endpoint.name = None;
            endpoint.addresses.clear();
        }
        ports[1].endpoint.as_mut().expect("an endpoint").mac = "02:42:ac:11:00:03".parse().ok();
        name(&mut ports, &containers);
        let [named, unknown] = ports.map(|port| port.endpoint.expect("an endpoint"));
        assert_eq!(named.name.as_deref(), Some("web"));
        assert_eq!(named.addresses, ["172.17.0.2".parse::<IpAddr>().expect("an address")]);
        assert!(unknown.name.is_none() && unknown.addresses.is_empty());
    }

    #[test]
    fn who_was_named_keeps_the_name() {
        let mut ports = [samples::port("veth0")];
        let text =
            r#"[{"Names":["/x"],"NetworkSettings":{"Networks":{"n":{"MacAddress":"02:42:ac:11:00:02"}}}}]"#;
        name(&mut ports, &serde_json::from_str::<Vec<Container>>(text).expect("an engine's list"));
        assert_eq!(ports[0].endpoint.as_ref().and_then(|host| host.name.as_deref()), Some("web"));
    }
}
