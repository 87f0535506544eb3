//! Names of networks with a gateway: publishing who is called what, and keeping a server at each gateway.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Controller;
use crate::gateway::dns::{self, CurrentNames, Names, Server, Upstreams};

/// The servers, by network.
#[derive(Debug, Default)]
pub(super) struct NameServers {
    upstreams: Arc<Upstreams>,
    by_network: BTreeMap<String, NameServer>,
}

#[derive(Debug, Default)]
struct NameServer {
    names: CurrentNames,
    /// None while its sockets cannot be bound.
    server: Option<Server>,
    /// Whether somebody was told so.
    is_failure_said: bool,
}

impl Controller {
    /// Makes a network's names those of its ports, and serves them if it has a gateway.
    pub(super) async fn publish_names(&mut self, network: &str) {
        if self.state.networks.get(network).is_none_or(|network| network.gateway.is_none()) {
            return;
        }
        let names = self.names_of(network);
        let server = self.name_servers.by_network.entry(network.to_owned()).or_default();
        server.names.set(names);
        if server.server.is_none() {
            self.serve_names(network).await;
        }
    }

    /// The links of a network's gateway are new: so are its sockets.
    pub(super) fn forget_name_server(&mut self, network: &str) {
        self.name_servers.by_network.remove(network);
    }

    /// Tries again where a server could not be started.
    pub(super) async fn mend_name_servers(&mut self) {
        let down = self.name_servers.by_network.iter().filter(|(_, server)| server.server.is_none());
        let down: Vec<String> = down.map(|(network, _)| network.clone()).collect();
        for network in down {
            self.serve_names(&network).await;
        }
    }

    async fn serve_names(&mut self, network: &str) {
        let Some(gateway) = self.state.networks.get(network).and_then(|network| network.gateway.as_ref())
        else {
            return;
        };
        let upstreams = Arc::clone(&self.name_servers.upstreams);
        let Some(server) = self.name_servers.by_network.get_mut(network) else { return };
        match dns::start(&gateway.addresses(), server.names.clone(), upstreams).await {
            Ok(started) => {
                *server =
                    NameServer { server: Some(started), names: server.names.clone(), is_failure_said: false }
            }
            Err(error) if !server.is_failure_said => {
                server.is_failure_said = true;
                tracing::warn!(network, %error, "cannot serve names at port 53 of the gateway; trying again");
            }
            Err(_) => {}
        }
    }

    fn names_of(&self, network: &str) -> Names {
        let mut names = Names { network: network.to_owned(), ..Names::default() };
        if let Some(gateway) = self.state.networks.get(network).and_then(|network| network.gateway.as_ref()) {
            names.subnets = gateway.pools.iter().map(|pool| pool.subnet).collect();
        }
        for port in self.state.ports.values().filter(|port| port.network == network) {
            let Some(name) = &port.options.name else { continue };
            for ip in &port.options.ips {
                names.hosts.insert(*ip, name.clone());
                for name in port.options.aliases.iter().chain([name]) {
                    let addresses = names.addresses.entry(name.to_ascii_lowercase()).or_default();
                    if !addresses.contains(ip) {
                        addresses.push(*ip);
                    }
                }
            }
        }
        names
    }
}
