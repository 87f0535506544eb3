//! Subnets and addresses for Docker networks whose `--ipam-driver` is vswitch.
//!
//! Docker takes a subnet and its gateway's address before it makes the network, so they are kept apart from networks'
//! own pools. An address is leased to a container's MAC (libnetwork says it, for we ask it to): who asks again under the same MAC
//! gets the same address, not a second one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::super::Controller;
use super::super::gateways::fnv;
use super::ENDPOINTS_MOST;
use super::state::DockerPool;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::docker::{AddressRequest, Answer, PoolWish, Purpose};
use crate::gateway::GatewayError;
use crate::gateway::ipam::{Pool, overlap, parse_subnet};

/// Subnets that are chosen when nobody says one: 4,096 of IPv4, out of a block that few use.
const CHOICES: u16 = 4_096;
/// 10.208.0.0, of which each takes 256 addresses.
const FIRST_CHOICE: Ipv4Addr = Ipv4Addr::new(10, 208, 0, 0);

impl Controller {
    pub(super) async fn docker_pool_request(&mut self, wish: &PoolWish) -> Result<Answer, ApiError> {
        let subnet = match wish.subnet {
            Some(subnet) => parse_subnet(&subnet.to_string())?,
            None => self.choose_subnet(wish.v6).await?,
        };
        let range = wish.range.unwrap_or(subnet);
        if !subnet.contains(&range) {
            let message = format!("{range} is no part of {subnet}: give addresses from inside the subnet");
            return Err(ApiError::new(ErrorCode::InvalidArgument, message));
        }
        let id = if range == subnet { subnet.to_string() } else { format!("{subnet},{range}") };
        if let Some(other) = self.pool_in_the_way(&subnet, &id).await? {
            return Err(GatewayError::Overlap { subnet, other }.into());
        }
        if !self.state.docker.pools.contains_key(&id) {
            let pool = DockerPool { pool: Pool::new(subnet, None)?, range, leases: Default::default() };
            self.state.docker.pools.insert(id.clone(), pool);
            if let Err(error) = self.save() {
                self.state.docker.pools.remove(&id);
                return Err(error);
            }
        }
        Ok(Answer::Pool { id, subnet })
    }

    /// Who has addresses of a subnet already; the pool that is asked for again, without a network yet, is not in the way.
    async fn pool_in_the_way(&self, subnet: &IpNet, id: &str) -> Result<Option<String>, ApiError> {
        if let Some(other) = self.find_overlap(subnet).await? {
            return Ok(Some(other));
        }
        let mut others = self.state.docker.pools.iter().filter(|(other, _)| *other != id);
        let other = others.find(|(_, pool)| overlap(subnet, &pool.pool.subnet));
        Ok(other.map(|(_, pool)| format!("{}, which Docker has asked for already", pool.pool.subnet)))
    }

    async fn choose_subnet(&self, v6: bool) -> Result<IpNet, ApiError> {
        let seed = fnv(self.paths.state_dir.bytes().chain(*b"pools"));
        for turn in 0..CHOICES {
            let subnet = choice(turn, v6, seed);
            if self.pool_in_the_way(&subnet, "").await?.is_none() {
                return Ok(subnet);
            }
        }
        Err(ApiError::new(
            ErrorCode::LimitReached,
            format!("all {CHOICES} subnets that are given unasked are taken: give one with --subnet"),
        ))
    }

    pub(super) fn docker_pool_release(&mut self, id: &str) -> Result<Answer, ApiError> {
        if self.state.docker.pools.remove(id).is_some() {
            self.save()?;
        }
        Ok(Answer::Done)
    }

    pub(super) fn docker_address_request(&mut self, request: &AddressRequest) -> Result<Answer, ApiError> {
        let Some(known) = self.state.docker.pools.get(&request.pool) else {
            let message = format!("subnet {:?} was not asked for: create the network anew", request.pool);
            return Err(ApiError::new(ErrorCode::NoSuchAddress, message));
        };
        if known.leases.len() >= ENDPOINTS_MOST {
            let message = format!("{} has {ENDPOINTS_MOST} leases already", request.pool);
            return Err(ApiError::new(ErrorCode::LimitReached, format!("{message}: stop a container first")));
        }
        let mut pool = known.clone();
        let ip = self.lease(&mut pool, request)?;
        let mac = match request.purpose {
            Purpose::Endpoint(mac) => Some(mac),
            Purpose::Gateway | Purpose::Other => None,
        };
        if request.purpose == Purpose::Gateway {
            pool.pool.gateway = ip;
        }
        pool.leases.insert(ip, mac);
        let answer = IpNet::new(ip, pool.pool.subnet.prefix_len())
            .map_err(|error| ApiError::internal(error.to_string()))?;
        let before = self.state.docker.pools.insert(request.pool.clone(), pool);
        if let Err(error) = self.save() {
            self.state.docker.pools.extend(before.map(|before| (request.pool.clone(), before)));
            return Err(error);
        }
        Ok(Answer::Address(answer))
    }

    /// The address that a request gets.
    fn lease(&self, pool: &mut DockerPool, request: &AddressRequest) -> Result<IpAddr, ApiError> {
        if let Purpose::Endpoint(mac) = request.purpose {
            // The answer to an earlier try was lost: its lease has no endpoint.
            let mut again = pool.leases.iter().filter(|(_, holder)| **holder == Some(mac));
            let again = again.find(|(ip, _)| !self.has_endpoint(**ip)).map(|(ip, _)| *ip);
            if let Some(ip) = again.filter(|ip| request.ip.is_none_or(|wished| wished == *ip)) {
                return Ok(ip);
            }
        }
        let subnet = pool.pool.subnet;
        match request.ip {
            Some(ip) if !pool.pool.has_host(ip) => Err(pool.pool.not_host(ip).into()),
            Some(ip) => {
                let is_gateway = request.purpose == Purpose::Gateway;
                if !is_gateway && pool.leases.contains_key(&ip) && ip == pool.pool.gateway {
                    let holder = "the network's gateway".to_owned();
                    return Err(GatewayError::Taken { ip, holder }.into());
                }
                let is_leased = pool.leases.get(&ip).is_some_and(|holder| holder.is_some());
                if (is_leased && self.is_endpoint_alive(ip)) || (!is_gateway && self.is_held(ip)) {
                    let holder = "that of another container already".to_owned();
                    return Err(GatewayError::Taken { ip, holder }.into());
                }
                Ok(ip)
            }
            None if request.purpose == Purpose::Gateway && !pool.leases.contains_key(&pool.pool.gateway) => {
                Ok(pool.pool.gateway)
            }
            None => {
                let (range, leases) = (pool.range, std::mem::take(&mut pool.leases));
                let ip = pool.pool.give_within(&range, |ip| leases.contains_key(&ip) || self.is_held(ip));
                pool.leases = leases;
                ip.ok_or_else(|| {
                    GatewayError::Exhausted { subnet, network: "that Docker asks for".to_owned() }.into()
                })
            }
        }
    }

    /// Whether an endpoint has the address, alive or not.
    pub(super) fn has_endpoint(&self, ip: IpAddr) -> bool {
        self.state.docker.endpoints.values().any(|endpoint| endpoint.ips.contains(&ip))
    }

    fn is_endpoint_alive(&self, ip: IpAddr) -> bool {
        let mut endpoints = self.state.docker.endpoints.iter();
        endpoints.any(|(id, endpoint)| endpoint.ips.contains(&ip) && self.is_alive(id))
    }

    /// Whether somebody has the address who is no container of Docker's.
    fn is_held(&self, ip: IpAddr) -> bool {
        let networks = self.state.networks.values().filter_map(|network| network.gateway.as_ref());
        let is_reserved =
            networks.into_iter().any(|gateway| gateway.pool_of(ip).is_some_and(|p| p.reserved.contains(&ip)));
        let is_docker = |link: &str| self.state.docker.endpoints.values().any(|e| e.link == link);
        is_reserved
            || self.state.ports.values().any(|port| port.options.ips.contains(&ip) && !is_docker(&port.link))
    }

    pub(super) fn docker_address_release(&mut self, id: &str, ip: IpAddr) -> Result<Answer, ApiError> {
        // Docker forgets the endpoint before it gives back the address: what is alive is a later one's.
        if self.is_endpoint_alive(ip) {
            return Ok(Answer::Done);
        }
        let Some(pool) = self.state.docker.pools.get_mut(id) else { return Ok(Answer::Done) };
        if pool.leases.remove(&ip).is_some() {
            self.save()?;
        }
        Ok(Answer::Done)
    }
}

/// The subnet that is tried at this turn.
fn choice(turn: u16, v6: bool, seed: u32) -> IpNet {
    if v6 {
        let [high, low] = [(seed >> 16) as u16, seed as u16];
        let subnet = Ipv6Addr::new(0xfd56, high, low, turn, 0, 0, 0, 0);
        return IpNet::V6(Ipv6Net::new_assert(subnet, 64));
    }
    let subnet = Ipv4Addr::from_bits(FIRST_CHOICE.to_bits() + u32::from(turn) * 256);
    IpNet::V4(Ipv4Net::new_assert(subnet, 24))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_that_nobody_chose_do_not_overlap_and_are_private() {
        let subnets: Vec<IpNet> =
            [0, 1, CHOICES - 1].into_iter().flat_map(|n| [choice(n, false, 7), choice(n, true, 7)]).collect();
        for (place, subnet) in subnets.iter().enumerate() {
            assert!(parse_subnet(&subnet.to_string()).is_ok(), "{subnet}");
            assert!(subnets[..place].iter().all(|other| !overlap(subnet, other)), "{subnet}");
        }
        assert_eq!(subnets[4].to_string(), "10.223.255.0/24");
    }
}
