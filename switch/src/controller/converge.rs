//! Bringing one port about: from what the link and its peer are now to what the user wants of it.
//!
//! What must be undone one day is made durable before it is done: a survey first, saved, then the change.

use vswitch_common::port::{PortConfig, PortId, flag};
use vswitch_common::vlan::VlanId;

use super::hook::{Chosen, Surroundings, choose};
use super::plan::{Place, Setup, execute, plan};
use super::state::{Attached, NetworkState, PortOptions, PortState};
use super::{Controller, datapath_failed, guards, netlink_failed, vlans};
use crate::api::error::ApiError;
use crate::api::types::{EventKind, Hook, HookMode, MulticastMode, StormKind, VlanMode};
use crate::datapath::{Target, TcMode, XdpMode};
use crate::error::chain;
use crate::netlink::peer::{PeerFacts, PeerPreparation};
use crate::netlink::xdp_features::XdpFeatures;
use crate::netlink::{Link, LinkIndex, LinkKind, hostend, peer, xdp_features};

impl Controller {
    /// Makes the port's link, peer and data path what its durable state says. The caller saves the state afterwards.
    ///
    /// # Errors
    /// What the kernel refused; the data path is then as it was.
    pub(super) async fn converge(&mut self, port: PortId) -> Result<(), ApiError> {
        let Some(link) = self.find_link(port).await? else {
            return self.lose_link(port);
        };
        let known = self.state.ports.get(&port.0).map_or(0, |state| state.ifindex);
        if known != 0 && known != link.index.0 {
            self.lose_link(port)?;
        }
        let mut link = self.silence(port, link).await?;
        let mut peer = self.peer_facts(&link).await;
        self.size_segments(port, &mut link, peer.as_mut()).await?;
        let features = self.xdp_features(&link).await;
        let chosen = self.choose_hook(port, &link, features, peer.as_ref()).await;
        let chosen = self.prepare(port, &link, chosen).await?;
        match self.set_up(port, &link, peer.as_ref(), &chosen).await {
            Ok(()) => self.settle(port, link, peer, chosen).await,
            Err(error) if chosen.xdp.is_some() => {
                let fallback = Chosen::fallback(&error);
                self.set_up(port, &link, peer.as_ref(), &fallback).await?;
                self.settle(port, link, peer, fallback).await
            }
            Err(error) => Err(error),
        }
    }

    /// The port's link by index, else by name.
    async fn find_link(&self, port: PortId) -> Result<Option<Link>, ApiError> {
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(None) };
        if state.ifindex != 0 {
            match self.netlink.by_index(LinkIndex(state.ifindex)).await {
                Ok(link) if state.is_link(&link) => return Ok(Some(link)),
                Ok(_) => {}
                Err(error) if error.is_no_such_link() => {}
                Err(error) => return Err(netlink_failed(&error)),
            }
        }
        match self.netlink.by_name(&state.link).await {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.is_no_such_link() => Ok(None),
            Err(error) => Err(netlink_failed(&error)),
        }
    }

    /// The link belongs to the switch alone from now on. Done once a link: what somebody changes later, its being up for one,
    /// is theirs to change. The link as it is then.
    ///
    /// What a host sends in the moment that its link comes up matters to it: duplicate address detection asks once. So the
    /// tc program takes frames before the link does.
    async fn silence(&mut self, port: PortId, link: Link) -> Result<Link, ApiError> {
        let is_silent = self.live.get(&port.0).is_some_and(|live| live.is_silent);
        let Some(state) = self.state.ports.get_mut(&port.0) else { return Ok(link) };
        state.ifindex = link.index.0;
        state.link.clone_from(&link.name);
        let was = match &state.silenced {
            Some(was) if was.index == link.index && is_silent => return Ok(link),
            Some(was) if was.index == link.index => was.clone(),
            _ => {
                let was = hostend::survey(&self.netlink, link.index).await.map_err(|e| netlink_failed(&e))?;
                state.silenced = Some(was.clone());
                self.save()?;
                was
            }
        };
        // An adopted link that somebody has taken down stays down.
        let is_adopted = self.live.get(&port.0).is_some_and(|live| live.setup.config.is_some());
        if !is_adopted {
            let open = Link { is_up: true, has_carrier: true, ..link.clone() };
            self.set_up(port, &open, None, &Chosen::tc("the link comes up")).await?;
            hostend::apply(&self.netlink, &was).await.map_err(|e| netlink_failed(&e))?;
        }
        self.live.entry(port.0).or_default().is_silent = true;
        self.netlink.by_index(link.index).await.map_err(|e| netlink_failed(&e))
    }

    async fn peer_facts(&self, link: &Link) -> Option<PeerFacts> {
        if link.kind != LinkKind::Veth {
            return None;
        }
        peer::facts(&self.netlink, link.index)
            .await
            .inspect_err(|error| {
                tracing::debug!(link = link.name, error = chain(error), "nothing known of the peer");
            })
            .ok()
    }

    async fn xdp_features(&self, link: &Link) -> Option<XdpFeatures> {
        xdp_features::get(&self.netlink, link.index).await.ok().flatten()
    }

    async fn choose_hook(
        &self,
        port: PortId,
        link: &Link,
        features: Option<XdpFeatures>,
        peer: Option<&PeerFacts>,
    ) -> Chosen {
        let asked = self.state.ports.get(&port.0).map(|state| state.options.hook).unwrap_or_default();
        let peer = match (peer, self.state.ports.get(&port.0).and_then(|state| state.preparation.as_ref())) {
            (Some(_), _) | (None, Some(_)) => Ok(()),
            (None, None) => Err("nothing can be asked about it".to_owned()),
        };
        let has_native_xdp = features.map(XdpFeatures::is_native);
        let watch = self.live.get(&port.0).map(|live| &live.watch);
        let for_xdp = watch.and_then(|watch| watch.xdp_reason()).map(str::to_owned);
        let for_tc = watch.and_then(|watch| watch.tc_reason()).map(str::to_owned);
        choose(asked, &Surroundings { kind: link.kind.clone(), has_native_xdp, peer, for_xdp, for_tc })
    }

    /// Prepares the peer where the choice needs that; the choice becomes tc where that fails.
    async fn prepare(&mut self, port: PortId, link: &Link, chosen: Chosen) -> Result<Chosen, ApiError> {
        if chosen.xdp.is_none() || link.kind != LinkKind::Veth {
            return Ok(chosen);
        }
        let earlier = self.state.ports.get(&port.0).and_then(|state| state.preparation.clone());
        let likely = earlier.as_ref().map(|earlier| earlier.namespace_inode);
        let mut survey = match peer::survey(&self.netlink, link.index, likely).await {
            Ok(survey) => survey,
            Err(error) => return Ok(Chosen::fallback(&error)),
        };
        let is_same = |earlier: &PeerPreparation| {
            earlier.link == survey.link
                && earlier.facts.index == survey.facts.index
                && earlier.facts.mac == survey.facts.mac
        };
        if let Some(earlier) = earlier.filter(is_same) {
            survey.include(&earlier);
        }
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            state.preparation = Some(survey.clone());
            self.save()?;
        }
        let applied = peer::apply(&self.netlink, &survey).await;
        Ok(applied.map_or_else(|error| Chosen::fallback(&error), |()| chosen))
    }

    /// Plans and carries out what the data path needs.
    async fn set_up(
        &mut self,
        port: PortId,
        link: &Link,
        peer: Option<&PeerFacts>,
        chosen: &Chosen,
    ) -> Result<(), ApiError> {
        self.set_guards(port)?;
        // Asked again: preparing the peer has made the link a redirect target.
        let features = self.xdp_features(link).await;
        let is_target = match link.kind {
            LinkKind::Veth => chosen.xdp.is_some() && features.is_none_or(XdpFeatures::is_redirect_target),
            _ => features.is_some_and(XdpFeatures::is_redirect_target),
        };
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(()) };
        let Some(network) = self.state.networks.get(&state.network) else { return Ok(()) };
        let vlan = vlans::in_force(network, &state.options);
        if vlan.mode == VlanMode::Trunk {
            self.datapath.set_vlans(port, &vlans::set_of(&vlan)).map_err(|e| datapath_failed(&e))?;
        }
        let from = self.setup_of(port);
        let epoch = match from.config {
            Some(config) => config.epoch,
            None => self.datapath.port(port).map_err(|e| datapath_failed(&e))?.epoch.wrapping_add(1),
        };
        let config = PortConfig { epoch, ..port_config(&state.options, network, link, peer, is_target) };
        let place = self.place_of(port);
        let mut to = Setup { config: Some(config), tc: from.tc, xdp: chosen.xdp, place, is_target };
        to.tc = to.tc.or(Some(TcMode::Tcx));
        let target = Target { name: link.name.clone(), ifindex: link.index.0 };
        let attached = execute(self.datapath.as_mut(), port, &target, &plan(&from, &to));
        to.tc = attached.map_err(|e| datapath_failed(&e))?.or(to.tc);
        self.live.entry(port.0).or_default().setup = to;
        Ok(())
    }

    /// The port's place in its network's flood list.
    pub(super) fn place_of(&self, port: PortId) -> Option<Place> {
        let state = self.state.ports.get(&port.0)?;
        let network = self.state.networks.get(&state.network)?;
        Some(self.count_places(port, Place { network: network.id, index: state.place, with: 0, without: 0 }))
    }

    /// The place with how long the list is now with and without it. Others come and go, so this is asked anew each time.
    fn count_places(&self, port: PortId, place: Place) -> Place {
        let is_other = |slot: &u16| *slot != port.0;
        let live =
            self.live.iter().filter(|(slot, _)| is_other(slot)).filter_map(|(_, live)| live.setup.place);
        let live = live.filter(|other| other.network == place.network).map(|other| other.index);
        let network = self.state.networks.iter().find(|(_, network)| network.id == place.network);
        let is_at = |port: &PortState| network.is_some_and(|(name, _)| port.network == *name);
        let durable = self.state.ports.iter().filter(|(slot, _)| is_other(slot));
        let durable = durable.filter(|(_, other)| other.ifindex != 0 && is_at(other));
        let without =
            live.chain(durable.map(|(_, other)| other.place)).map(|index| u32::from(index) + 1).max();
        let without = without.unwrap_or(0);
        Place { with: without.max(u32::from(place.index) + 1), without, ..place }
    }

    /// What of the port is in the data path.
    pub(super) fn setup_of(&self, port: PortId) -> Setup {
        let setup = self.live.get(&port.0).map(|live| live.setup.clone()).unwrap_or_default();
        Setup { place: setup.place.map(|place| self.count_places(port, place)), ..setup }
    }

    /// Notes what was done, lets go of what is no longer needed, and says what changed.
    async fn settle(
        &mut self,
        port: PortId,
        link: Link,
        peer: Option<PeerFacts>,
        chosen: Chosen,
    ) -> Result<(), ApiError> {
        let live = self.live.entry(port.0).or_default();
        let (tc, xdp) = (live.setup.tc, live.setup.xdp);
        let was_forwarding = live.link.as_ref().is_some_and(is_forwarding);
        let is_forwarding = is_forwarding(&link);
        live.link = Some(link.clone());
        live.peer = peer;
        self.note_outward(port);
        self.view.ports.insert(port.0, link.name.clone());
        let Some(state) = self.state.ports.get_mut(&port.0) else { return Ok(()) };
        let is_new = state.attached.tc.is_none();
        let is_other_hook = state.attached.xdp != xdp && !is_new;
        state.attached.tc = tc;
        state.attached.xdp = xdp;
        state.hook_reason.clone_from(&chosen.reason);
        let superfluous = state.preparation.clone().filter(|_| xdp.is_none());
        if let Some(preparation) = superfluous {
            self.release_peer(port, &preparation).await;
        }
        self.save()?;
        if was_forwarding && !is_forwarding {
            self.flush_port(port)?;
        }
        if is_forwarding && !was_forwarding {
            self.ask_new_port(port);
        }
        if was_forwarding != is_forwarding {
            let port = link.name.clone();
            self.publish(if is_forwarding {
                EventKind::PortUp { port }
            } else {
                EventKind::PortDown { port }
            });
        }
        if is_other_hook {
            let hook = if xdp.is_some() { Hook::Xdp } else { Hook::Tc };
            self.publish(EventKind::HookChanged { port: link.name, hook, reason: chosen.reason });
        }
        Ok(())
    }

    /// Puts the peer back as it was.
    pub(super) async fn release_peer(&mut self, port: PortId, preparation: &PeerPreparation) {
        if let Err(error) = peer::undo(&self.netlink, preparation).await {
            tracing::warn!(
                link = self.link_name(port),
                error = chain(&error),
                "cannot put the peer back as it was"
            );
        }
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            state.preparation = None;
        }
    }

    /// What the maps and pins of an earlier run hold of a port whose link has gone meanwhile.
    fn remains(&self, port: PortId) -> Result<Setup, ApiError> {
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(Setup::default()) };
        let config = self.datapath.port(port).map_err(|e| datapath_failed(&e))?;
        if config.ifindex == 0 || config.ifindex != state.ifindex {
            return Ok(Setup::default());
        }
        Ok(Setup {
            config: Some(config),
            tc: state.attached.tc,
            xdp: state.attached.xdp,
            place: self.place_of(port),
            is_target: config.has(flag::XDP_TARGET),
        })
    }

    /// The port's link has gone, and the programs with it: nothing of it stays in the data path.
    pub(super) fn lose_link(&mut self, port: PortId) -> Result<(), ApiError> {
        self.flush_port(port)?;
        self.end_quarantine(port)?;
        let name = self.link_name(port);
        // What an earlier run left of it is there although this one has not brought it about.
        let from = match self.setup_of(port) {
            Setup { config: None, .. } => self.remains(port)?,
            setup => setup,
        };
        let live = self.live.entry(port.0).or_default();
        let had_link = live.link.take().is_some();
        live.peer = None;
        live.is_silent = false;
        live.refused_segments = None;
        live.setup = Setup::default();
        self.note_outward(port);
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            let target = Target { name: name.clone(), ifindex: state.ifindex };
            state.ifindex = 0;
            state.silenced = None;
            state.preparation = None;
            state.enlarged = None;
            state.attached = Attached::default();
            execute(self.datapath.as_mut(), port, &target, &plan(&from, &Setup::default()))
                .map_err(|e| datapath_failed(&e))?;
        }
        if had_link {
            self.publish(EventKind::PortDown { port: name });
        }
        Ok(())
    }
}

/// Whether frames can pass the link.
pub(super) fn is_forwarding(link: &Link) -> bool {
    link.is_up && link.has_carrier
}

/// The slot's value but for its epoch.
fn port_config(
    options: &PortOptions,
    network: &NetworkState,
    link: &Link,
    peer: Option<&PeerFacts>,
    is_target: bool,
) -> PortConfig {
    let is_reachable = |peer: &&PeerFacts| {
        let has_short_way = peer.is_up && !peer.is_in_same_namespace() && !peer.has_native_program;
        has_short_way && peer.mac.is_valid_source()
    };
    let reachable = peer.filter(is_reachable);
    let vlan = vlans::in_force(network, options);
    let (guard_flags, guard_mac) = guards::flags(options);
    let flags = [
        (flag::VLAN_AWARE, network.vlan_aware),
        (flag::TRUNK, vlan.mode == VlanMode::Trunk),
        (flag::FORWARDING, is_forwarding(link)),
        (flag::LEARNING, options.learning),
        (flag::FLOOD, options.flood),
        (flag::SNOOPED, network.multicast.snooping != MulticastMode::Off),
        (flag::ISOLATED, options.isolated),
        (flag::HAIRPIN, options.hairpin),
        (flag::XDP_TARGET, is_target),
        (flag::PEER_REACHABLE, reachable.is_some()),
    ];
    PortConfig {
        peer_mac: reachable.map_or(0, |peer| peer.mac.bits()),
        ageing_ns: u64::from(network.ageing_s) * 1_000_000_000,
        ifindex: link.index.0,
        flags: flags.iter().filter(|(_, on)| *on).map(|(bit, _)| bit).sum::<u32>() | guard_flags,
        epoch: 0,
        mtu: link.mtu.min(network.mtu.unwrap_or(u32::MAX)).min(peer.map_or(u32::MAX, |peer| peer.mtu)),
        mac_limit: options.mac_limit.unwrap_or(0),
        storm_interval_ns: [StormKind::Broadcast, StormKind::Multicast, StormKind::Unknown]
            .map(|kind| options.storm.get(&kind).map_or(0, |rate| 1_000_000_000 / (*rate).max(1))),
        storm_burst: [StormKind::Broadcast, StormKind::Multicast, StormKind::Unknown]
            .map(|kind| options.storm_burst.get(&kind).copied().unwrap_or(0)),
        guard_mac,
        network: network.id,
        domain: network.domain,
        pvid: vlan.pvid.filter(|_| network.vlan_aware).map_or(0, VlanId::get),
        near: 0,
        pad: [0; 2],
    }
}

/// How a port's hook is said to users.
pub(super) fn hook_mode(attached: Attached) -> HookMode {
    match (attached.xdp, attached.tc) {
        (Some(XdpMode::Native), _) => HookMode::Native,
        (Some(XdpMode::Generic), _) => HookMode::Generic,
        (None, Some(TcMode::Clsact)) => HookMode::Clsact,
        (None, _) => HookMode::Tcx,
    }
}
