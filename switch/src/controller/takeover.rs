//! Replacing a Linux bridge under running containers: `takeover BRIDGE` and `release BRIDGE`.
//!
//! The bridge stays as the gateway, with its address and the rules of whoever made it; a veth pair joins it to a network
//! of its name. Its other ports become ports of that network, one by one, and no frame is lost on the way, because a
//! port's program sees a frame before the bridge does: the program is attached while the link is still the bridge's, and
//! only then does the link leave. Each side is told beforehand whom it reaches through the pair from then on. The way back
//! is the same in reverse.
//!
//! [`TakeoverState`] is what should be so. `bring_about` makes it so from whatever is there: it serves the
//! command, the start after a crash, links that appear at the bridge later, and bridges that come back.

mod members;
mod pair;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vswitch_common::port::PortId;

use super::{Controller, netlink_failed};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Done, NetworkSpec, PortFilter, Reply};
use crate::error::chain;
use crate::gateway::nat::{self, NatError};
use crate::gateway::sysctl;
use crate::netlink::bridge::{self, BridgePort};
use crate::netlink::monitor::LinkEvent;
use crate::netlink::{Link, LinkIndex, LinkKind};

/// Whether bridges show their frames to iptables.
const BRIDGE_SHOWS: &str = "bridge/bridge-nf-call-iptables";

/// Label of a network that stands for a bridge.
const LABEL: &str = "vswitch.takeover";

/// A bridge that is taken over; the network has its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverState {
    /// Number in the names of the pair, `vswb<N>` at the bridge and `vswp<N>` at the switch.
    pub number: u16,
    /// Ports whose links left the bridge, by slot, and how these were set there.
    pub members: BTreeMap<u16, BridgePort>,
    /// The way back has begun.
    pub is_leaving: bool,
    /// Rules of the host keep its containers apart, which do not see what the switch forwards: so the switch does.
    #[serde(default)]
    pub is_apart: bool,
    /// The bridge and the pair, while they are there.
    #[serde(skip)]
    pair: Option<Pair>,
    /// The bridge's own addresses, as the switch was told of them.
    #[serde(skip)]
    addresses: Vec<IpAddr>,
}

/// A bridge and the pair that joins it to its network, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair {
    bridge: LinkIndex,
    at_bridge: LinkIndex,
    at_switch: LinkIndex,
}

impl Pair {
    /// Whether a link is to become a port: it is the bridge's, and up, so that whoever put it there has finished with it.
    fn is_candidate(&self, link: &Link) -> bool {
        link.master == Some(self.bridge) && link.index != self.at_bridge && link.is_up
    }
}

impl Controller {
    pub(super) async fn takeover(&mut self, name: &str) -> Result<Reply, ApiError> {
        if self.state.takeovers.contains_key(name) {
            return Err(ApiError::new(
                ErrorCode::BridgeTaken,
                format!("{name} is taken over already: `vswitch network inspect {name}` shows it"),
            ));
        }
        let bridge = self.find_bridge(name).await?;
        self.check_bridge(&bridge).await?;
        let number = self.free_number().await?;
        let is_apart = self.keeps_apart(name).await?;
        let labels = BTreeMap::from([(LABEL.to_owned(), name.to_owned())]);
        // Network and takeover become durable at once: neither is there without the other after a crash.
        self.state
            .takeovers
            .insert(name.to_owned(), TakeoverState { number, is_apart, ..TakeoverState::default() });
        let network = NetworkSpec { name: name.to_owned(), labels, ..NetworkSpec::default() };
        if let Err(error) = self.network_create(network).await {
            self.state.takeovers.remove(name);
            return Err(error);
        }
        if let Err(error) = self.bring_about(name).await {
            if let Err(undo) = self.give_back(name).await {
                tracing::warn!(bridge = name, error = chain(&undo), "cannot undo a takeover");
            }
            return Err(error);
        }
        tracing::info!(bridge = name, "took over a bridge");
        self.port_show(&PortFilter { link: None, network: Some(name.to_owned()) })
    }

    pub(super) async fn release_bridge(&mut self, name: &str) -> Result<Reply, ApiError> {
        if !self.state.takeovers.contains_key(name) {
            return Err(ApiError::new(
                ErrorCode::BridgeNotTaken,
                format!("{name} is not taken over: `vswitch takeover {name}` does that"),
            ));
        }
        self.check_only_members(name)?;
        let changed = self.give_back(name).await?;
        tracing::info!(bridge = name, "released a bridge");
        Ok(Reply::Done(Done { changed }))
    }

    /// Makes everything so that the bridge's links are the switch's. Repeating it is harmless, and cheap when there is
    /// nothing to do.
    async fn bring_about(&mut self, name: &str) -> Result<(), ApiError> {
        self.drop_lost_members(name).await?;
        let links = self.netlink.list().await.map_err(|e| netlink_failed(&e))?;
        let is_bridge = |link: &&Link| link.name == name && link.kind == LinkKind::Bridge;
        let Some(bridge) = links.iter().find(is_bridge) else {
            // Until it comes back there is nothing to join.
            self.set_pair(name, None);
            return Ok(());
        };
        let pair = self.ensure_pair(name, bridge, &links).await?;
        self.set_pair(name, Some(pair));
        let candidates: Vec<&Link> = links.iter().filter(|link| pair.is_candidate(link)).collect();
        if !candidates.is_empty() {
            self.tell_of_bridge(name, pair).await?;
        }
        for link in candidates {
            self.join(name, link, pair).await?;
        }
        Ok(())
    }

    fn set_pair(&mut self, name: &str, pair: Option<Pair>) {
        if let Some(taken) = self.state.takeovers.get_mut(name) {
            taken.pair = pair;
        }
    }

    /// Puts every link back and forgets the takeover and its network. How many links that were.
    async fn give_back(&mut self, name: &str) -> Result<u64, ApiError> {
        if let Some(taken) = self.state.takeovers.get_mut(name) {
            taken.is_leaving = true;
            self.save()?;
        }
        let changed = self.leave_all(name).await?;
        self.remove_pair(name).await?;
        self.state.takeovers.remove(name);
        self.network_remove(name, true).await?;
        Ok(changed)
    }

    /// At the start: goes on with what an earlier run had begun, in either direction.
    pub(super) async fn adopt_takeovers(&mut self) {
        for (name, is_leaving) in self.takeovers() {
            let result = match is_leaving {
                true => self.give_back(&name).await.map(drop),
                false => self.bring_about(&name).await,
            };
            if let Err(error) = result {
                tracing::warn!(bridge = name, error = chain(&error), "the takeover is not complete");
            }
        }
    }

    /// Before a teardown: everything back to the bridges.
    pub(super) async fn release_bridges(&mut self) -> Result<u64, ApiError> {
        let mut changed = 0;
        for (name, _) in self.takeovers() {
            changed += self.give_back(&name).await?;
        }
        Ok(changed)
    }

    /// A link event that may concern a bridge: a link came to it or went away, or it came back itself.
    pub(super) async fn follow_bridges(&mut self, event: &LinkEvent) {
        for (name, is_leaving) in self.takeovers() {
            if is_leaving {
                continue;
            }
            let pair = self.state.takeovers.get(&name).and_then(|taken| taken.pair);
            let done = match (event, pair) {
                (LinkEvent::Changed(link), Some(pair)) if pair.is_candidate(link) => {
                    self.join_if_still_there(&name, link.index, pair).await
                }
                (LinkEvent::Changed(link), None) if link.name == name => self.bring_about(&name).await,
                (LinkEvent::Changed(_), _) => Ok(()),
                (LinkEvent::Removed { .. }, _) => self.drop_lost_members(&name).await,
                (LinkEvent::Overrun, _) => self.bring_about(&name).await,
            };
            if let Err(error) = done {
                tracing::warn!(bridge = name, error = chain(&error), "cannot follow a change at a bridge");
            }
        }
    }

    async fn join_if_still_there(&mut self, name: &str, link: LinkIndex, pair: Pair) -> Result<(), ApiError> {
        match self.netlink.by_index(link).await {
            Ok(link) if pair.is_candidate(&link) => self.join(name, &link, pair).await,
            Ok(_) => Ok(()),
            Err(error) if error.is_no_such_link() => Ok(()),
            Err(error) => Err(netlink_failed(&error)),
        }
    }

    /// What no event told, or what could not be done when it did.
    pub(super) async fn recheck_bridges(&mut self) {
        for (name, is_leaving) in self.takeovers() {
            if is_leaving {
                continue;
            }
            if let Err(error) = self.bring_about(&name).await {
                tracing::debug!(bridge = name, error = chain(&error), "cannot complete a takeover");
            }
        }
    }

    fn takeovers(&self) -> Vec<(String, bool)> {
        self.state.takeovers.iter().map(|(name, taken)| (name.clone(), taken.is_leaving)).collect()
    }

    async fn find_bridge(&self, name: &str) -> Result<Link, ApiError> {
        let bridge = self.netlink.by_name(name).await.map_err(|e| netlink_failed(&e))?;
        if bridge.kind != LinkKind::Bridge {
            return Err(ApiError::new(
                ErrorCode::LinkUnsuitable,
                format!("{name} is not a bridge: `ip link show type bridge` lists those that there are"),
            ));
        }
        Ok(bridge)
    }

    /// Whether rules of the host let none of the bridge's containers reach another, as Docker's for networks without
    /// inter-container communication. A rule for frames between two ports is in force where the bridge shows them to it.
    async fn keeps_apart(&self, name: &str) -> Result<bool, ApiError> {
        let shows = sysctl::get(&self.netlink, BRIDGE_SHOWS).await.map_err(|e| netlink_failed(&e))?;
        if shows.as_deref() != Some("1") {
            return Ok(false);
        }
        match nat::keeps_apart(name).await {
            Ok(is_apart) => Ok(is_apart),
            // Who has no nft has no such rules of it.
            Err(NatError::NoNft) => Ok(false),
            Err(error) => Err(ApiError::new(ErrorCode::Kernel, chain(&error))),
        }
    }

    /// Refuses what would not work as well afterwards as before.
    async fn check_bridge(&self, bridge: &Link) -> Result<(), ApiError> {
        let name = &bridge.name;
        let refuse = |code, why: String| Err(ApiError::new(code, format!("{name} {why}")));
        let facts = bridge::facts(&self.netlink, bridge.index).await.map_err(|e| netlink_failed(&e))?;
        if facts.is_vlan_aware {
            return refuse(
                ErrorCode::Unsupported,
                "filters VLANs, which this version has not: \
                 `ip link set dev BRIDGE type bridge vlan_filtering 0` first"
                    .replace("BRIDGE", name),
            );
        }
        if facts.has_stp && facts.forward_delay_cs > pair::FORWARD_DELAY_MOST_CS {
            return refuse(
                ErrorCode::Unsupported,
                format!(
                    "would not forward for {} s by a new port, for STP: \
                     `ip link set dev {name} type bridge forward_delay 200` or `… stp_state 0` first",
                    facts.forward_delay_cs / 50
                ),
            );
        }
        self.check_ports_of(bridge).await?;
        if !bridge.is_up {
            return refuse(
                ErrorCode::LinkUnsuitable,
                format!("is down, so nothing could reach it: `ip link set dev {name} up` first"),
            );
        }
        Ok(())
    }

    async fn check_ports_of(&self, bridge: &Link) -> Result<(), ApiError> {
        let links = self.netlink.list().await.map_err(|e| netlink_failed(&e))?;
        for link in links.iter().filter(|link| link.master == Some(bridge.index)) {
            let addresses = self.netlink.addresses(link.index).await.map_err(|e| netlink_failed(&e))?;
            if let Some(given) = addresses.first() {
                let (bridge, link, address) = (&bridge.name, &link.name, given.address);
                return Err(ApiError::new(
                    ErrorCode::LinkHasAddress,
                    format!("{link}, a port of {bridge}, has address {address}: give that to {bridge} first"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses to remove a network that stands for a bridge.
    pub(super) fn check_not_taken(&self, network: &str) -> Result<(), ApiError> {
        if self.state.takeovers.contains_key(network) { Err(taken(network, network)) } else { Ok(()) }
    }

    /// Refuses to take a port from its network whose link would be cut off, being neither the bridge's nor the switch's.
    pub(super) fn check_may_leave(&self, port: PortId) -> Result<(), ApiError> {
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(()) };
        let is_part = |taken: &TakeoverState| {
            taken.members.contains_key(&port.0) || self.pair_port(&state.network) == Some(port)
        };
        match self.state.takeovers.get(&state.network) {
            Some(takeover) if is_part(takeover) => Err(taken(&state.network, &state.link)),
            _ => Ok(()),
        }
    }
}

fn taken(bridge: &str, what: &str) -> ApiError {
    let message =
        format!("{what} is part of the takeover of {bridge}: `vswitch release {bridge}` puts it all back");
    ApiError::new(ErrorCode::BridgeTaken, message)
}
