//! Endpoints: a record from `CreateEndpoint` to `DeleteEndpoint`, and a link and a port from `Join` to `Leave`.
//!
//! The link is a veth pair whose near end is a port with the guard on, for its addresses are known; Docker moves the far
//! end into the container. Both are called after the endpoint, so that what an interrupted call left is found again.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::json;
use vswitch_common::mac::MacAddr;

use super::super::gateways::fnv;
use super::super::state::PortOptions;
use super::super::{Controller, netlink_failed};
use super::networks::NAME_LABEL;
use super::state::DockerEndpoint;
use super::{ENDPOINTS_MOST, no_such_endpoint, short};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::docker::{Answer, Binding, EndpointId, EndpointWish, Joined};
use crate::netlink::LinkKind;
use crate::netlink::veth::{self, End};

/// Names of the two ends: these letters and twelve digits of Docker's id, of the 15 letters that a link's name can have.
const NEAR: &str = "vsd";
const FAR: &str = "vsc";

impl Controller {
    pub(super) async fn docker_endpoint_create(&mut self, wish: EndpointWish) -> Result<Answer, ApiError> {
        let network = self.docker_network(&wish.id.network)?.clone();
        let id = &wish.id.endpoint;
        if let Some(known) = self.state.docker.endpoints.get(id) {
            let is_same = known.network == wish.id.network && known.ips == wish.ips;
            return match is_same && wish.mac.is_none_or(|mac| mac == known.mac) {
                true => Ok(Answer::Endpoint { mac: known.is_own_mac.then_some(known.mac) }),
                false => Err(ApiError::new(
                    ErrorCode::EntryExists,
                    format!("Docker's endpoint {} is here already, with other addresses", short(id)),
                )),
            };
        }
        if self.state.docker.endpoints.len() >= ENDPOINTS_MOST {
            let message = format!("there are {ENDPOINTS_MOST} endpoints already: stop a container first");
            return Err(ApiError::new(ErrorCode::LimitReached, message));
        }
        if let Some(mac) = wish.mac.filter(|mac| !mac.is_valid_source()) {
            let message = format!("{mac} cannot be a container's MAC: give an individual address");
            return Err(ApiError::new(ErrorCode::InvalidMac, message));
        }
        self.drop_dead_rivals(&wish).await?;
        self.check_addresses(&network.name, None, &wish.ips)?;
        let mac = wish.mac.unwrap_or_else(|| mac_of(&wish.ips, id));
        self.check_mac(&wish.id, mac)?;
        let endpoint = DockerEndpoint {
            network: wish.id.network,
            mac,
            is_own_mac: wish.mac.is_none(),
            ips: wish.ips,
            link: format!("{NEAR}{}", short(id)),
            far_link: format!("{FAR}{}", short(id)),
            is_joined: false,
            bindings: wish.bindings,
            publishes: Vec::new(),
            names: wish.names,
            hook: wish.hook.or(network.hook),
        };
        let answer = Answer::Endpoint { mac: endpoint.is_own_mac.then_some(mac) };
        self.state.docker.endpoints.insert(id.clone(), endpoint);
        if let Err(error) = self.save() {
            self.state.docker.endpoints.remove(id);
            return Err(error);
        }
        Ok(answer)
    }

    /// Endpoints of a container that has gone without Docker's saying so are not in a new one's way.
    async fn drop_dead_rivals(&mut self, wish: &EndpointWish) -> Result<(), ApiError> {
        let is_rival = |endpoint: &DockerEndpoint| {
            endpoint.network == wish.id.network
                && (endpoint.ips.iter().any(|ip| wish.ips.contains(ip)) || Some(endpoint.mac) == wish.mac)
        };
        let rivals = self.state.docker.endpoints.iter().filter(|(_, endpoint)| is_rival(endpoint));
        let rivals: Vec<String> = rivals.map(|(id, _)| id.clone()).collect();
        for rival in rivals {
            if !self.is_alive(&rival) {
                self.docker_endpoint_delete(&rival).await?;
            }
        }
        Ok(())
    }

    /// Two containers with one MAC at one network would take each other's frames.
    fn check_mac(&self, id: &EndpointId, mac: MacAddr) -> Result<(), ApiError> {
        let taken = |by: String| {
            Err(ApiError::new(ErrorCode::AddressInUse, format!("{mac} is {by}: choose another address")))
        };
        let mut others = self.state.docker.endpoints.iter();
        if let Some((other, _)) = others.find(|(_, e)| e.network == id.network && e.mac == mac) {
            return taken(format!("the MAC of endpoint {} already", short(other)));
        }
        let network = self.docker_network(&id.network)?;
        let gateway = self.state.networks.get(&network.name).and_then(|network| network.gateway.as_ref());
        match gateway.filter(|gateway| gateway.mac == mac) {
            Some(_) => taken("the gateway's".to_owned()),
            None => Ok(()),
        }
    }

    pub(super) async fn docker_join(
        &mut self,
        id: &EndpointId,
        bindings: Vec<Binding>,
    ) -> Result<Answer, ApiError> {
        let endpoint = self.docker_endpoint(&id.endpoint)?.clone();
        if endpoint.network != id.network {
            return Err(no_such_endpoint(&id.endpoint));
        }
        if self.is_alive(&id.endpoint) {
            return Err(ApiError::new(
                ErrorCode::PortExists,
                format!("endpoint {} is in a container already: stop that first", short(&id.endpoint)),
            ));
        }
        // What an earlier try made is made anew.
        self.remove_endpoint_link(&id.endpoint).await?;
        if let Some(endpoint) = self.state.docker.endpoints.get_mut(&id.endpoint) {
            endpoint.is_joined = true;
            if !bindings.is_empty() {
                endpoint.bindings = bindings;
            }
        }
        // Durable before there is anything to forget.
        let made = match self.save() {
            Ok(()) => self.make_endpoint_link(&endpoint).await,
            failed => failed,
        };
        if let Err(error) = made {
            self.docker_leave(&id.endpoint).await?;
            return Err(error);
        }
        let network = self.docker_network(&id.network)?.name.clone();
        let state = self.network(&network)?;
        let gateway = state.gateway.as_ref().filter(|_| !state.internal);
        let has = |ip: &IpAddr| endpoint.ips.iter().any(|own| own.is_ipv4() == ip.is_ipv4());
        let gateways = gateway.map(|gateway| gateway.addresses()).unwrap_or_default();
        let gateways = gateways.into_iter().filter(has).collect();
        Ok(Answer::Joined(Joined { link: endpoint.far_link, gateways }))
    }

    async fn make_endpoint_link(&mut self, endpoint: &DockerEndpoint) -> Result<(), ApiError> {
        let docker = self.docker_network(&endpoint.network)?.clone();
        let asked = self.network(&docker.name)?.mtu;
        let mtu = Some(match asked {
            Some(mtu) => mtu,
            None => self.way_out_mtu().await,
        });
        let near = End { name: endpoint.link.clone(), mac: None, mtu };
        let far = End { name: endpoint.far_link.clone(), mac: Some(endpoint.mac), mtu };
        veth::create(&self.netlink, &near, &far).await.map_err(|error| netlink_failed(&error))?;
        let mut options = PortOptions {
            isolated: docker.isolated,
            mac: Some(endpoint.mac),
            ips: endpoint.ips.clone(),
            hook: endpoint.hook.unwrap_or_default(),
            ..PortOptions::default()
        };
        set_names(&mut options, &endpoint.names);
        self.make_port(&endpoint.link, &docker.name, options).await.map(|_| ())
    }

    pub(super) async fn docker_leave(&mut self, id: &str) -> Result<Answer, ApiError> {
        if !self.state.docker.endpoints.contains_key(id) {
            return Ok(Answer::Done);
        }
        self.docker_unpublish(id).await?;
        self.remove_endpoint_link(id).await?;
        if let Some(endpoint) = self.state.docker.endpoints.get_mut(id) {
            endpoint.is_joined = false;
        }
        self.save()?;
        Ok(Answer::Done)
    }

    /// Takes an endpoint's port apart and removes its link, as far as there are any.
    pub(super) async fn remove_endpoint_link(&mut self, id: &str) -> Result<(), ApiError> {
        let link = self.docker_endpoint(id)?.link.clone();
        if let Some((port, _)) = self.state.port_by_link(&link) {
            self.remove_port(port).await?;
        }
        match self.netlink.by_name(&link).await {
            Ok(found) if found.kind == LinkKind::Veth => {
                veth::delete(&self.netlink, found.index).await.map_err(|error| netlink_failed(&error))
            }
            Ok(_) => Ok(()),
            Err(error) if error.is_no_such_link() => Ok(()),
            Err(error) => Err(netlink_failed(&error)),
        }
    }

    pub(super) async fn docker_endpoint_delete(&mut self, id: &str) -> Result<Answer, ApiError> {
        self.docker_leave(id).await?;
        if self.state.docker.endpoints.remove(id).is_some() {
            self.save()?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn docker_endpoint_info(&self, id: &EndpointId) -> Result<Answer, ApiError> {
        let endpoint = self.docker_endpoint(&id.endpoint)?;
        let publishes: Vec<String> = endpoint.publishes.iter().map(ToString::to_string).collect();
        let port = self.state.port_by_link(&endpoint.link).map(|(_, port)| port.link.clone());
        let info = [
            ("com.docker.network.endpoint.macaddress", json!(endpoint.mac.to_string())),
            ("vswitch.network", json!(self.docker_network(&endpoint.network)?.name)),
            ("vswitch.port", json!(port)),
            ("vswitch.publish", json!(publishes)),
        ];
        let info: BTreeMap<String, _> =
            info.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Ok(Answer::Info(info))
    }

    pub(super) async fn docker_name(
        &mut self,
        id: &str,
        names: Vec<String>,
        network: &str,
    ) -> Result<Answer, ApiError> {
        let Some(endpoint) = self.state.docker.endpoints.get_mut(id) else { return Ok(Answer::Done) };
        // What the user said at our own option comes first.
        let mut all = endpoint.names.clone();
        all.extend(names.into_iter().filter(|name| !endpoint.names.contains(name)));
        endpoint.names.clone_from(&all);
        let (link, docker) = (endpoint.link.clone(), endpoint.network.clone());
        let name = self.docker_network(&docker)?.name.clone();
        if let Some(state) = self.state.networks.get_mut(&name) {
            state.labels.insert(NAME_LABEL.to_owned(), network.to_owned());
        }
        if let Some(slot) = self.state.port_by_link(&link).map(|(port, _)| port.0)
            && let Some(port) = self.state.ports.get_mut(&slot)
        {
            set_names(&mut port.options, &all);
        }
        self.save()?;
        self.publish_names(&name).await;
        Ok(Answer::Done)
    }

    pub(super) fn docker_endpoint(&self, id: &str) -> Result<&DockerEndpoint, ApiError> {
        self.state.docker.endpoints.get(id).ok_or_else(|| no_such_endpoint(id))
    }

    /// Whether the endpoint's far end is in a container: away from our namespace, as far as the last look saw.
    pub(super) fn is_alive(&self, id: &str) -> bool {
        let Some(endpoint) = self.state.docker.endpoints.get(id) else { return false };
        let Some((port, state)) = self.state.port_by_link(&endpoint.link) else { return false };
        let peer = self.live.get(&port.0).and_then(|live| live.peer.as_ref());
        state.ifindex != 0 && peer.is_some_and(|peer| !peer.is_in_same_namespace())
    }
}

fn set_names(options: &mut PortOptions, names: &[String]) {
    options.name = names.first().cloned();
    options.aliases = names.get(1..).unwrap_or_default().to_vec();
}

/// The MAC of a container whose user wants none of choice: locally administered, and the same with the same address, so
/// that its neighbours need not learn another when it starts again.
fn mac_of(ips: &[IpAddr], id: &str) -> MacAddr {
    let number = match ips.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(ip.octets()),
        IpAddr::V6(_) => None,
    }) {
        Some(octets) => octets,
        None => fnv(ips.first().map_or_else(|| id.to_owned(), ToString::to_string).bytes()).to_be_bytes(),
    };
    let [a, b, c, d] = number;
    MacAddr::from_octets([0x02, 0x56, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_gives_the_same_mac() {
        let one = mac_of(&[IpAddr::from([10, 1, 0, 2])], "a");
        assert_eq!(one.to_string(), "02:56:0a:01:00:02");
        assert_eq!(one, mac_of(&["fd00::2".parse().expect("an address"), IpAddr::from([10, 1, 0, 2])], "b"));
        assert!(mac_of(&[], "a").is_valid_source() && mac_of(&[], "a") != mac_of(&[], "b"));
    }
}
