//! The links of a bridge that is taken over, each on its way to the switch and back.
//!
//! On either way a link is for a moment both the bridge's and the switch's: the program hears what comes from it, and
//! either side can send to it. So nothing is lost, and at worst a broadcast of that moment arrives twice.

use vswitch_common::domain::DomainId;
use vswitch_common::fdb::{FdbEntry, FdbKey};
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;

use super::{Controller, Pair};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::HookChoice;
use crate::controller::plan::{Setup, execute, plan};
use crate::controller::state::PortOptions;
use crate::controller::{datapath_failed, netlink_failed};
use crate::datapath::Target;
use crate::error::chain;
use crate::netlink::bridge::{self, BridgePort, Station};
use crate::netlink::{Link, LinkIndex, LinkKind};

impl Controller {
    /// Makes a link of the bridge a port, then takes it from the bridge.
    pub(super) async fn join(&mut self, name: &str, link: &Link, pair: Pair) -> Result<(), ApiError> {
        let failed = |e| netlink_failed(&e);
        let settings = bridge::port(&self.netlink, link.index).await.map_err(failed)?;
        let port = match self.state.port_by_index(link.index.0) {
            Some(port) => port,
            None => {
                let is_apart = self.state.takeovers.get(name).is_some_and(|taken| taken.is_apart);
                let options = options_of(link, &settings);
                let isolated = options.isolated || is_apart;
                self.make_port(&link.name, name, PortOptions { isolated, ..options }).await?
            }
        };
        if let Some(taken) = self.state.takeovers.get_mut(name) {
            // Who had left the bridge before and was put back by somebody stays as he was at first.
            taken.members.entry(port.0).or_insert(settings);
        }
        self.save()?;
        for station in bridge::stations(&self.netlink, pair.bridge).await.map_err(failed)? {
            if station.port == link.index {
                self.teach(name, station.mac, port)?;
                self.move_hosts(name, station.mac, port);
                let moved = Station { port: pair.at_bridge, ..station };
                bridge::learn(&self.netlink, &moved).await.map_err(failed)?;
            }
        }
        self.netlink.set_master(link.index, None).await.map_err(failed)
    }

    /// Puts every link back. How many.
    pub(super) async fn leave_all(&mut self, name: &str) -> Result<u64, ApiError> {
        let members = self.state.takeovers.get(name).map(|taken| taken.members.clone()).unwrap_or_default();
        let bridge = self.netlink.by_name(name).await.ok().filter(|link| link.kind == LinkKind::Bridge);
        if let Some(bridge) = &bridge {
            self.precede(&members.keys().copied().collect::<Vec<_>>(), bridge).await?;
        }
        let mut changed = 0;
        for (slot, settings) in members {
            let port = PortId(slot);
            let link = self.state.ports.get(&slot).map_or(0, |state| state.ifindex);
            let mut stations = Vec::new();
            if let Some(bridge) = bridge.as_ref().filter(|_| link != 0) {
                stations = self.leave(LinkIndex(link), port, bridge, &settings).await?;
                changed += 1;
            }
            self.remove_member(name, port).await?;
            if let Some(pair) = self.pair_port(name) {
                stations.into_iter().try_for_each(|mac| self.teach(name, mac, pair))?;
            }
        }
        Ok(changed)
    }

    /// Under STP a port of the bridge forwards only after a while: so all go back first, and wait together.
    async fn precede(&mut self, slots: &[u16], bridge: &Link) -> Result<(), ApiError> {
        let facts = bridge::facts(&self.netlink, bridge.index).await.map_err(|e| netlink_failed(&e))?;
        if !facts.has_stp {
            return Ok(());
        }
        let mut waiting = Vec::new();
        for slot in slots {
            let Some(state) = self.state.ports.get(slot).filter(|state| state.ifindex != 0) else { continue };
            let index = LinkIndex(state.ifindex);
            self.netlink.set_master(index, Some(bridge.index)).await.map_err(|e| netlink_failed(&e))?;
            let link = self.netlink.by_index(index).await.map_err(|e| netlink_failed(&e))?;
            if link.is_up && link.has_carrier {
                waiting.push(index);
            }
        }
        self.wait_for_bridge_ports(&waiting, &facts).await
    }

    /// Puts one link back under the bridge, as it was set there; it stays a port for now. Who is behind it.
    async fn leave(
        &mut self,
        link: LinkIndex,
        port: PortId,
        bridge: &Link,
        settings: &BridgePort,
    ) -> Result<Vec<MacAddr>, ApiError> {
        match self.netlink.set_master(link, Some(bridge.index)).await {
            Ok(()) => {}
            Err(error) if error.is_no_such_link() => return Ok(Vec::new()),
            Err(error) => return Err(netlink_failed(&error)),
        }
        if let Err(error) = bridge::set_port(&self.netlink, link, settings).await {
            tracing::warn!(error = chain(&error), "a link is back at its bridge, but not set as it was");
        }
        // Heard by the switch any longer, a station would be learned by the bridge where it hears the switch.
        self.deafen(port)?;
        let stations = self.stations_of(port)?;
        for mac in &stations {
            let station = Station { mac: *mac, port: link };
            bridge::learn(&self.netlink, &station).await.map_err(|e| netlink_failed(&e))?;
        }
        Ok(stations)
    }

    /// Detaches the port's programs: it still is sent to, and nothing that comes from it is the switch's.
    fn deafen(&mut self, port: PortId) -> Result<(), ApiError> {
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(()) };
        let target = Target { name: state.link.clone(), ifindex: state.ifindex };
        let Some(live) = self.live.get_mut(&port.0) else { return Ok(()) };
        let to = Setup { tc: None, xdp: None, ..live.setup.clone() };
        execute(self.datapath.as_mut(), port, &target, &plan(&live.setup, &to))
            .map_err(|e| datapath_failed(&e))?;
        live.setup = to;
        Ok(())
    }

    /// Members whose links have gone are no members any more.
    pub(super) async fn drop_lost_members(&mut self, name: &str) -> Result<(), ApiError> {
        let Some(taken) = self.state.takeovers.get(name) else { return Ok(()) };
        let is_lost = |slot: &&u16| self.state.ports.get(slot).is_none_or(|state| state.ifindex == 0);
        let lost: Vec<u16> = taken.members.keys().filter(is_lost).copied().collect();
        for slot in lost {
            self.remove_member(name, PortId(slot)).await?;
        }
        Ok(())
    }

    async fn remove_member(&mut self, name: &str, port: PortId) -> Result<(), ApiError> {
        let taken = self.state.takeovers.get_mut(name);
        let settings = taken.and_then(|taken| taken.members.remove(&port.0));
        if self.state.ports.contains_key(&port.0)
            && let Err(error) = self.remove_port(port).await
        {
            // Still a port, and so still one that is to go back.
            if let (Some(taken), Some(settings)) = (self.state.takeovers.get_mut(name), settings) {
                taken.members.insert(port.0, settings);
            }
            return Err(error);
        }
        self.save()
    }

    /// Refuses a release that would leave ports behind that never were the bridge's.
    pub(super) fn check_only_members(&self, name: &str) -> Result<(), ApiError> {
        let Some(taken) = self.state.takeovers.get(name) else { return Ok(()) };
        let pair = self.pair_port(name);
        let other = self.state.ports.iter().find(|(slot, state)| {
            state.network == name && !taken.members.contains_key(slot) && pair != Some(PortId(**slot))
        });
        let Some((_, port)) = other else { return Ok(()) };
        Err(ApiError::new(
            ErrorCode::NetworkInUse,
            format!(
                "{} is a port of network {name} and never was the bridge's: `vswitch port del {0}` first",
                port.link
            ),
        ))
    }

    /// Tells the switch of everyone the bridge knows: those that are still behind it are reached by the pair.
    pub(super) async fn tell_of_bridge(&mut self, name: &str, pair: Pair) -> Result<(), ApiError> {
        let failed = |e| netlink_failed(&e);
        let Some(port) = self.pair_port(name) else { return Ok(()) };
        for station in bridge::stations(&self.netlink, pair.bridge).await.map_err(failed)? {
            if station.port != pair.at_bridge {
                self.teach(name, station.mac, port)?;
            }
        }
        let domain = self.state.networks.get(name).map_or(0, |network| network.domain);
        for (ip, mac) in bridge::hosts(&self.netlink, pair.bridge).await.map_err(failed)? {
            self.note_host(domain, ip, mac, port);
        }
        Ok(())
    }

    /// Tells the switch that a station is behind a port, as if it had just heard it there; it can age and move.
    fn teach(&mut self, network: &str, mac: MacAddr, port: PortId) -> Result<(), ApiError> {
        let failed = |e| datapath_failed(&e);
        let Some(network) = self.state.networks.get(network) else { return Ok(()) };
        let Some(config) = self.live.get(&port.0).and_then(|live| live.setup.config) else { return Ok(()) };
        let key = FdbKey::new(DomainId(network.domain), mac);
        let known = self.datapath.fdb_get(key).map_err(failed)?;
        if known.is_some_and(|known| known.is_permanent()) {
            return Ok(());
        }
        let total = self.datapath.dynamic_entries(PortId::NOBODY).map_err(failed)?;
        if known.is_none() && total >= u64::from(self.limits.fdb_entries) {
            return Ok(());
        }
        let entry = FdbEntry::dynamic(port, &config, self.datapath.now_ns());
        // In one step, so that the station is never unknown in between.
        self.datapath.fdb_set(key, &entry).map_err(failed)?;
        let from = known.map_or(PortId::NOBODY, |known| PortId(known.port));
        let counts = match known {
            None => [(port, 1), (PortId::NOBODY, 1)],
            Some(_) => [(from, -1), (port, 1)],
        };
        counts
            .iter()
            .try_for_each(|(port, change)| self.datapath.mend_dynamic(*port, *change))
            .map_err(failed)
    }

    /// What was heard of a station's addresses by the pair holds at its own port.
    fn move_hosts(&mut self, name: &str, mac: MacAddr, port: PortId) {
        let Some(pair) = self.pair_port(name) else { return };
        let domain = self.state.networks.get(name).map_or(0, |network| network.domain);
        let hosts: Vec<_> = self.neighbours.at(pair).filter(|(whose, _)| *whose == mac).collect();
        for (_, ip) in hosts {
            self.note_host(domain, ip, mac, port);
        }
    }

    /// Stations that the switch has at a port.
    fn stations_of(&self, port: PortId) -> Result<Vec<MacAddr>, ApiError> {
        let mut stations = Vec::new();
        self.for_each_entry(|key, entry| {
            if entry.port == port.0 {
                stations.push(key.mac());
            }
        })?;
        Ok(stations)
    }
}

/// The port's options that stand for what the link was set to at the bridge.
fn options_of(link: &Link, settings: &BridgePort) -> PortOptions {
    PortOptions {
        // A network card may drop its carrier when native XDP comes or goes.
        hook: if link.kind == LinkKind::Physical { HookChoice::Tc } else { HookChoice::Auto },
        isolated: settings.isolated,
        hairpin: settings.hairpin,
        learning: settings.learning,
        flood: settings.unicast_flood || settings.multicast_flood || settings.broadcast_flood,
        ..PortOptions::default()
    }
}
