//! `network create`, `set`, `rm`, `ls`, `inspect`.

use vswitch_common::limits;
use vswitch_common::port::PortId;

use super::Controller;
use super::multicast::MulticastState;
use super::state::{DEFAULT_AGEING_S, NetworkState};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{DEFAULT_NETWORK, Done, Network, NetworkChange, NetworkSpec, Reply};
use crate::error::chain;

/// Longest network name.
const NAME_BYTES: usize = 63;
/// Smallest MTU: what every IPv4 host must take (RFC 791 section 3.1).
const MTU_LEAST: u32 = 576;
/// Largest MTU that some hook and link have.
const MTU_MOST: u32 = 65_000;
/// Longest ageing time in seconds (802.1Q table 8-6).
const AGEING_MOST_S: u32 = 1_000_000;

impl Controller {
    pub(super) async fn network_create(&mut self, spec: NetworkSpec) -> Result<Reply, ApiError> {
        check_name(&spec.name)?;
        check_mtu(spec.mtu)?;
        check_ageing(spec.ageing)?;
        check_supported(&spec)?;
        if self.state.networks.contains_key(&spec.name) {
            return Err(ApiError::new(
                ErrorCode::NetworkExists,
                format!("there is a network {} already: `vswitch network inspect` shows it", spec.name),
            ));
        }
        let pools = self.plan_pools(&spec).await?;
        let id = self.state.free_network_id(self.limits.networks).ok_or_else(|| {
            let most = self.limits.networks;
            ApiError::new(
                ErrorCode::LimitReached,
                format!("there are {most} networks already: remove one first"),
            )
        })?;
        let domain = if spec.vlan_aware { self.vlan_block()? } else { id };
        let network = NetworkState {
            id,
            domain,
            ageing_s: spec.ageing.unwrap_or(DEFAULT_AGEING_S),
            mtu: spec.mtu,
            internal: spec.internal,
            vlan_aware: spec.vlan_aware,
            labels: spec.labels,
            multicast: MulticastState::default().with(&spec.multicast)?,
            big_tcp: spec.big_tcp.unwrap_or_default(),
            gateway: None,
        };
        self.state.networks.insert(spec.name.clone(), network);
        if let Err(error) = self.save() {
            self.state.networks.remove(&spec.name);
            return Err(error);
        }
        self.view.domains.insert(domain, spec.name.clone());
        if !pools.is_empty()
            && let Err(error) = self.gateway_add(&spec.name, pools).await
        {
            self.forget_network(&spec.name)?;
            return Err(error);
        }
        self.network_inspect(&spec.name).await
    }

    pub(super) async fn network_set(&mut self, change: &NetworkChange) -> Result<Reply, ApiError> {
        self.check_network(&change.name)?;
        check_mtu(change.mtu)?;
        check_ageing(change.ageing)?;
        let before = self.network(&change.name)?.clone();
        let after = NetworkState {
            ageing_s: change.ageing.unwrap_or(before.ageing_s),
            mtu: change.mtu.or(before.mtu),
            multicast: before.multicast.with(&change.multicast)?,
            big_tcp: change.big_tcp.unwrap_or(before.big_tcp),
            ..before.clone()
        };
        if let Err(error) = self.make_network(&change.name, after).await {
            if let Err(undoing) = self.make_network(&change.name, before).await {
                let (network, error) = (&change.name, chain(&undoing));
                tracing::warn!(network, error, "cannot put the network back as it was");
            }
            return Err(error);
        }
        self.network_inspect(&change.name).await
    }

    /// Makes a network, and all its ports, what is said.
    async fn make_network(&mut self, name: &str, network: NetworkState) -> Result<(), ApiError> {
        self.state.networks.insert(name.to_owned(), network);
        self.save()?;
        for port in self.ports_of(name) {
            self.converge(port).await?;
        }
        self.ensure_gateway(name).await?;
        self.tick_multicast();
        Ok(())
    }

    pub(super) async fn network_remove(&mut self, name: &str, force: bool) -> Result<Reply, ApiError> {
        if !force {
            self.check_not_of_docker(name)?;
        }
        self.forget_docker_network(name).await?;
        self.network_remove_whoever(name, force).await
    }

    /// The same, whoever made the network.
    pub(super) async fn network_remove_whoever(
        &mut self,
        name: &str,
        force: bool,
    ) -> Result<Reply, ApiError> {
        self.check_network(name)?;
        if name == DEFAULT_NETWORK {
            return Err(ApiError::new(
                ErrorCode::NetworkDefault,
                format!("{name} always exists: delete its ports with `vswitch port del` instead"),
            ));
        }
        self.check_not_taken(name)?;
        let mut ports = self.ports_of(name);
        // The gateway is no tenant: it goes last, and with the network.
        ports.retain(|port| self.state.gateway_of_port(*port).is_none());
        if !ports.is_empty() && !force {
            let count = ports.len();
            return Err(ApiError::new(
                ErrorCode::NetworkInUse,
                format!("network {name} has {count} ports: delete them first, or use --force"),
            ));
        }
        let changed = 1 + ports.len() as u64;
        for port in ports {
            self.remove_port(port).await?;
        }
        self.gateway_remove(name).await?;
        self.forget_network(name)?;
        Ok(Reply::Done(Done { changed }))
    }

    fn forget_network(&mut self, name: &str) -> Result<(), ApiError> {
        if let Some(network) = self.state.networks.remove(name) {
            self.view.domains.remove(&network.domain);
        }
        self.tick_multicast();
        self.save()
    }

    pub(super) async fn network_list(&self) -> Result<Reply, ApiError> {
        let mtu = self.way_out_mtu().await;
        let one = |name: &String| self.network_json(name, mtu);
        Ok(Reply::Networks(self.state.networks.keys().map(one).collect::<Result<_, _>>()?))
    }

    pub(super) async fn network_inspect(&self, name: &str) -> Result<Reply, ApiError> {
        self.check_network(name)?;
        Ok(Reply::Networks(vec![self.network_json(name, self.way_out_mtu().await)?]))
    }

    fn network_json(&self, name: &str, way_out_mtu: u32) -> Result<Network, ApiError> {
        let network =
            self.state.networks.get(name).ok_or_else(|| ApiError::internal("a network without state"))?;
        let ports = self.state.ports.values().filter(|port| port.network == name);
        let mut ports: Vec<String> = ports.map(|port| port.link.clone()).collect();
        ports.sort();
        Ok(Network {
            name: name.to_owned(),
            id: network.id.to_string(),
            driver: "vswitch".to_owned(),
            scope: "local".to_owned(),
            internal: network.internal,
            has_ipv6: self.has_ipv6(network),
            ipam: self.ipam_json(network),
            containers: self.containers_json(name),
            labels: network.labels.clone(),
            gateway: self.gateway_json(name, network, way_out_mtu),
            ports,
            ageing: network.ageing_s,
            mtu: network.mtu,
            vlan_aware: network.vlan_aware,
            multicast: self.multicast_json(network),
            big_tcp: network.big_tcp,
            fdb_entries: self.fdb_size_of(name)?,
        })
    }

    fn vlan_block(&self) -> Result<u16, ApiError> {
        self.state.free_vlan_block().ok_or_else(|| {
            let most = limits::VLAN_AWARE_NETWORKS;
            ApiError::new(
                ErrorCode::LimitReached,
                format!("there are {most} VLAN-aware networks already, each with 4094 VLANs: use VLANs of one of them"),
            )
        })
    }

    /// The ports of a network.
    fn ports_of(&self, name: &str) -> Vec<PortId> {
        let ports = self.state.ports.iter().filter(|(_, port)| port.network == name);
        ports.map(|(slot, _)| PortId(*slot)).collect()
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= NAME_BYTES && name.chars().all(is_word) {
        return Ok(());
    }
    Err(ApiError::new(
        ErrorCode::InvalidArgument,
        format!(
            "{name:?} cannot be the name of a network: 1 to {NAME_BYTES} letters, digits, '_', '.' or '-', starting with a \
             letter or digit"
        ),
    ))
}

fn check_mtu(mtu: Option<u32>) -> Result<(), ApiError> {
    match mtu {
        Some(mtu) if !(MTU_LEAST..=MTU_MOST).contains(&mtu) => Err(ApiError::new(
            ErrorCode::InvalidArgument,
            format!("an MTU of {mtu} bytes is out of range: give {MTU_LEAST} to {MTU_MOST}"),
        )),
        _ => Ok(()),
    }
}

fn check_ageing(ageing_s: Option<u32>) -> Result<(), ApiError> {
    match ageing_s {
        Some(ageing_s) if ageing_s > AGEING_MOST_S => Err(ApiError::new(
            ErrorCode::InvalidArgument,
            format!("an ageing time of {ageing_s} s is out of range: give 0 (never) to {AGEING_MOST_S}"),
        )),
        _ => Ok(()),
    }
}

/// Refuses what this version cannot do rather than ignore it.
fn check_supported(spec: &NetworkSpec) -> Result<(), ApiError> {
    let refuse = |what: &str| {
        Err(ApiError::new(
            ErrorCode::Unsupported,
            format!("network {}: this version has no {what}: leave the option out", spec.name),
        ))
    };
    if spec.vlan_aware && !spec.subnets.is_empty() {
        return refuse("VLAN-aware networks with subnets");
    }
    Ok(())
}
