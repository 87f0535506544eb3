//! Gateways: making, mending and removing what joins a network to the host's stack, and saying what there is.
//!
//! The port's end of a gateway is a port like others, brought about by `converge`; here is what others lack: its link is
//! ours, its entry is local, and it lives as long as its network.

use std::net::IpAddr;

use ipnet::IpNet;
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;

use super::Controller;
use super::state::{NetworkState, PortOptions, PortState};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Container, EventKind, Gateway, Ipam, NetworkSpec, SubnetConfig};
use crate::error::chain;
use crate::gateway::ipam::{self, Pool, overlap};
use crate::gateway::{ENDPOINT_NAME, GatewayError, GatewayState, link};

/// Who a machine is, to itself (machine-id(5)).
const MACHINE_ID: &str = "/etc/machine-id";

impl Controller {
    /// The pools of a network to be, after a look at who has these addresses already.
    pub(super) async fn plan_pools(&self, spec: &NetworkSpec) -> Result<Vec<Pool>, ApiError> {
        let pools = ipam::pools(&spec.subnets, &spec.gateways)?;
        for pool in &pools {
            if let Some(other) = self.find_overlap(&pool.subnet).await? {
                return Err(GatewayError::Overlap { subnet: pool.subnet, other }.into());
            }
        }
        Ok(pools)
    }

    /// The network or link of the host whose subnet overlaps.
    pub(super) async fn find_overlap(&self, subnet: &IpNet) -> Result<Option<String>, ApiError> {
        let networks = self.state.networks.iter().flat_map(|(name, network)| {
            network.gateway.iter().flat_map(move |gateway| gateway.pools.iter().map(move |pool| (name, pool)))
        });
        for (name, pool) in networks {
            if overlap(subnet, &pool.subnet) {
                return Ok(Some(format!("{} of network {name}", pool.subnet)));
            }
        }
        for (index, given) in self.netlink.all_addresses().await.map_err(GatewayError::from)? {
            let Ok(there) = IpNet::new(given.address, given.prefix_len).map(|there| there.trunc()) else {
                continue;
            };
            if overlap(subnet, &there) {
                let link = self.netlink.by_index(index).await;
                let link =
                    link.map_or_else(|_| format!("link {index}"), |link| format!("link {}", link.name));
                return Ok(Some(format!("{there} of the host's {link}")));
            }
        }
        Ok(None)
    }

    /// Makes the gateway of a network that has none.
    ///
    /// # Errors
    /// Why not; all that was done is undone then.
    pub(super) async fn gateway_add(&mut self, name: &str, pools: Vec<Pool>) -> Result<(), ApiError> {
        let Some(network) = self.state.networks.get(name) else { return Ok(()) };
        let id = network.id;
        let (link, port_link) = link::free_names(&self.netlink, id).await.map_err(GatewayError::from)?;
        let full = |what| ApiError::new(ErrorCode::LimitReached, format!("{what}: delete a port first"));
        let port = self.state.free_slot(self.limits.ports);
        let port = port.ok_or_else(|| full(format!("all {} port slots are taken", self.limits.ports)))?;
        let place = self.state.free_place(name).ok_or_else(|| full(format!("network {name} is full")))?;
        let mac = link::mac(self.identity(), id);
        let gateway = GatewayState { link, port_link: port_link.clone(), port: port.0, mac, pools };
        let options = PortOptions {
            name: Some(ENDPOINT_NAME.to_owned()),
            mac: Some(mac),
            ips: gateway.addresses(),
            trusted: true,
            router: true,
            ..PortOptions::default()
        };
        let state = PortState::new(port_link.clone(), name.to_owned(), place, options);
        self.state.ports.insert(port.0, state);
        if let Some(network) = self.state.networks.get_mut(name) {
            network.gateway = Some(gateway);
        }
        // Durable before there is anything to forget.
        let done = match self.save() {
            Ok(()) => self.bring_gateway_about(name, port).await,
            failed => failed,
        };
        if let Err(error) = done {
            if let Err(undoing) = self.gateway_remove(name).await {
                tracing::warn!(
                    network = name,
                    error = chain(&undoing),
                    "cannot undo a gateway that was not made"
                );
            }
            return Err(error);
        }
        self.publish(EventKind::PortAdded { port: port_link });
        Ok(())
    }

    async fn bring_gateway_about(&mut self, name: &str, port: PortId) -> Result<(), ApiError> {
        self.ensure_gateway(name).await?;
        self.datapath.clear_counters(port).map_err(|e| super::datapath_failed(&e))?;
        self.converge(port).await?;
        self.install_entries(port)?;
        self.apply_rules().await?;
        self.publish_names(name).await;
        self.look_at_firewall().await;
        Ok(())
    }

    /// Makes the gateway's links what they should be, if the network has one.
    pub(super) async fn ensure_gateway(&self, name: &str) -> Result<(), ApiError> {
        let Some(network) = self.state.networks.get(name) else { return Ok(()) };
        let Some(gateway) = &network.gateway else { return Ok(()) };
        let mtu = link::pair_mtu(network.mtu, self.way_out_mtu().await);
        Ok(link::ensure(&self.netlink, gateway, mtu).await.map_err(GatewayError::from)?)
    }

    /// Removes the gateway of a network: port, links, and what they are known by.
    pub(super) async fn gateway_remove(&mut self, name: &str) -> Result<(), ApiError> {
        let Some(gateway) = self.state.networks.get(name).and_then(|network| network.gateway.clone()) else {
            return Ok(());
        };
        self.forget_name_server(name);
        self.unpublish(name).await;
        if self.state.ports.contains_key(&gateway.port) {
            self.remove_port(PortId(gateway.port)).await?;
        }
        link::remove(&self.netlink, &gateway).await.map_err(GatewayError::from)?;
        if let Some(network) = self.state.networks.get_mut(name) {
            network.gateway = None;
        }
        self.apply_rules().await?;
        self.save()
    }

    /// Removes every gateway, for a teardown.
    pub(super) async fn remove_gateways(&mut self) -> Result<(), ApiError> {
        for name in self.networks_with_gateway() {
            self.gateway_remove(&name).await?;
        }
        Ok(())
    }

    /// At start: makes links that have gone meanwhile, before their ports look for them.
    pub(super) async fn adopt_gateways(&mut self) {
        for name in self.networks_with_gateway() {
            if let Err(error) = self.ensure_gateway(&name).await {
                tracing::warn!(network = name, error = chain(&error), "the network has no gateway for now");
            }
        }
        if let Err(error) = self.apply_rules().await {
            tracing::warn!(
                error = chain(&error),
                "networks are not translated or forwarded as they should be"
            );
        }
    }

    /// Makes links again that somebody deleted; their ports follow when the links appear.
    pub(super) async fn mend_gateways(&mut self) {
        for name in self.networks_with_gateway() {
            let gateway = self.state.networks.get(&name).and_then(|network| network.gateway.as_ref());
            let port = gateway.and_then(|gateway| self.state.ports.get(&gateway.port));
            if port.is_some_and(|port| port.ifindex != 0) {
                continue;
            }
            match self.ensure_gateway(&name).await {
                Ok(()) => {
                    tracing::info!(network = name, "made the network's gateway again");
                    self.forget_name_server(&name);
                    self.publish_names(&name).await;
                }
                Err(error) => tracing::debug!(network = name, error = chain(&error), "no gateway for now"),
            }
        }
    }

    pub(super) fn networks_with_gateway(&self) -> Vec<String> {
        let networks = self.state.networks.iter().filter(|(_, network)| network.gateway.is_some());
        networks.map(|(name, _)| name.clone()).collect()
    }

    /// The MTU towards the world; Ethernet's where that cannot be found out.
    pub(super) async fn way_out_mtu(&self) -> u32 {
        link::mtu(&self.netlink, None).await.unwrap_or(link::MTU_DEFAULT)
    }

    /// Refuses to take a gateway's port apart.
    pub(super) fn check_no_gateway(&self, port: PortId) -> Result<(), ApiError> {
        let Some((network, _)) = self.state.gateway_of_port(port) else { return Ok(()) };
        Err(GatewayError::GatewayPort { link: self.link_name(port), network: network.to_owned() }.into())
    }

    /// Refuses an entry for a gateway's address.
    pub(super) fn check_no_gateway_mac(&self, network: &str, mac: MacAddr) -> Result<(), ApiError> {
        let gateway = self.state.networks.get(network).and_then(|network| network.gateway.as_ref());
        match gateway.filter(|gateway| gateway.mac == mac) {
            Some(_) => {
                let link = mac.to_string();
                Err(GatewayError::GatewayPort { link, network: network.to_owned() }.into())
            }
            None => Ok(()),
        }
    }

    /// A number that other switches, here and on other machines, do not have.
    pub(super) fn identity(&self) -> u32 {
        let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
        fnv(machine.trim().bytes().chain(self.paths.state_dir.bytes()))
    }

    pub(super) fn has_ipv6(&self, network: &NetworkState) -> bool {
        network.gateway.iter().any(|gateway| gateway.addresses().iter().any(IpAddr::is_ipv6))
    }

    pub(super) fn ipam_json(&self, network: &NetworkState) -> Ipam {
        let Some(gateway) = &network.gateway else {
            return Ipam { driver: "null".to_owned(), config: Vec::new() };
        };
        let config = gateway.pools.iter();
        let config =
            config.map(|pool| SubnetConfig { subnet: pool.subnet.to_string(), gateway: pool.gateway });
        Ipam { driver: "default".to_owned(), config: config.collect() }
    }

    pub(super) fn gateway_json(
        &self,
        name: &str,
        network: &NetworkState,
        way_out_mtu: u32,
    ) -> Option<Gateway> {
        let gateway = network.gateway.as_ref()?;
        Some(Gateway {
            link: gateway.link.clone(),
            port: self.link_name(PortId(gateway.port)),
            mac: gateway.mac,
            mtu: network.mtu.unwrap_or(way_out_mtu),
            warnings: self.firewall.warnings_of(name),
        })
    }

    pub(super) fn containers_json(&self, name: &str) -> std::collections::BTreeMap<String, Container> {
        let gateway = self.state.networks.get(name).and_then(|network| network.gateway.as_ref());
        let is_guest = |slot: u16| gateway.is_none_or(|gateway| gateway.port != slot);
        let with_prefix = |ip: &IpAddr| {
            let pool = gateway.and_then(|gateway| gateway.pool_of(*ip));
            pool.map_or_else(|| ip.to_string(), |pool| format!("{ip}/{}", pool.subnet.prefix_len()))
        };
        let ports = self.state.ports.iter().filter(|(slot, port)| port.network == name && is_guest(**slot));
        let known = ports.filter(|(_, port)| {
            let options = &port.options;
            options.name.is_some() || options.mac.is_some() || !options.ips.is_empty()
        });
        let container = |port: &PortState| {
            let first = |is: fn(&IpAddr) -> bool| {
                port.options.ips.iter().find(|ip| is(ip)).map(with_prefix).unwrap_or_default()
            };
            Container {
                name: port.options.name.clone().unwrap_or_default(),
                mac: port.options.mac.map(|mac| mac.to_string()).unwrap_or_default(),
                ipv4: first(IpAddr::is_ipv4),
                ipv6: first(IpAddr::is_ipv6),
            }
        };
        known.map(|(_, port)| (port.link.clone(), container(port))).collect()
    }
}

/// FNV-1a, for names that must be the same with every build.
pub(super) fn fnv(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
