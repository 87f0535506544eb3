//! Replies to those who only look: ports, counters, status.

use std::collections::BTreeMap;

use vswitch_common::abi::ABI_VERSION;
use vswitch_common::port::PortId;
use vswitch_common::stats::PortCounters;
use vswitch_common::verdict::DropReason;

use super::converge::{hook_mode, is_forwarding};
use super::state::PortOptions;
use super::{Controller, datapath_failed, vlans};
use crate::api::error::ApiError;
use crate::api::types::{
    Counters, Endpoint, FdbStatus, Hook, Kernel, Limit, Port, PortFilter, PortState, PortStats, PortVlan,
    Reply, Status,
};
use crate::datapath::TcMode;

/// Most addresses shown of a host that was only heard; one that routes has many.
const ADDRESSES_SHOWN: usize = 8;

impl Controller {
    pub(super) fn port_show(&self, filter: &PortFilter) -> Result<Reply, ApiError> {
        if let Some(link) = &filter.link {
            return Ok(Reply::Ports(vec![self.port_json(self.port_of(link)?)?]));
        }
        if let Some(network) = &filter.network {
            self.check_network(network)?;
        }
        let wanted = |network: &str| filter.network.as_deref().is_none_or(|name| name == network);
        let ports = self.state.ports.iter().filter(|(_, port)| wanted(&port.network));
        let mut ports =
            ports.map(|(slot, _)| self.port_json(PortId(*slot))).collect::<Result<Vec<_>, _>>()?;
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Reply::Ports(ports))
    }

    pub(super) fn port_json(&self, port: PortId) -> Result<Port, ApiError> {
        let state =
            self.state.ports.get(&port.0).ok_or_else(|| ApiError::internal("a port without state"))?;
        let live = self.live.get(&port.0);
        let link = live.and_then(|live| live.link.as_ref());
        let options = &state.options;
        let endpoint = self.endpoint(port, options);
        let quarantine = self.quarantine_of(port)?;
        let big_tcp = self.big_tcp(port);
        let is_forwarding = quarantine.is_none() && link.is_some_and(is_forwarding);
        Ok(Port {
            name: state.link.clone(),
            ifindex: state.ifindex,
            network: state.network.clone(),
            state: if is_forwarding { PortState::Forwarding } else { PortState::Down },
            quarantine,
            hook: if state.attached.xdp.is_some() { Hook::Xdp } else { Hook::Tc },
            hook_mode: hook_mode(state.attached),
            hook_reason: state.hook_reason.clone(),
            hook_choice: options.hook,
            vlan: self
                .state
                .networks
                .get(&state.network)
                .map_or_else(PortVlan::default, |n| vlans::in_force(n, options)),
            guarded: options.is_guarded(),
            trusted: options.trusted,
            storm: options.storm.clone(),
            storm_burst: options.storm_burst.clone(),
            isolated: options.isolated,
            hairpin: options.hairpin,
            learning: options.learning,
            flood: options.flood,
            mac_limit: options.mac_limit,
            mtu: live.and_then(|live| live.setup.config).map_or(0, |config| config.mtu),
            big_tcp: big_tcp.is_on,
            big_tcp_reason: big_tcp.reason,
            endpoint: Some(endpoint).filter(|endpoint| *endpoint != Endpoint::default()),
            counters: self.counters(port)?,
        })
    }

    /// Who is behind the port: as the user says, else as the veth's other end and the wire say.
    fn endpoint(&self, port: PortId, options: &PortOptions) -> Endpoint {
        let peer = self.live.get(&port.0).and_then(|live| live.peer.as_ref());
        let peer = peer.filter(|peer| !peer.is_in_same_namespace()).map(|peer| peer.mac);
        let mut known = self.neighbours.at(port).peekable();
        let mac = options.mac.or(peer).or_else(|| known.peek().map(|(mac, _)| *mac));
        let heard = known.filter(|(whose, _)| Some(*whose) == mac).map(|(_, ip)| ip);
        let addresses = match options.ips.as_slice() {
            [] => heard.take(ADDRESSES_SHOWN).collect(),
            said => said.to_vec(),
        };
        Endpoint { name: options.name.clone(), mac, addresses }
    }

    pub(super) fn stats(&self, link: Option<&str>) -> Result<Reply, ApiError> {
        let ports: Vec<PortId> = match link {
            Some(link) => vec![self.port_of(link)?],
            None => self.state.ports.keys().map(|slot| PortId(*slot)).collect(),
        };
        let one =
            |port: &PortId| Ok(PortStats { name: self.link_name(*port), counters: self.counters(*port)? });
        Ok(Reply::Stats(ports.iter().map(one).collect::<Result<_, ApiError>>()?))
    }

    fn counters(&self, port: PortId) -> Result<Counters, ApiError> {
        Ok(counters_json(&self.datapath.counters(port).map_err(|e| datapath_failed(&e))?))
    }

    pub(super) fn status(&self) -> Result<Status, ApiError> {
        let failed = |e| datapath_failed(&e);
        let limits = self.datapath.map_use().map_err(failed)?.into_iter();
        let limits =
            limits.map(|map| Limit { name: map.name, entries: map.entries, memory_bytes: map.memory_bytes });
        let ports = self.state.ports.values();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            abi: ABI_VERSION,
            uptime_seconds: self.started.elapsed().as_secs(),
            started_ns: self.started_ns,
            adopted: self.is_adopted,
            kernel: self.kernel(),
            networks: self.state.networks.len() as u64,
            ports: self.state.ports.len() as u64,
            fdb: FdbStatus { entries: self.fdb_size()?, limit: u64::from(self.limits.fdb_entries) },
            hooks: ports.map(|port| (port.link.clone(), hook_mode(port.attached))).collect(),
            limits: limits.collect(),
            events_lost: self.datapath.lost().map_err(failed)?,
            docker_user: Some(self.passage_status()),
            warnings: self.firewall.warnings(),
            paths: self.paths.clone(),
        })
    }

    /// What was found in the kernel. The programs loaded, so it has all that they call.
    fn kernel(&self) -> Kernel {
        let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
        let has_clsact = self.state.ports.values().any(|port| port.attached.tc == Some(TcMode::Clsact));
        let has_tcx = self.state.ports.values().any(|port| port.attached.tc == Some(TcMode::Tcx));
        let mut features =
            BTreeMap::from([("bpf_loop".to_owned(), true), ("redirect_peer".to_owned(), true)]);
        if has_tcx || has_clsact {
            features.insert("tcx".to_owned(), has_tcx);
        }
        Kernel { release: release.unwrap_or_default(), features }
    }
}

/// Counters with their names.
fn counters_json(counters: &PortCounters) -> Counters {
    let tc = counters.rx_packets.saturating_sub(counters.rx_xdp_packets);
    let drops =
        DropReason::ALL.iter().map(|reason| (reason.name().to_owned(), counters.drops[*reason as usize]));
    Counters {
        rx_packets: counters.rx_packets,
        rx_bytes: counters.rx_bytes,
        tx_packets: counters.tx_packets,
        tx_bytes: counters.tx_bytes,
        rx_by_hook: BTreeMap::from([("tc".to_owned(), tc), ("xdp".to_owned(), counters.rx_xdp_packets)]),
        drops: drops.filter(|(_, count)| *count != 0).collect(),
        answered: counters.answered,
        punted: counters.punted,
        not_learned: counters.not_learned,
    }
}
