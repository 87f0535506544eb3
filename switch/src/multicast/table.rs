//! One family of one domain: its querier, the ports that routers are behind, and who is a member of which group until when.
//! Pure: time goes in, what is to be asked comes out.

mod view;

use std::collections::{BTreeMap, BTreeSet};

use vswitch_common::limits::MULTICAST_GROUPS_PER_PORT;
use vswitch_common::membership::{Change, Family, Group, Query};
use vswitch_common::port::PortId;

use super::query::{LAST_MEMBER_MS, ROBUSTNESS};
use super::{SECOND_NS, Settings};
use crate::api::types::MulticastMode;

/// Nanoseconds of a millisecond.
const MS_NS: u64 = 1_000_000;
/// Queries in quick succession when vswitch begins to ask (RFC 3376 section 8.7).
const STARTUP_QUERIES: u32 = 2;
/// Shortest time to the answers that is believed, in milliseconds: a busy host takes longer than some queriers say.
const LEAST_RESPONSE_MS: u32 = 1_000;
/// Groups that are asked about because somebody left, in one tick. Beyond it members are left to age, or a host that leaves and
/// leaves would have queries flooded as fast as it can.
const LEAVES_A_TICK: usize = 64;
/// Until somebody says otherwise.
const FOREVER: u64 = u64::MAX;

/// What is to be asked: about a group, or about all.
pub type Ask = Option<Group>;

/// A limit that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Of groups that one port can be a member of: it gets all multicast for a while.
    GroupsOfPort,
    /// Of members of all groups: multicast of the domain floods for a while.
    Members,
    /// Of domains that are snooped: multicast floods in this one.
    Scopes,
}

/// Somebody else who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Querier {
    /// Its address; unspecified for a switch.
    pub source: [u8; 16],
    /// Where it is.
    pub port: PortId,
    /// It is taken to have gone by then.
    pub until_ns: u64,
    robustness: u8,
    interval_s: u32,
    response_ms: u32,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    family: Family,
    querier: Option<Querier>,
    /// When to ask about all next, and how many times in quick succession.
    next_query_ns: u64,
    startups: u32,
    /// Groups that somebody left, and how many times more to ask about them.
    left: BTreeMap<Group, u32>,
    was_ruled: bool,
    was_asked: bool,
    was_asking: bool,
    prunes_from_ns: u64,
    full_until_ns: u64,
    routers: BTreeMap<PortId, u64>,
    groups: BTreeMap<Group, BTreeMap<PortId, u64>>,
    by_port: BTreeMap<PortId, usize>,
    members: usize,
    leaves: usize,
    /// What is to be published: whether a querier and pruning were in force when it was last, and which groups changed.
    published: Option<(bool, bool)>,
    changed: BTreeSet<Group>,
    has_all_changed: bool,
}

impl Table {
    /// Nobody asks, nobody is a member.
    #[must_use]
    pub fn new(family: Family) -> Self {
        Self {
            family,
            querier: None,
            next_query_ns: 0,
            startups: STARTUP_QUERIES,
            left: BTreeMap::new(),
            was_ruled: false,
            was_asked: true,
            was_asking: false,
            prunes_from_ns: 0,
            full_until_ns: 0,
            routers: BTreeMap::new(),
            groups: BTreeMap::new(),
            by_port: BTreeMap::new(),
            members: 0,
            leaves: 0,
            published: None,
            changed: BTreeSet::new(),
            has_all_changed: false,
        }
    }

    /// Who asks, if it is not vswitch.
    #[must_use]
    pub fn querier(&self, now_ns: u64) -> Option<&Querier> {
        self.querier.as_ref().filter(|querier| now_ns < querier.until_ns)
    }

    /// Whether vswitch asks. Where both are without an address, as switches are for IGMP, neither gives way.
    #[must_use]
    pub fn asks(&self, settings: &Settings, now_ns: u64) -> bool {
        settings.is_querier && settings.mode != MulticastMode::Off && !self.is_outranked(settings, now_ns)
    }

    fn is_outranked(&self, settings: &Settings, now_ns: u64) -> bool {
        // The lower address wins (RFC 3376 section 6.6.2), but that of no address (RFC 4541 section 2.1.1).
        self.querier(now_ns).is_some_and(|other| match self.family {
            Family::V4 => other.source != [0; 16],
            Family::V6 => other.source < settings.link_local,
        })
    }

    /// Whether hosts are made to say what they want, so that reports are for routers alone.
    #[must_use]
    pub fn is_ruled(&self, settings: &Settings, now_ns: u64) -> bool {
        match settings.mode {
            MulticastMode::Off => false,
            MulticastMode::On => true,
            MulticastMode::Auto => self.asks(settings, now_ns) || self.querier(now_ns).is_some(),
        }
    }

    /// Whether they have had the time to, so that what nobody wants is pruned.
    #[must_use]
    pub fn prunes(&self, settings: &Settings, now_ns: u64) -> bool {
        let is_settled = self.was_ruled && now_ns >= self.prunes_from_ns && now_ns >= self.full_until_ns;
        self.is_ruled(settings, now_ns) && is_settled
    }

    /// Whether anybody asks all the time, so that members who say nothing are none any more.
    fn is_asked(&self, settings: &Settings, now_ns: u64) -> bool {
        settings.mode != MulticastMode::On || self.asks(settings, now_ns) || self.querier(now_ns).is_some()
    }

    /// How long a report counts (RFC 3376 section 8.4).
    fn membership_ns(&self, settings: &Settings, now_ns: u64) -> u64 {
        let (robustness, interval_s, response_ms) = self.rules(settings, now_ns);
        u64::from(robustness) * u64::from(interval_s) * SECOND_NS + u64::from(response_ms) * MS_NS
    }

    /// Robustness, interval and time to the answers: the querier's.
    fn rules(&self, settings: &Settings, now_ns: u64) -> (u8, u32, u32) {
        match self.querier(now_ns).filter(|_| !self.asks(settings, now_ns)) {
            Some(other) => (other.robustness, other.interval_s, other.response_ms),
            None => (ROBUSTNESS, settings.interval_s, settings.response_s * 1_000),
        }
    }

    fn end_of_report(&self, settings: &Settings, now_ns: u64) -> u64 {
        if self.is_asked(settings, now_ns) { now_ns + self.membership_ns(settings, now_ns) } else { FOREVER }
    }

    /// A port's host asks. Any that does is taken for a router: too many frames do less harm than too few.
    pub fn hear_query(&mut self, port: PortId, query: &Query, settings: &Settings, now_ns: u64) {
        let robustness = if query.robustness == 0 { ROBUSTNESS } else { query.robustness };
        let response_ms = query.max_response_ms.max(LEAST_RESPONSE_MS);
        if let Some(group) = query.group {
            // Somebody left; who has not will say so in time.
            let wait_ns = u64::from(robustness) * u64::from(response_ms) * MS_NS;
            for until_ns in self.groups.get_mut(&group).into_iter().flat_map(BTreeMap::values_mut) {
                *until_ns = (*until_ns).min(now_ns + wait_ns);
            }
            return;
        }
        let interval_s = if query.interval_s == 0 { settings.interval_s } else { query.interval_s };
        let lasts_ns = u64::from(robustness) * u64::from(interval_s) * SECOND_NS;
        let until_ns = now_ns + lasts_ns + u64::from(response_ms) * MS_NS / 2;
        let is_elected = self.querier(now_ns).is_none_or(|known| {
            known.source == [0; 16] || (query.source != [0; 16] && query.source <= known.source)
        });
        if is_elected {
            self.querier =
                Some(Querier { source: query.source, port, until_ns, robustness, interval_s, response_ms });
        }
        self.add_router(port, until_ns);
        self.settle(settings, now_ns);
    }

    /// A port has a router behind it that said so itself.
    pub fn hear_router(&mut self, port: PortId, settings: &Settings, now_ns: u64) {
        self.add_router(port, now_ns + self.membership_ns(settings, now_ns));
    }

    fn add_router(&mut self, port: PortId, until_ns: u64) {
        let known = self.routers.insert(port, until_ns);
        self.has_all_changed |= known.is_none();
        if let Some(known) = known.filter(|known| *known > until_ns) {
            self.routers.insert(port, known);
        }
    }

    /// A port's host says what it wants, or no longer does; there is room for so many members. What is to be asked.
    ///
    /// # Errors
    /// The limit that was reached; what the host wants is then flooded to its port, or to all.
    pub fn hear_change(
        &mut self,
        port: PortId,
        change: Change,
        room: usize,
        settings: &Settings,
        now_ns: u64,
    ) -> Result<Option<Ask>, Limit> {
        if !change.joins {
            return Ok(self.leave(port, change.group, settings, now_ns).then_some(Some(change.group)));
        }
        let until_ns = self.end_of_report(settings, now_ns);
        if let Some(known) = self.groups.get_mut(&change.group).and_then(|members| members.get_mut(&port)) {
            *known = until_ns;
            return Ok(None);
        }
        if self.by_port.get(&port).is_some_and(|groups| *groups >= MULTICAST_GROUPS_PER_PORT) {
            self.add_router(port, until_ns);
            return Err(Limit::GroupsOfPort);
        }
        if self.members >= room {
            self.flood_for_a_while(settings, now_ns);
            return Err(Limit::Members);
        }
        self.groups.entry(change.group).or_default().insert(port, until_ns);
        *self.by_port.entry(port).or_default() += 1;
        self.members += 1;
        self.changed.insert(change.group);
        Ok(None)
    }

    /// Whether to ask who else there is; until then the port stays a member.
    fn leave(&mut self, port: PortId, group: Group, settings: &Settings, now_ns: u64) -> bool {
        // Another querier hears of it too, asks, and is heard asking.
        if self.leaves >= LEAVES_A_TICK || self.left.contains_key(&group) {
            return false;
        }
        let is_ours = self.asks(settings, now_ns)
            || (settings.mode == MulticastMode::On && self.querier(now_ns).is_none());
        let member = self.groups.get_mut(&group).and_then(|members| members.get_mut(&port));
        let Some(until_ns) = member.filter(|_| is_ours) else { return false };
        let wait_ns = u64::from(ROBUSTNESS) * u64::from(LAST_MEMBER_MS) * MS_NS;
        *until_ns = (*until_ns).min(now_ns + wait_ns);
        self.left.insert(group, u32::from(ROBUSTNESS) - 1);
        self.leaves += 1;
        true
    }

    /// Multicast floods until members have had the time to leave.
    pub fn flood_for_a_while(&mut self, settings: &Settings, now_ns: u64) {
        self.full_until_ns = now_ns + self.membership_ns(settings, now_ns);
        self.has_all_changed = true;
    }

    /// Asks about all at the next opportunity, if it is for vswitch to ask.
    pub fn ask_soon(&mut self, now_ns: u64) {
        self.next_query_ns = now_ns;
        self.startups = self.startups.max(1);
    }

    /// Lets time pass: what is silent is forgotten. What is to be asked now.
    pub fn tick(&mut self, settings: &Settings, now_ns: u64) -> Vec<Ask> {
        self.settle(settings, now_ns);
        self.expire(now_ns);
        self.leaves = 0;
        let mut asks: Vec<Ask> = self.left.keys().map(|group| Some(*group)).collect();
        self.left.retain(|_, more| {
            *more -= 1;
            *more > 0
        });
        let is_outranked = self.is_outranked(settings, now_ns);
        let is_due = self.asks(settings, now_ns)
            || (settings.mode == MulticastMode::On && self.startups > 0 && !is_outranked);
        if is_due && now_ns >= self.next_query_ns {
            self.startups = self.startups.saturating_sub(1);
            // The next in quick succession after a quarter of the interval (RFC 3376 section 8.6).
            let wait_s =
                if self.startups > 0 { settings.interval_s.div_ceil(4) } else { settings.interval_s };
            self.next_query_ns = now_ns + u64::from(wait_s) * SECOND_NS;
            asks.push(None);
        }
        asks
    }

    /// Notes who rules now, and whether that is new.
    fn settle(&mut self, settings: &Settings, now_ns: u64) {
        let is_ruled = self.is_ruled(settings, now_ns);
        if is_ruled && !self.was_ruled {
            let (_, _, response_ms) = self.rules(settings, now_ns);
            self.prunes_from_ns = now_ns + u64::from(response_ms) * MS_NS;
            self.ask_soon(now_ns);
            self.startups = STARTUP_QUERIES;
        }
        self.was_ruled = is_ruled;
        let is_asking = self.asks(settings, now_ns);
        if is_asking && !self.was_asking {
            // What a querier that has gone had found out may be stale.
            self.prunes_from_ns =
                self.prunes_from_ns.max(now_ns + u64::from(settings.response_s) * SECOND_NS);
        }
        self.was_asking = is_asking;
        let is_asked = self.is_asked(settings, now_ns);
        if is_asked != self.was_asked {
            let end_ns = self.end_of_report(settings, now_ns);
            let staying = self.groups.iter_mut().filter(|(group, _)| !self.left.contains_key(*group));
            for until_ns in staying.flat_map(|(_, members)| members.values_mut()) {
                *until_ns = if is_asked { (*until_ns).min(end_ns) } else { FOREVER };
            }
        }
        self.was_asked = is_asked;
    }

    fn expire(&mut self, now_ns: u64) {
        self.querier = self.querier(now_ns).copied();
        let routers = self.routers.len();
        self.routers.retain(|_, until_ns| now_ns < *until_ns);
        self.has_all_changed |= self.routers.len() != routers;
        for (group, members) in &mut self.groups {
            members.retain(|port, until_ns| {
                let stays = now_ns < *until_ns;
                if !stays {
                    self.changed.insert(*group);
                    count_down(&mut self.by_port, *port);
                    self.members -= 1;
                }
                stays
            });
        }
        self.groups.retain(|_, members| !members.is_empty());
    }

    /// Nothing is known of a port any more; whether anything was.
    pub fn forget_port(&mut self, port: PortId) -> bool {
        let was_router = self.routers.remove(&port).is_some();
        self.has_all_changed |= was_router;
        self.querier = self.querier.filter(|querier| querier.port != port);
        let mut was_member = false;
        for (group, members) in &mut self.groups {
            if members.remove(&port).is_some() {
                self.changed.insert(*group);
                was_member = true;
            }
        }
        self.groups.retain(|_, members| !members.is_empty());
        self.members -= self.by_port.remove(&port).unwrap_or(0);
        was_router || was_member
    }
}

fn count_down(by_port: &mut BTreeMap<PortId, usize>, port: PortId) {
    if let Some(count) = by_port.get_mut(&port) {
        *count -= 1;
        if *count == 0 {
            by_port.remove(&port);
        }
    }
}

#[cfg(test)]
#[path = "table/tests.rs"]
mod tests;
