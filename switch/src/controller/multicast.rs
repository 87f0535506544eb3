//! Multicast snooping: what hosts say reaches the tables, the tables reach the data path, and who is to be asked is asked. `mdb
//! show`, and what `network inspect` says of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vswitch_common::domain::DomainId;
use vswitch_common::event::Snoop;
use vswitch_common::frame::ethertype;
use vswitch_common::membership::{Family, Message, parse};
use vswitch_common::port::PortId;
use vswitch_common::vlan::VlanId;

use super::state::NetworkState;
use super::{Controller, vlans};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{
    EventKind, MdbEntry, MdbFilter, MdbKind, Multicast, MulticastMode, MulticastQuerier, MulticastScope,
    MulticastSpec, Reply,
};
use crate::error::chain;
use crate::multicast::{Ask, Asker, Heard, Limit, Scope, Settings, Snooping, Table, frame};

/// A limit that was said to be reached is not said again within this time, in nanoseconds.
const SAY_AGAIN_NS: u64 = 300_000_000_000;
/// Longest interval that a query can say (RFC 3376 section 4.1.7), and longest time to the answers (section 4.1.1 allows more).
const INTERVAL_MOST_S: u32 = 31_744;
const RESPONSE_MOST_S: u32 = 25;

/// How a network treats multicast: durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MulticastState {
    /// See [`MulticastSpec`] for this and the rest.
    pub snooping: MulticastMode,
    /// vswitch asks.
    pub querier: bool,
    /// Seconds.
    pub query_interval_s: u32,
    /// Seconds.
    pub response_s: u32,
}

impl Default for MulticastState {
    fn default() -> Self {
        // RFC 3376 sections 8.2 and 8.3.
        Self { snooping: MulticastMode::Auto, querier: false, query_interval_s: 125, response_s: 10 }
    }
}

impl MulticastState {
    /// With what is asked for.
    ///
    /// # Errors
    /// `invalid-argument`.
    pub(super) fn with(&self, spec: &MulticastSpec) -> Result<Self, ApiError> {
        let to = Self {
            snooping: spec.snooping.unwrap_or(self.snooping),
            querier: spec.querier.unwrap_or(self.querier),
            query_interval_s: spec.query_interval.unwrap_or(self.query_interval_s),
            response_s: spec.response_time.unwrap_or(self.response_s),
        };
        let refuse = |why: String| Err(ApiError::new(ErrorCode::InvalidArgument, why));
        if !(1..=RESPONSE_MOST_S).contains(&to.response_s) {
            return refuse(format!(
                "a multicast response time of {} s is out of range: give 1 to {RESPONSE_MOST_S}",
                to.response_s
            ));
        }
        if to.query_interval_s <= to.response_s || to.query_interval_s > INTERVAL_MOST_S {
            return refuse(format!(
                "a multicast query interval of {} s is out of range: give more than the response time, which is {} s, and at \
                 most {INTERVAL_MOST_S}",
                to.query_interval_s, to.response_s
            ));
        }
        if to.querier && to.snooping == MulticastMode::Off {
            return refuse(
                "a multicast querier needs snooping: say --multicast-snooping auto, or --no-multicast-querier".to_owned(),
            );
        }
        Ok(to)
    }
}

/// What the controller knows of multicast, beyond what is durable.
#[derive(Debug, Default)]
pub(super) struct Watch {
    snooping: Snooping,
    /// Tells this switch's queries from those of others.
    pub(super) identity: u32,
    said: BTreeMap<(&'static str, PortId), u64>,
}

/// A network as far as multicast goes.
#[derive(Clone, Copy)]
struct Kept {
    id: u16,
    asker: Asker,
    settings: Settings,
}

impl Controller {
    /// A host said something about membership, or a router that it is there.
    pub(super) fn take_snoop(&mut self, snoop: &Snoop) {
        let (port, now_ns) = (PortId(snoop.port), self.datapath.now_ns());
        let family = if snoop.ethertype == ethertype::IPV4 { Family::V4 } else { Family::V6 };
        let scope = Scope { domain: DomainId(snoop.domain), family };
        let Some(state) = self.state.ports.get(&snoop.port) else { return };
        // The port may have changed its network while the message waited.
        let network = self.state.networks.get(&state.network);
        let Some(network) = network.filter(|network| network.domain == vlans::base(snoop.domain).0) else {
            return;
        };
        let settings = self.kept(network).settings;
        if snoop.is_cut {
            self.multicast.snooping.hear_unreadable(scope, port, &settings, now_ns);
            return self.publish_groups(scope, &settings);
        }
        let Some(message) = parse(snoop.ethertype, &snoop.packet) else { return };
        let is_host = state.options.is_guarded() && !state.options.trusted;
        if is_host && !matches!(message, Message::Changes(_)) {
            return tracing::debug!(
                link = state.link,
                "a guarded port that is not trusted has no querier or router"
            );
        }
        let heard = Heard { scope, port, message };
        let (asks, limit) = self.multicast.snooping.hear(heard, &settings, now_ns);
        if let Some((limit, port)) = limit {
            self.say_multicast_limit(limit, port);
        }
        self.ask(scope, &asks);
        self.publish_groups(scope, &settings);
    }

    /// Lets time pass in all tables, makes those that are needed, and drops those of networks that have gone.
    pub(super) fn tick_multicast(&mut self) {
        let now_ns = self.datapath.now_ns();
        self.multicast.said.retain(|_, at_ns| now_ns.saturating_sub(*at_ns) < SAY_AGAIN_NS);
        let networks: HashMap<u16, Kept> =
            self.state.networks.values().map(|network| (network.domain, self.kept(network))).collect();
        let kept = |scope: Scope| networks.get(&vlans::base(scope.domain.0).0);
        let needed = self.scopes_needed();
        needed.iter().for_each(|scope| self.multicast.snooping.ensure(*scope));
        self.multicast.snooping.retain(self.datapath.as_mut(), |scope, table| {
            let is_on = kept(scope).is_some_and(|kept| kept.settings.mode != MulticastMode::Off);
            is_on && (needed.contains(&scope) || !table.is_idle())
        });
        let scopes: Vec<Scope> = self.multicast.snooping.tables().map(|(scope, _)| scope).collect();
        for scope in scopes {
            let Some(Kept { settings, .. }) = kept(scope).copied() else { continue };
            let asks = self.multicast.snooping.tick(scope, &settings, now_ns);
            self.ask(scope, &asks);
            self.publish_groups(scope, &settings);
        }
    }

    /// Those whose hosts are asked, or whose multicast is pruned, whatever was heard. Of VLANs those that ports have untagged: there
    /// hosts are; a VLAN of trunks alone is asked when somebody in it has said anything.
    fn scopes_needed(&self) -> BTreeSet<Scope> {
        let mut needed = BTreeSet::new();
        for port in self.state.ports.values() {
            let Some(network) = self.state.networks.get(&port.network) else { continue };
            let multicast = &network.multicast;
            if multicast.snooping == MulticastMode::Off
                || !(multicast.querier || multicast.snooping == MulticastMode::On)
            {
                continue;
            }
            let pvid = vlans::in_force(network, &port.options).pvid;
            if network.vlan_aware && pvid.is_none() {
                continue;
            }
            let domain = vlans::domain(network, pvid);
            needed.extend([Family::V4, Family::V6].map(|family| Scope { domain, family }));
        }
        needed
    }

    fn kept(&self, network: &NetworkState) -> Kept {
        let asker = Asker::new(self.multicast.identity, network.id);
        let settings = Settings {
            mode: network.multicast.snooping,
            is_querier: network.multicast.querier,
            interval_s: network.multicast.query_interval_s,
            response_s: network.multicast.response_s,
            link_local: asker.link_local(),
        };
        Kept { id: network.id, asker, settings }
    }

    /// Sends queries into a domain.
    fn ask(&mut self, scope: Scope, asks: &[Ask]) {
        let (base, vlan) = vlans::base(scope.domain.0);
        let Some(network) = self.state.networks.values().find(|network| network.domain == base) else {
            return;
        };
        let Kept { id, asker, settings } = self.kept(network);
        for about in asks {
            let query = frame(asker, scope.family, *about, &settings);
            if let Err(error) = self.datapath.send(id, vlan.map_or(0, VlanId::get), &query) {
                tracing::debug!(
                    domain = scope.domain.0,
                    error = chain(&error),
                    "cannot send a multicast query"
                );
            }
        }
    }

    fn publish_groups(&mut self, scope: Scope, settings: &Settings) {
        let now_ns = self.datapath.now_ns();
        if self.multicast.snooping.publish(self.datapath.as_mut(), scope, settings, now_ns) {
            self.say_multicast_limit(Limit::Members, PortId::NOBODY);
        }
    }

    fn say_multicast_limit(&mut self, limit: Limit, port: PortId) {
        let (name, port) = match limit {
            Limit::GroupsOfPort => ("multicast-groups", port),
            Limit::Members => ("multicast-members", PortId::NOBODY),
            Limit::Scopes => ("multicast-scopes", PortId::NOBODY),
        };
        let now_ns = self.datapath.now_ns();
        if self.multicast.said.insert((name, port), now_ns).is_none() {
            let port = Some(port).filter(|port| *port != PortId::NOBODY).map(|port| self.link_name(port));
            tracing::warn!(
                limit = name,
                port,
                "limit reached: multicast floods where it cannot be told who wants it"
            );
            self.publish(EventKind::LimitReached { limit: name.to_owned(), port });
        }
    }

    /// What is behind a port is no longer known.
    pub(super) fn forget_groups_of(&mut self, port: PortId) {
        for scope in self.multicast.snooping.forget_port(port) {
            let base = vlans::base(scope.domain.0).0;
            let network = self.state.networks.values().find(|network| network.domain == base);
            if let Some(settings) = network.map(|network| self.kept(network).settings) {
                self.publish_groups(scope, &settings);
            }
        }
        self.multicast.said.retain(|(_, said), _| *said != port);
    }

    /// Another port may have members: they are asked soon, where vswitch asks.
    pub(super) fn ask_new_port(&mut self, port: PortId) {
        let network = self.state.ports.get(&port.0).and_then(|port| self.state.networks.get(&port.network));
        if let Some(first) = network.map(|network| network.domain) {
            let now_ns = self.datapath.now_ns();
            self.multicast.snooping.ask_soon(|domain| vlans::base(domain.0).0 == first, now_ns);
        }
    }

    pub(super) fn mdb_show(&self, filter: &MdbFilter) -> Result<Reply, ApiError> {
        if let Some(network) = &filter.network {
            self.check_network(network)?;
        }
        let (now_ns, mut entries) = (self.datapath.now_ns(), Vec::new());
        for (scope, table) in self.multicast.snooping.tables() {
            let Some((network, vlan)) = self.state.network_of_domain(scope.domain.0) else { continue };
            if filter.network.as_deref().is_some_and(|wanted| wanted != network) {
                continue;
            }
            let entry = |group: Option<IpAddr>, port: PortId, until_ns: u64| MdbEntry {
                group,
                port: self.link_name(port),
                network: network.to_owned(),
                vlan,
                kind: if group.is_some() { MdbKind::Member } else { MdbKind::Router },
                family: family_name(scope.family).to_owned(),
                expires_seconds: (until_ns != u64::MAX).then(|| until_ns.saturating_sub(now_ns) as f64 / 1e9),
            };
            entries.extend(table.router_ports().map(|(port, until_ns)| entry(None, port, until_ns)));
            for (group, members) in table.groups() {
                let ip = Some(ip_of(group.family(), group.ip()));
                entries.extend(members.iter().map(|(port, until_ns)| entry(ip, *port, *until_ns)));
            }
        }
        entries.sort_by(|a, b| {
            (&a.network, a.vlan, &a.family, a.group, &a.port)
                .cmp(&(&b.network, b.vlan, &b.family, b.group, &b.port))
        });
        Ok(Reply::Mdb(entries))
    }

    /// What `network inspect` says.
    pub(super) fn multicast_json(&self, network: &NetworkState) -> Multicast {
        let is_of = |scope: &Scope| vlans::base(scope.domain.0).0 == network.domain;
        let tables = self.multicast.snooping.tables().filter(|(scope, _)| is_of(scope));
        let settings = self.kept(network).settings;
        let scopes = tables.map(|(scope, table)| self.scope_json(scope, table, &settings)).collect();
        Multicast {
            snooping: network.multicast.snooping,
            querier: network.multicast.querier,
            query_interval: network.multicast.query_interval_s,
            response_time: network.multicast.response_s,
            scopes,
        }
    }

    fn scope_json(&self, scope: Scope, table: &Table, settings: &Settings) -> MulticastScope {
        let now_ns = self.datapath.now_ns();
        let own = match scope.family {
            Family::V4 => [0; 16],
            Family::V6 => settings.link_local,
        };
        let querier = if table.asks(settings, now_ns) {
            Some(MulticastQuerier { address: ip_of(scope.family, own), port: None })
        } else {
            table.querier(now_ns).map(|other| MulticastQuerier {
                address: ip_of(scope.family, other.source),
                port: Some(self.link_name(other.port)),
            })
        };
        MulticastScope {
            family: family_name(scope.family).to_owned(),
            vlan: vlans::base(scope.domain.0).1,
            pruning: table.prunes(settings, now_ns),
            querier,
            router_ports: table.router_ports().map(|(port, _)| self.link_name(port)).collect(),
            groups: table.groups().count() as u64,
        }
    }
}

fn family_name(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn ip_of(family: Family, ip: [u8; 16]) -> IpAddr {
    match (family, ip) {
        (Family::V4, [a, b, c, d, ..]) => IpAddr::from([a, b, c, d]),
        (Family::V6, ip) => IpAddr::from(ip),
    }
}
