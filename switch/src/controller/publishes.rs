//! `publish add`, `del`, `show`.

use std::net::IpAddr;

use super::Controller;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Done, Protocol, Publish, PublishFilter, Reply};
use crate::error::chain;
use crate::gateway::GatewayError;
use crate::gateway::listening::{listeners, rival};
use crate::netlink::conntrack::Forget;

/// Most published ports and ranges of one switch: each is two rules that a new connection is compared with.
const PUBLISHES_MOST: usize = 4_096;

/// Where the gateways' own servers listen.
const DNS_PORT: u16 = 53;

impl Controller {
    pub(super) async fn publish_add(&mut self, publish: Publish) -> Result<Reply, ApiError> {
        self.check_target(&publish)?;
        self.check_host_ports(&publish).await?;
        if self.state.publishes.len() >= PUBLISHES_MOST {
            let message = format!(
                "there are {PUBLISHES_MOST} published ports already: `vswitch publish del` one first"
            );
            return Err(ApiError::new(ErrorCode::LimitReached, message));
        }
        self.state.publishes.push(publish.clone());
        let done = match self.save() {
            Ok(()) => self.apply_rules().await,
            failed => failed,
        };
        if let Err(error) = done {
            self.state.publishes.retain(|other| *other != publish);
            self.save()?;
            return Err(error);
        }
        // A client that was answered by nobody, or the host, until now keeps asking under the same entry.
        let Publish { protocol, host_ports, .. } = &publish;
        if *protocol == Protocol::Udp {
            self.forget_tracked(vec![Forget::Towards {
                protocol: number(*protocol),
                ports: host_ports.ports(),
            }])
            .await;
        }
        Ok(Reply::Publishes(vec![publish]))
    }

    pub(super) async fn publish_del(&mut self, publish: &Publish) -> Result<Reply, ApiError> {
        let before = self.state.publishes.clone();
        self.state.publishes.retain(|other| other != publish);
        if self.state.publishes.len() == before.len() {
            return Err(ApiError::new(
                ErrorCode::NoSuchPublish,
                format!(
                    "network {} does not publish {publish}: `vswitch publish show` lists what is",
                    publish.network
                ),
            ));
        }
        if let Err(error) = self.apply_rules().await {
            self.state.publishes = before;
            return Err(error);
        }
        self.save()?;
        self.forget_tracked(vec![to_target(publish)]).await;
        Ok(Reply::Done(Done { changed: 1 }))
    }

    pub(super) fn publish_show(&self, filter: &PublishFilter) -> Result<Reply, ApiError> {
        if let Some(network) = &filter.network {
            self.check_network(network)?;
        }
        let is_meant =
            |publish: &&Publish| filter.network.as_ref().is_none_or(|name| *name == publish.network);
        Ok(Reply::Publishes(self.state.publishes.iter().filter(is_meant).cloned().collect()))
    }

    /// The network goes: so does what it publishes.
    pub(super) async fn unpublish(&mut self, network: &str) {
        let (gone, kept) =
            std::mem::take(&mut self.state.publishes).into_iter().partition(|p| p.network == network);
        self.state.publishes = kept;
        self.forget_tracked(gone.iter().map(to_target).collect()).await;
    }

    /// Connections of hosts that are no longer there shall not be those of the next to have their addresses.
    pub(super) async fn forget_hosts(&self, ips: &[IpAddr]) {
        self.forget_tracked(ips.iter().map(|ip| Forget::Of(*ip)).collect()).await;
    }

    async fn forget_tracked(&self, which: Vec<Forget>) {
        if which.is_empty() || !self.state.has_rules {
            return;
        }
        match self.netlink.forget_connections(which).await {
            Ok(count) => tracing::debug!(count, "forgot connections"),
            Err(error) => {
                tracing::warn!(error = chain(&error), "connections of what has gone may go on for a while");
            }
        }
    }

    fn check_target(&self, publish: &Publish) -> Result<(), ApiError> {
        let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidArgument, message));
        let Publish { network, target_ip, host_ports, target_ports, .. } = publish;
        let gateway = self.gateway_of(network)?;
        if self.network(network)?.internal {
            return refuse(format!("network {network} is internal: nothing of it is reached from outside"));
        }
        let pool = gateway.pool_of(*target_ip).ok_or_else(|| {
            let subnets =
                gateway.pools.iter().map(|pool| pool.subnet.to_string()).collect::<Vec<_>>().join(", ");
            GatewayError::NotHost { ip: *target_ip, subnets }
        })?;
        if !pool.has_host(*target_ip) || pool.gateway == *target_ip {
            return Err(pool.not_host(*target_ip).into());
        }
        if host_ports.ports().len() != target_ports.ports().len() {
            return refuse(format!("{publish}: as many ports of the host as of the target, please"));
        }
        match publish.host_ip {
            Some(ip) if ip.is_ipv4() != target_ip.is_ipv4() => {
                refuse(format!("{publish}: {ip} and {target_ip} are not of one IP version"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the host has the address, and its ports are free.
    async fn check_host_ports(&self, publish: &Publish) -> Result<(), ApiError> {
        let taken = |by: String| Err(ApiError::new(ErrorCode::HostPortInUse, format!("{publish}: {by}")));
        let other = self.state.publishes.iter().find(|other| is_in_the_way(publish, other));
        if let Some(other) = other {
            return taken(format!(
                "network {} publishes {other} already: choose another port",
                other.network
            ));
        }
        let has = self.netlink.all_addresses().await.map_err(GatewayError::from)?;
        if let Some(ip) = publish.host_ip.filter(|ip| !ip.is_loopback())
            && !has.iter().any(|(_, given)| given.address == ip)
        {
            return Err(ApiError::new(
                ErrorCode::InvalidArgument,
                format!("{publish}: {ip} is no address of this host: `ip address` lists those that are"),
            ));
        }
        let gateways: Vec<IpAddr> =
            self.state.networks.values().flat_map(|n| &n.gateway).flat_map(|g| g.addresses()).collect();
        let mut sockets = listeners(&self.netlink, publish.protocol).await.map_err(GatewayError::from)?;
        // Names stay reachable for containers, whatever is published.
        sockets.retain(|socket| socket.port() != DNS_PORT || !gateways.contains(&socket.ip()));
        match rival(publish, &sockets) {
            Some(socket) => {
                taken(format!("a program of the host listens on {socket}: stop it, or choose another port"))
            }
            None => Ok(()),
        }
    }
}

fn is_in_the_way(one: &Publish, other: &Publish) -> bool {
    let is_address = match (one.host_ip, other.host_ip) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    is_address
        && one.protocol == other.protocol
        && one.target_ip.is_ipv4() == other.target_ip.is_ipv4()
        && one.host_ports.overlaps(other.host_ports)
}

fn to_target(publish: &Publish) -> Forget {
    let Publish { target_ip, target_ports, protocol, .. } = publish;
    Forget::To { ip: *target_ip, protocol: number(*protocol), ports: target_ports.ports() }
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_ports_are_in_each_others_way_where_a_client_could_mean_both() {
        let publish = |text| Publish::parse("web", text).expect("a published port");
        let http = publish("8080:10.1.0.2:80");
        for other in ["8080:10.1.0.3:80", "8000-9000:10.1.0.3:8000-9000", "192.0.2.1:8080:10.1.0.3:80"] {
            assert!(is_in_the_way(&http, &publish(other)), "{other}");
        }
        for other in ["8081:10.1.0.2:80", "8080:10.1.0.2:80/udp", "8080:[fd00::2]:80"] {
            assert!(!is_in_the_way(&http, &publish(other)), "{other}");
        }
        let one = publish("192.0.2.1:8080:10.1.0.2:80");
        assert!(!is_in_the_way(&one, &publish("192.0.2.2:8080:10.1.0.2:80")));
    }
}
