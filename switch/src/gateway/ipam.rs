//! Which addresses of a subnet may be given to whom.
//!
//! A [`Pool`] knows its subnet, its gateway and what was reserved by name of address; who else holds an address (the ports,
//! by what was said of their hosts) is told by the caller, so that it is written down once. Free addresses are given in
//! order and from where the last one was: one that was just released is the last to be given again, when caches of it
//! have aged.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::GatewayError;

/// Reserved addresses of one network: as many as a network can have ports, eightfold.
pub const RESERVED_MOST: usize = 65_536;

/// One subnet of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// The subnet, host bits zero.
    pub subnet: IpNet,
    /// The gateway's address in it.
    pub gateway: IpAddr,
    /// The address that was given last.
    pub last: IpAddr,
    /// Reserved until they are released.
    pub reserved: BTreeSet<IpAddr>,
}

impl Pool {
    /// A pool with nothing reserved, and the gateway at the first host's address unless told otherwise.
    ///
    /// # Errors
    /// When the gateway is no host's address of the subnet.
    pub fn new(subnet: IpNet, gateway: Option<IpAddr>) -> Result<Self, GatewayError> {
        let first = ip_of(number(subnet.network()) + 1, &subnet);
        let gateway = gateway.unwrap_or(first);
        let pool = Self { subnet, gateway, last: subnet.network(), reserved: BTreeSet::new() };
        if pool.has_host(gateway) { Ok(pool) } else { Err(pool.not_host(gateway)) }
    }

    /// Whether a host may have the address: in the subnet, and neither its first (the network, or the anycast address of
    /// its routers, RFC 4291 section 2.6.1) nor, for IPv4, its last (broadcast).
    #[must_use]
    pub fn has_host(&self, ip: IpAddr) -> bool {
        let (first, last) = self.hosts();
        self.subnet.contains(&ip) && (first..=last).contains(&number(ip))
    }

    /// The next free address, and remembers that it was given.
    pub fn give(&mut self, is_taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        self.give_within(&self.subnet.clone(), is_taken)
    }

    /// The same, of a part of the subnet.
    pub fn give_within(&mut self, range: &IpNet, is_taken: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
        let (first, last) = self.hosts();
        let (first, last) = (first.max(number(range.network())), last.min(number(range.broadcast())));
        let from = number(self.last).clamp(first - 1, last);
        let free = (from + 1..=last).chain(first..=from).map(|n| ip_of(n, &self.subnet)).find(|ip| {
            // Ends after as many steps as there are takers.
            *ip != self.gateway && !self.reserved.contains(ip) && !is_taken(*ip)
        })?;
        self.last = free;
        Some(free)
    }

    /// The refusal of an address that is no host's here.
    #[must_use]
    pub fn not_host(&self, ip: IpAddr) -> GatewayError {
        GatewayError::NotHost { ip, subnets: self.subnet.to_string() }
    }

    fn hosts(&self) -> (u128, u128) {
        let last = number(self.subnet.broadcast());
        let is_broadcast = self.subnet.network().is_ipv4();
        (number(self.subnet.network()) + 1, if is_broadcast { last - 1 } else { last })
    }
}

/// Understands a subnet and checks that hosts can live in it.
///
/// # Errors
/// [`GatewayError::NotSubnet`], [`GatewayError::HostBits`], [`GatewayError::Unsuitable`].
pub fn parse_subnet(text: &str) -> Result<IpNet, GatewayError> {
    let said: IpNet = text.parse().map_err(|_| GatewayError::NotSubnet { text: text.to_owned() })?;
    let meant = said.trunc();
    if said != meant {
        return Err(GatewayError::HostBits { said, meant });
    }
    let is_unicast = match said {
        IpNet::V4(net) => {
            let ip = net.network();
            let is_odd = ip.is_multicast() || ip.is_loopback() || ip.is_link_local() || ip.octets()[0] == 0;
            (8..=30).contains(&net.prefix_len()) && !is_odd && ip.octets()[0] < 240
        }
        IpNet::V6(net) => {
            let ip = net.network();
            let is_odd = ip.is_multicast() || ip.is_unicast_link_local() || ip.segments()[0] == 0;
            (16..=126).contains(&net.prefix_len()) && !is_odd
        }
    };
    if is_unicast { Ok(said) } else { Err(GatewayError::Unsuitable { subnet: said }) }
}

/// The pools of a network that is asked for.
///
/// # Errors
/// What is wrong with a subnet or gateway, or that two of them overlap.
pub fn pools(subnets: &[String], gateways: &[IpAddr]) -> Result<Vec<Pool>, GatewayError> {
    let subnets = subnets.iter().map(|text| parse_subnet(text)).collect::<Result<Vec<_>, _>>()?;
    for (place, subnet) in subnets.iter().enumerate() {
        if let Some(other) = subnets[..place].iter().find(|other| overlap(subnet, other)) {
            let other = format!("{other}, which was given too");
            return Err(GatewayError::Overlap { subnet: *subnet, other });
        }
    }
    if let Some(ip) = gateways.iter().find(|ip| !subnets.iter().any(|subnet| subnet.contains(*ip))) {
        let subnets: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        let subnets = if subnets.is_empty() { "any subnet".to_owned() } else { subnets.join(", ") };
        return Err(GatewayError::NotHost { ip: *ip, subnets });
    }
    let pool = |subnet: &IpNet| {
        let mut here = gateways.iter().copied().filter(|ip| subnet.contains(ip));
        match (here.next(), here.next()) {
            (Some(first), Some(second)) => Err(GatewayError::TwoGateways { subnet: *subnet, first, second }),
            (gateway, _) => Pool::new(*subnet, gateway),
        }
    };
    subnets.iter().map(pool).collect()
}

/// Whether two subnets have an address in common.
#[must_use]
pub fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The address with that number, of the subnet's family.
fn ip_of(number: u128, subnet: &IpNet) -> IpAddr {
    match subnet {
        IpNet::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX))),
        IpNet::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(number)),
    }
}

#[cfg(test)]
#[path = "ipam/tests.rs"]
mod tests;
