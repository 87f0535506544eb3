//! Addresses of networks with subnets: who has which, reserving and releasing.
//!
//! A port has those that were said of its host, whether or not they were reserved before: a container engine reserves
//! first and adds the port later. Two ports never have the same, and nobody has the gateway's.

use std::net::IpAddr;

use vswitch_common::port::PortId;

use super::Controller;
use crate::api::error::ApiError;
use crate::api::types::{Address, AddressWish, Done, Reply};
use crate::gateway::ipam::{Pool, RESERVED_MOST, parse_subnet};
use crate::gateway::{ENDPOINT_NAME, GatewayError, GatewayState};

/// The holder of an address that is reserved.
const RESERVED: &str = "reserved";

impl Controller {
    pub(super) fn address_list(&self, network: &str) -> Result<Reply, ApiError> {
        let gateway = self.gateway_of(network)?;
        let mut addresses = Vec::new();
        for pool in &gateway.pools {
            let address = |ip: IpAddr, holder: &str| Address {
                network: network.to_owned(),
                ip,
                subnet: pool.subnet.to_string(),
                gateway: pool.gateway,
                holder: holder.to_owned(),
            };
            addresses.push(address(pool.gateway, ENDPOINT_NAME));
            for port in self.tenants(network, None) {
                let here = port.options.ips.iter().filter(|ip| pool.has_host(**ip));
                addresses.extend(here.map(|ip| address(*ip, &port.link)));
            }
            let is_held = |ip: &IpAddr| self.tenants(network, None).any(|port| port.options.ips.contains(ip));
            let free = pool.reserved.iter().filter(|ip| !is_held(ip));
            addresses.extend(free.map(|ip| address(*ip, RESERVED)));
        }
        addresses.sort_by_key(|address| address.ip);
        Ok(Reply::Addresses(addresses))
    }

    pub(super) fn address_reserve(&mut self, wish: &AddressWish) -> Result<Reply, ApiError> {
        let network = &wish.network;
        let gateway = self.gateway_of(network)?;
        if gateway.pools.iter().map(|pool| pool.reserved.len()).sum::<usize>() >= RESERVED_MOST {
            return Err(
                GatewayError::TooManyReserved { network: network.clone(), most: RESERVED_MOST }.into()
            );
        }
        let place = choose_pool(gateway, wish)?;
        let before = gateway.pools[place].clone();
        let mut pool = before.clone();
        let ip = match wish.ip {
            Some(ip) => {
                self.check_free(network, &pool, None, ip)?;
                if pool.reserved.contains(&ip) {
                    return Err(GatewayError::Taken { ip, holder: "reserved already".to_owned() }.into());
                }
                ip
            }
            None => pool
                .give(|ip| self.tenants(network, None).any(|port| port.options.ips.contains(&ip)))
                .ok_or_else(|| GatewayError::Exhausted { subnet: pool.subnet, network: network.clone() })?,
        };
        pool.reserved.insert(ip);
        let reply = Address {
            network: network.clone(),
            ip,
            subnet: pool.subnet.to_string(),
            gateway: pool.gateway,
            holder: RESERVED.to_owned(),
        };
        self.put_pool(network, place, pool);
        if let Err(error) = self.save() {
            self.put_pool(network, place, before);
            return Err(error);
        }
        Ok(Reply::Addresses(vec![reply]))
    }

    pub(super) fn address_release(&mut self, network: &str, ip: IpAddr) -> Result<Reply, ApiError> {
        let gateway = self.gateway_of(network)?;
        let place = gateway.pools.iter().position(|pool| pool.reserved.contains(&ip));
        let place = place.ok_or_else(|| GatewayError::NotReserved { ip, network: network.to_owned() })?;
        let mut pool = gateway.pools[place].clone();
        pool.reserved.remove(&ip);
        self.put_pool(network, place, pool);
        self.save()?;
        Ok(Reply::Done(Done { changed: 1 }))
    }

    /// Whether a port may have these addresses. Networks without a subnet let anybody have any.
    pub(super) fn check_addresses(
        &self,
        network: &str,
        port: Option<PortId>,
        ips: &[IpAddr],
    ) -> Result<(), ApiError> {
        let gateway = self.state.networks.get(network).and_then(|network| network.gateway.as_ref());
        let Some(gateway) = gateway.filter(|gateway| port.is_none_or(|port| port.0 != gateway.port)) else {
            return Ok(());
        };
        for ip in ips {
            // A link-local address is the host's own affair.
            if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
                continue;
            }
            let pool = gateway.pool_of(*ip).ok_or_else(|| GatewayError::NotHost {
                ip: *ip,
                subnets: gateway.pools.iter().map(|p| p.subnet.to_string()).collect::<Vec<_>>().join(", "),
            })?;
            self.check_free(network, pool, port, *ip)?;
        }
        Ok(())
    }

    /// Whether a host may have this name: where names are served, a name is one host's.
    pub(super) fn check_host_name(
        &self,
        network: &str,
        port: Option<PortId>,
        name: Option<&str>,
    ) -> Result<(), ApiError> {
        let has_gateway = self.state.networks.get(network).is_some_and(|network| network.gateway.is_some());
        let Some(name) = name.filter(|_| has_gateway) else { return Ok(()) };
        let holder = self.state.ports.iter().find(|(slot, other)| {
            let has_name =
                other.options.name.as_deref().is_some_and(|other| other.eq_ignore_ascii_case(name));
            other.network == network && has_name && port.is_none_or(|port| port.0 != **slot)
        });
        let Some((_, holder)) = holder else { return Ok(()) };
        let (name, network, holder) =
            (name.to_owned(), network.to_owned(), format!("behind port {}", holder.link));
        Err(GatewayError::NameTaken { name, network, holder }.into())
    }

    /// Refuses what is no host's address, the gateway's, or another port's.
    fn check_free(
        &self,
        network: &str,
        pool: &Pool,
        port: Option<PortId>,
        ip: IpAddr,
    ) -> Result<(), ApiError> {
        if !pool.has_host(ip) {
            return Err(pool.not_host(ip).into());
        }
        let holder = if ip == pool.gateway {
            Some(format!("the gateway of network {network}"))
        } else {
            let holder = self.tenants(network, port).find(|other| other.options.ips.contains(&ip));
            holder.map(|other| format!("that of port {} already", other.link))
        };
        holder.map_or(Ok(()), |holder| Err(GatewayError::Taken { ip, holder }.into()))
    }

    /// The ports of a network, except its gateway and `except`.
    fn tenants<'a>(
        &'a self,
        network: &'a str,
        except: Option<PortId>,
    ) -> impl Iterator<Item = &'a super::state::PortState> {
        let gateway = self.state.networks.get(network).and_then(|network| network.gateway.as_ref());
        self.state.ports.iter().filter_map(move |(slot, port)| {
            let is_meant = port.network == network
                && gateway.is_none_or(|gateway| gateway.port != *slot)
                && except.is_none_or(|except| except.0 != *slot);
            is_meant.then_some(port)
        })
    }

    /// The gateway of a network that must have one.
    pub(super) fn gateway_of(&self, network: &str) -> Result<&GatewayState, ApiError> {
        self.check_network(network)?;
        let gateway = self.state.networks.get(network).and_then(|network| network.gateway.as_ref());
        gateway.ok_or_else(|| GatewayError::NoSubnet { network: network.to_owned() }.into())
    }

    fn put_pool(&mut self, network: &str, place: usize, pool: Pool) {
        let gateway = self.state.networks.get_mut(network).and_then(|network| network.gateway.as_mut());
        if let Some(slot) = gateway.and_then(|gateway| gateway.pools.get_mut(place)) {
            *slot = pool;
        }
    }
}

/// The place of the pool that is meant: by subnet, by address, or the first.
fn choose_pool(gateway: &GatewayState, wish: &AddressWish) -> Result<usize, ApiError> {
    let subnets = || gateway.pools.iter().map(|p| p.subnet.to_string()).collect::<Vec<_>>().join(", ");
    let not_here = |ip| GatewayError::NotHost { ip, subnets: subnets() };
    match (&wish.subnet, wish.ip) {
        (Some(text), _) => {
            let subnet = parse_subnet(text)?;
            let place = gateway.pools.iter().position(|pool| pool.subnet == subnet);
            Ok(place.ok_or_else(|| not_here(subnet.network()))?)
        }
        (None, Some(ip)) => {
            let place = gateway.pools.iter().position(|pool| pool.subnet.contains(&ip));
            Ok(place.ok_or_else(|| not_here(ip))?)
        }
        (None, None) => Ok(0),
    }
}
