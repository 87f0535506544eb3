//! `port add`, `port set`, `port del`.

use std::net::IpAddr;

use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;

use super::auto::Watch;
use super::plan::{Setup, execute, plan};
use super::state::{PortOptions, PortState};
use super::{Controller, datapath_failed, netlink_failed, vlans};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{DEFAULT_NETWORK, Done, EventKind, PortSpec, PortVlan, Reply};
use crate::datapath::{Target, TcMode};
use crate::error::chain;
use crate::netlink::{Link, LinkKind, hostend};

/// Longest link name (`IFNAMSIZ` of `linux/if.h`, less its terminator).
const LINK_NAME_BYTES: usize = 15;

impl Controller {
    pub(super) async fn port_add(&mut self, spec: PortSpec) -> Result<Reply, ApiError> {
        let network = spec.network.clone().unwrap_or_else(|| DEFAULT_NETWORK.to_owned());
        self.check_network(&network)?;
        self.check_options(&spec, &network, &PortVlan::default())?;
        if let Some((_, port)) = self.state.port_by_link(&spec.link) {
            return Err(ApiError::new(
                ErrorCode::PortExists,
                format!(
                    "{} is a port of network {} already: change it with `vswitch port set`",
                    spec.link, port.network
                ),
            ));
        }
        self.check_link(&spec.link).await?;
        let mut options = PortOptions::default();
        merge(&mut options, &spec)?;
        self.check_addresses(&network, None, &options.ips)?;
        self.check_host_name(&network, None, options.name.as_deref())?;
        let port = self.make_port(&spec.link, &network, options).await?;
        Ok(Reply::Ports(vec![self.port_json(port)?]))
    }

    /// Makes a link a port. Whether it can be one is the caller's to know.
    pub(super) async fn make_port(
        &mut self,
        link: &str,
        network: &str,
        options: PortOptions,
    ) -> Result<PortId, ApiError> {
        let port = self
            .state
            .free_slot(self.limits.ports)
            .ok_or_else(|| full(&format!("all {} port slots", self.limits.ports)))?;
        let place = self
            .state
            .free_place(network)
            .ok_or_else(|| full(&format!("all places of network {network}")))?;
        let state = PortState::new(link.to_owned(), network.to_owned(), place, options);
        self.state.ports.insert(port.0, state);
        let cleared = self.datapath.clear_counters(port).map_err(|e| datapath_failed(&e));
        let cleared = cleared.and_then(|()| self.end_quarantine(port));
        let made = match cleared {
            Ok(()) => self.converge(port).await.and_then(|()| self.install_entries(port)),
            Err(error) => Err(error),
        };
        if let Err(error) = made {
            self.unmake(port).await;
            return Err(error);
        }
        self.publish_names(network).await;
        self.publish(EventKind::PortAdded { port: link.to_owned() });
        Ok(port)
    }

    pub(super) async fn port_set(&mut self, spec: PortSpec) -> Result<Reply, ApiError> {
        let port = self.port_of(&spec.link)?;
        let Some(before) = self.state.ports.get(&port.0).cloned() else {
            return Err(no_such_port(&spec.link));
        };
        let network = spec.network.clone().unwrap_or_else(|| before.network.clone());
        self.check_network(&network)?;
        self.check_options(&spec, &network, &before.options.vlan)?;
        let mut after = before.clone();
        merge(&mut after.options, &spec)?;
        if spec.end_quarantine {
            self.end_quarantine(port)?;
        }
        if has_identity(&spec) {
            self.check_no_gateway(port)?;
        }
        self.check_addresses(&network, Some(port), &after.options.ips)?;
        self.check_host_name(&network, Some(port), after.options.name.as_deref())?;
        if let Some(network) = spec.network.filter(|network| *network != before.network) {
            self.check_may_leave(port)?;
            after.place =
                self.state.free_place(&network).ok_or_else(|| full(&format!("all places of {network}")))?;
            after.network = network;
        }
        if after.options.hook != before.options.hook {
            self.live.entry(port.0).or_default().watch = Watch::default();
        }
        let (gone, left) = (before.options.ips.clone(), before.network.clone());
        if let Err(error) = self.change(port, after).await {
            self.state.ports.insert(port.0, before);
            self.bring_back(port).await;
            return Err(error);
        }
        let is_kept =
            |ip: &IpAddr| self.state.ports.get(&port.0).is_some_and(|state| state.options.ips.contains(ip));
        let gone: Vec<IpAddr> = gone.into_iter().filter(|ip| !is_kept(ip)).collect();
        self.forget_hosts(&gone).await;
        for network in [&left, &network] {
            self.publish_names(network).await;
        }
        Ok(Reply::Ports(vec![self.port_json(port)?]))
    }

    /// Makes the port another one; the caller puts it back if that fails halfway.
    async fn change(&mut self, port: PortId, after: PortState) -> Result<(), ApiError> {
        let Some(before) = self.state.ports.get(&port.0) else { return Ok(()) };
        let is_elsewhere = after.network != before.network || after.options.vlan != before.options.vlan;
        if is_elsewhere {
            // What was learned was learned of the network and VLANs that it leaves.
            self.flush_port(port)?;
            self.send_home(port)?;
        }
        self.withdraw_entries(port)?;
        self.state.ports.insert(port.0, after);
        self.converge(port).await?;
        self.install_entries(port)?;
        self.save()
    }

    /// After a failure: makes link and data path what the state says again.
    pub(super) async fn bring_back(&mut self, port: PortId) {
        let done = self.converge(port).await.and_then(|()| self.install_entries(port));
        if let Err(error) = done.and_then(|()| self.save()) {
            let link = self.link_name(port);
            tracing::warn!(link, error = chain(&error), "cannot put the port back; trying again");
            self.behind.insert(port.0);
        }
    }

    pub(super) async fn port_del(&mut self, link: &str) -> Result<Reply, ApiError> {
        let port = self.port_of(link)?;
        self.check_may_leave(port)?;
        self.check_no_gateway(port)?;
        self.remove_port(port).await?;
        Ok(Reply::Done(Done { changed: 1 }))
    }

    /// Takes a port apart, puts its link and peer back as they were, and forgets it.
    pub(super) async fn remove_port(&mut self, port: PortId) -> Result<(), ApiError> {
        let link = self.link_name(port);
        let apart = self.take_apart(port).await.and_then(|()| self.send_home(port));
        if let Err(error) = apart {
            self.bring_back(port).await;
            return Err(error);
        }
        let gone =
            self.state.ports.get(&port.0).map(|state| (state.network.clone(), state.options.ips.clone()));
        self.forget(port)?;
        if let Some((network, ips)) = gone {
            self.forget_hosts(&ips).await;
            self.publish_names(&network).await;
        }
        self.publish(EventKind::PortRemoved { port: link });
        Ok(())
    }

    /// Takes apart what adding had done before it failed.
    async fn unmake(&mut self, port: PortId) {
        if let Err(error) = self.take_apart(port).await.and_then(|()| self.forget(port)) {
            tracing::warn!(error = chain(&error), "cannot take apart a port that was not added");
        }
    }

    /// Takes the port out of the data path and puts its link and peer back as they were.
    async fn take_apart(&mut self, port: PortId) -> Result<(), ApiError> {
        self.flush_port(port)?;
        self.withdraw_entries(port)?;
        let from = self.setup_of(port);
        let state = self.state.ports.get(&port.0);
        let target = Target {
            name: state.map_or_else(String::new, |state| state.link.clone()),
            ifindex: state.map_or(0, |state| state.ifindex),
        };
        execute(self.datapath.as_mut(), port, &target, &plan(&from, &Setup::default()))
            .map_err(|e| datapath_failed(&e))?;
        self.live.entry(port.0).or_default().setup = Setup::default();
        self.clear_guards(port)?;
        self.end_quarantine(port)?;
        self.release(port).await;
        Ok(())
    }

    /// Puts the port's peer and link back as they were.
    async fn release(&mut self, port: PortId) {
        let Some(state) = self.state.ports.get(&port.0).cloned() else { return };
        if let Some(preparation) = &state.preparation {
            self.release_peer(port, preparation).await;
        }
        self.put_segments_back(port).await;
        if state.attached.tc == Some(TcMode::Clsact) {
            self.remove_clsact(port).await;
        }
        if let Some(was) = &state.silenced
            && let Err(error) = hostend::restore(&self.netlink, was).await
        {
            tracing::warn!(link = state.link, error = chain(&error), "cannot put the link back as it was");
        }
    }

    /// The tc program is no clsact filter any more: the qdisc goes with it, if it came with it.
    pub(super) async fn remove_clsact(&self, port: PortId) {
        let Some(was) = self.state.ports.get(&port.0).and_then(|state| state.silenced.as_ref()) else {
            return;
        };
        if let Err(error) = hostend::remove_clsact(&self.netlink, was).await {
            tracing::warn!(link = was.name, error = chain(&error), "a clsact qdisc stays on the link");
        }
    }

    fn forget(&mut self, port: PortId) -> Result<(), ApiError> {
        self.state.ports.remove(&port.0);
        self.live.remove(&port.0);
        self.note_outward(port);
        self.behind.remove(&port.0);
        self.view.ports.remove(&port.0);
        self.save()
    }

    /// The port of a link.
    pub(super) fn port_of(&self, link: &str) -> Result<PortId, ApiError> {
        self.state.port_by_link(link).map(|(port, _)| port).ok_or_else(|| no_such_port(link))
    }

    /// Whether the network exists.
    pub(super) fn check_network(&self, name: &str) -> Result<(), ApiError> {
        if self.state.networks.contains_key(name) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorCode::NoSuchNetwork,
            format!(
                "there is no network {name}: `vswitch network ls` lists them, `vswitch network create` makes one"
            ),
        ))
    }

    /// Whether what is said makes sense together with what stays: the VLAN options also where only the network is another.
    fn check_options(&self, spec: &PortSpec, network: &str, before: &PortVlan) -> Result<(), ApiError> {
        check_storm(spec)?;
        let vlan = spec.vlan.as_ref().unwrap_or(before);
        self.state
            .networks
            .get(network)
            .map_or(Ok(()), |state| vlans::check(&spec.link, network, state, vlan))
    }

    /// Whether the link can be a port's.
    async fn check_link(&self, name: &str) -> Result<(), ApiError> {
        if name.is_empty()
            || name.len() > LINK_NAME_BYTES
            || name.contains(|c: char| c == '/' || c.is_whitespace())
        {
            return Err(ApiError::new(
                ErrorCode::NoSuchLink,
                format!("{name:?} cannot be the name of a link"),
            ));
        }
        let link = self.netlink.by_name(name).await.map_err(|e| netlink_failed(&e))?;
        check_kind(&link)?;
        let addresses = self.netlink.addresses(link.index).await.map_err(|e| netlink_failed(&e))?;
        if let Some(given) = addresses.first() {
            return Err(ApiError::new(
                ErrorCode::LinkHasAddress,
                format!(
                    "{name} has address {}, and a port's link belongs to the switch alone: `ip address flush dev {name}` first",
                    given.address
                ),
            ));
        }
        Ok(())
    }
}

fn check_kind(link: &Link) -> Result<(), ApiError> {
    let name = &link.name;
    if link.master.is_some() {
        return Err(ApiError::new(
            ErrorCode::LinkHasAddress,
            format!("{name} belongs to a bridge or bond: `ip link set {name} nomaster` first"),
        ));
    }
    match &link.kind {
        LinkKind::Bridge => Err(ApiError::new(
            ErrorCode::LinkUnsuitable,
            format!("{name} is a bridge: add the links behind it, one by one"),
        )),
        LinkKind::Other(kind) if kind == "loopback" || link.mac.bits() == 0 => Err(ApiError::new(
            ErrorCode::LinkUnsuitable,
            format!("{name} ({kind}) carries no Ethernet frames: a port wants a veth, tap or Ethernet link"),
        )),
        _ => Ok(()),
    }
}

/// Most frames per second that a storm limit can say; more is no limit.
const STORM_MOST: u32 = 10_000_000;

fn check_storm(spec: &PortSpec) -> Result<(), ApiError> {
    match spec.storm.values().find(|rate| **rate > STORM_MOST) {
        Some(rate) => Err(ApiError::new(
            ErrorCode::InvalidArgument,
            format!(
                "{}: a storm limit of {rate} frames/s is out of range: give 0 (none) to {STORM_MOST}",
                spec.link
            ),
        )),
        None => check_bursts(spec),
    }
}

/// A burst is said together with the rate it belongs to.
fn check_bursts(spec: &PortSpec) -> Result<(), ApiError> {
    let refuse =
        |said: String| Err(ApiError::new(ErrorCode::InvalidArgument, format!("{}: {said}", spec.link)));
    for (kind, burst) in &spec.storm_burst {
        if spec.storm.get(kind).is_none_or(|rate| *rate == 0) {
            return refuse("a storm burst without its limit: give storm the same kind and a rate".to_owned());
        }
        if !(1..=STORM_MOST).contains(burst) {
            return refuse(format!(
                "a storm burst of {burst} frames is out of range: give 1 to {STORM_MOST}, or none"
            ));
        }
    }
    Ok(())
}

/// Whether the network or the host behind the port is said.
fn has_identity(spec: &PortSpec) -> bool {
    spec.network.is_some() || spec.name.is_some() || spec.mac.is_some() || spec.ips.is_some()
}

/// Takes over what was said.
fn merge(options: &mut PortOptions, spec: &PortSpec) -> Result<(), ApiError> {
    if let Some(mac) = spec.mac.filter(|mac| mac.is_group()) {
        return Err(ApiError::new(
            ErrorCode::InvalidMac,
            format!("{mac} cannot be a host's address: it is a group address"),
        ));
    }
    options.hook = spec.hook.unwrap_or(options.hook);
    options.isolated = spec.isolated.unwrap_or(options.isolated);
    options.hairpin = spec.hairpin.unwrap_or(options.hairpin);
    options.learning = spec.learning.unwrap_or(options.learning);
    options.flood = spec.flood.unwrap_or(options.flood);
    options.trusted = spec.trusted.unwrap_or(options.trusted);
    if let Some(limit) = spec.mac_limit {
        options.mac_limit = (limit != 0).then_some(limit);
    }
    // An empty name and a zero address take back what was said before.
    if let Some(name) = &spec.name {
        options.name = Some(name.clone()).filter(|name| !name.is_empty());
    }
    if let Some(mac) = spec.mac {
        options.mac = Some(mac).filter(|mac| *mac != MacAddr::ZERO);
    }
    if let Some(ips) = &spec.ips {
        options.ips.clone_from(ips);
    }
    if let Some(vlan) = &spec.vlan {
        options.vlan.clone_from(vlan);
    }
    for (kind, rate) in &spec.storm {
        options.storm.insert(*kind, *rate);
        options.storm_burst.remove(kind);
    }
    options.storm.retain(|_, rate| *rate != 0);
    options.storm_burst.extend(spec.storm_burst.iter().map(|(kind, burst)| (*kind, *burst)));
    let limited = &options.storm;
    options.storm_burst.retain(|kind, _| limited.contains_key(kind));
    Ok(())
}

fn no_such_port(link: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NoSuchPort,
        format!(
            "{link} is not a port: `vswitch port show` lists them, `vswitch port add {link}` makes it one"
        ),
    )
}

fn full(what: &str) -> ApiError {
    ApiError::new(ErrorCode::LimitReached, format!("{what} are taken: delete a port first"))
}
