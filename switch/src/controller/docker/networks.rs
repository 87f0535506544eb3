//! Networks that Docker makes: networks of the switch like others, and known by Docker's id.

use super::super::Controller;
use super::state::DockerNetwork;
use super::{no_such_network, short};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::NetworkSpec;
use crate::api::types::docker::{Answer, NetworkWish};
use crate::error::chain;

/// Label with Docker's id of the network.
const ID_LABEL: &str = "com.docker.network.id";
/// Label with what Docker calls it.
pub(super) const NAME_LABEL: &str = "com.docker.network.name";

impl Controller {
    pub(super) async fn docker_network_create(&mut self, wish: NetworkWish) -> Result<Answer, ApiError> {
        let name = wish.options.name.clone().unwrap_or_else(|| format!("docker-{}", short(&wish.id)));
        if let Some(known) = self.state.docker.networks.get(&wish.id) {
            let there = self.state.networks.get(&known.name);
            let there = there.and_then(|network| network.gateway.as_ref()).map_or(&[][..], |g| &g.pools);
            let is_same = there.iter().map(|p| p.subnet).eq(wish.pools.iter().map(|pool| pool.subnet));
            if known.name == name && is_same {
                return Ok(Answer::Done);
            }
            let message = format!("Docker's network {} is here already, with other subnets", short(&wish.id));
            return Err(ApiError::new(ErrorCode::NetworkExists, format!("{message}: remove it first")));
        }
        let labels = [(ID_LABEL.to_owned(), wish.id.clone())];
        let spec = NetworkSpec {
            name: name.clone(),
            subnets: wish.pools.iter().map(|pool| pool.subnet.to_string()).collect(),
            gateways: wish.pools.iter().filter_map(|pool| pool.gateway).collect(),
            internal: wish.internal,
            mtu: wish.options.mtu,
            big_tcp: wish.options.big_tcp,
            labels: labels.into_iter().collect(),
            ..NetworkSpec::default()
        };
        // What its way through Docker's chain lets pass is not to be warned of.
        self.firewall.is_held = true;
        let created = self.network_create(spec).await;
        self.firewall.is_held = false;
        created?;
        let options = wish.options;
        let network = DockerNetwork {
            name: name.clone(),
            isolated: options.isolated,
            host_ip: options.host_ip,
            hook: options.hook,
        };
        self.state.docker.networks.insert(wish.id.clone(), network);
        self.set_aside(&name, wish.pools.iter().flat_map(|pool| pool.auxiliary.iter().copied()));
        if let Err(error) = self.save() {
            self.state.docker.networks.remove(&wish.id);
            if let Err(undoing) = self.network_remove(&name, true).await {
                tracing::warn!(network = name, error = chain(&undoing), "cannot undo a network");
            }
            return Err(error);
        }
        self.ensure_passage().await;
        self.look_at_firewall().await;
        Ok(Answer::Done)
    }

    /// Addresses that Docker keeps for others are given to nobody.
    fn set_aside(&mut self, network: &str, ips: impl Iterator<Item = std::net::IpAddr>) {
        let Some(network) = self.state.networks.get_mut(network) else { return };
        let Some(gateway) = &mut network.gateway else { return };
        for ip in ips {
            let pool = gateway.pools.iter_mut().find(|pool| pool.has_host(ip) && pool.gateway != ip);
            if let Some(pool) = pool {
                pool.reserved.insert(ip);
            }
        }
    }

    pub(super) async fn docker_network_delete(&mut self, id: &str) -> Result<Answer, ApiError> {
        let Some(network) = self.state.docker.networks.get(id).cloned() else { return Ok(Answer::Done) };
        let endpoints = self.state.docker.endpoints.iter().filter(|(_, endpoint)| endpoint.network == id);
        let endpoints: Vec<String> = endpoints.map(|(id, _)| id.clone()).collect();
        for endpoint in endpoints {
            if self.is_alive(&endpoint) {
                return Err(ApiError::new(
                    ErrorCode::NetworkInUse,
                    format!(
                        "network {} has a container at endpoint {}: stop it first",
                        network.name,
                        short(&endpoint)
                    ),
                ));
            }
            // Docker knows of none, so this is one of those that it could not tell us of.
            self.docker_endpoint_delete(&endpoint).await?;
        }
        self.network_remove_whoever(&network.name, false).await?;
        self.state.docker.networks.remove(id);
        self.ensure_passage().await;
        self.save()?;
        Ok(Answer::Done)
    }

    /// Docker's network of this id.
    pub(super) fn docker_network(&self, id: &str) -> Result<&DockerNetwork, ApiError> {
        self.state.docker.networks.get(id).ok_or_else(|| no_such_network(id))
    }

    /// Refuses to take a network away from Docker.
    pub(in crate::controller) fn check_not_of_docker(&self, name: &str) -> Result<(), ApiError> {
        match self.state.docker.networks.iter().find(|(_, network)| network.name == name) {
            Some((id, _)) => Err(ApiError::new(
                ErrorCode::NetworkInUse,
                format!(
                    "network {name} is Docker's: `docker network rm {}`, or use --force and let Docker find out",
                    short(id)
                ),
            )),
            None => Ok(()),
        }
    }

    /// A network went by force: what Docker had in it goes too.
    pub(in crate::controller) async fn forget_docker_network(&mut self, name: &str) -> Result<(), ApiError> {
        let found = self.state.docker.networks.iter().find(|(_, network)| network.name == name);
        let Some(id) = found.map(|(id, _)| id.clone()) else { return Ok(()) };
        let endpoints = self.state.docker.endpoints.iter().filter(|(_, endpoint)| endpoint.network == id);
        let endpoints: Vec<String> = endpoints.map(|(id, _)| id.clone()).collect();
        for endpoint in endpoints {
            self.docker_endpoint_delete(&endpoint).await?;
        }
        self.state.docker.networks.remove(&id);
        self.ensure_passage().await;
        Ok(())
    }
}
