//! Who wants which multicast: learned from what hosts say (IGMP, MLD), asked for where vswitch is the querier, and written into
//! flood lists for the data path.
//!
//! [`Table`] is one family of one domain and pure: time goes in, what to ask comes out. `Lists` is what of the tables the data
//! path has. [`Snooping`] holds all of both within their limits; where those are reached, multicast floods.

mod lists;
mod query;
mod table;

use std::collections::BTreeMap;

use vswitch_common::domain::DomainId;
use vswitch_common::limits::{MULTICAST_MEMBERS, MULTICAST_SCOPES};
use vswitch_common::membership::{Family, Message};
use vswitch_common::multicast::{GroupKey, list_flag};
use vswitch_common::port::PortId;

use crate::api::types::MulticastMode;
use crate::datapath::Datapath;
use crate::error::chain;
use lists::Lists;

pub use query::{Asker, frame};
pub use table::{Ask, Limit, Querier, Table};

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;

/// One family of one domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// The domain.
    pub domain: DomainId,
    /// The family.
    pub family: Family,
}

/// How a network wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Whether, and when, to prune.
    pub mode: MulticastMode,
    /// vswitch asks, unless somebody does who outranks it.
    pub is_querier: bool,
    /// How often, in seconds (RFC 3376 section 8.2).
    pub interval_s: u32,
    /// Longest time to the answers, in seconds (RFC 3376 section 8.3).
    pub response_s: u32,
    /// Its address on the link, for MLD; it has none for IGMP, as a switch may (RFC 4541 section 2.1.1).
    pub link_local: [u8; 16],
}

/// A message about membership, and what it came by.
#[derive(Debug)]
pub struct Heard<'a> {
    /// Where.
    pub scope: Scope,
    /// The port.
    pub port: PortId,
    /// What it says.
    pub message: Message<'a>,
}

/// All tables and lists.
#[derive(Debug, Default)]
pub struct Snooping {
    tables: BTreeMap<Scope, Table>,
    lists: Lists,
    /// (group, port) pairs in all tables.
    members: usize,
}

impl Snooping {
    /// Tables, in order.
    pub fn tables(&self) -> impl Iterator<Item = (Scope, &Table)> {
        self.tables.iter().map(|(scope, table)| (*scope, table))
    }

    /// Places in flood lists of the data path that are taken.
    #[must_use]
    pub fn places(&self) -> usize {
        self.lists.places()
    }

    /// Takes a message in; what is to be asked about, and which limit it reached.
    pub fn hear(
        &mut self,
        heard: Heard<'_>,
        settings: &Settings,
        now_ns: u64,
    ) -> (Vec<Ask>, Option<(Limit, PortId)>) {
        let (scope, port) = (heard.scope, heard.port);
        if settings.mode == MulticastMode::Off {
            return (Vec::new(), None);
        }
        let total = self.members;
        let Some(table) = self.table(scope) else { return (Vec::new(), Some((Limit::Scopes, port))) };
        let (before, mut asks, mut limit) = (table.members(), Vec::new(), None);
        let room = (MULTICAST_MEMBERS as usize).saturating_sub(total - before);
        match heard.message {
            Message::Query(query) => table.hear_query(port, &query, settings, now_ns),
            Message::Router => table.hear_router(port, settings, now_ns),
            Message::Changes(changes) => {
                for change in changes {
                    match table.hear_change(port, change, room, settings, now_ns) {
                        Ok(ask) => asks.extend(ask),
                        Err(reached) => limit = Some((reached, port)),
                    }
                }
            }
        }
        self.members = total - before + table.members();
        (asks, limit)
    }

    /// A message that was too long to be read may have said anything: the port gets all.
    pub fn hear_unreadable(&mut self, scope: Scope, port: PortId, settings: &Settings, now_ns: u64) {
        if let Some(table) = self.table(scope).filter(|_| settings.mode != MulticastMode::Off) {
            table.hear_router(port, settings, now_ns);
        }
    }

    /// Sees to it that there is a table, for a network that is asked or pruned whatever is heard.
    pub fn ensure(&mut self, scope: Scope) {
        let _beyond_limit = self.table(scope);
    }

    fn table(&mut self, scope: Scope) -> Option<&mut Table> {
        let has_room = self.tables.len() < MULTICAST_SCOPES;
        match self.tables.entry(scope) {
            std::collections::btree_map::Entry::Occupied(known) => Some(known.into_mut()),
            std::collections::btree_map::Entry::Vacant(new) if has_room => {
                Some(new.insert(Table::new(scope.family)))
            }
            std::collections::btree_map::Entry::Vacant(_) => None,
        }
    }

    /// Lets time pass in one table; what is to be asked now.
    pub fn tick(&mut self, scope: Scope, settings: &Settings, now_ns: u64) -> Vec<Ask> {
        let Some(table) = self.tables.get_mut(&scope) else { return Vec::new() };
        let before = table.members();
        let asks = table.tick(settings, now_ns);
        self.members = self.members - before + table.members();
        asks
    }

    /// Asks again soon in the tables of a domain: another port may have members.
    pub fn ask_soon(&mut self, is_meant: impl Fn(DomainId) -> bool, now_ns: u64) {
        self.tables
            .iter_mut()
            .filter(|(scope, _)| is_meant(scope.domain))
            .for_each(|(_, table)| table.ask_soon(now_ns));
    }

    /// What is behind a port is no longer known.
    pub fn forget_port(&mut self, port: PortId) -> Vec<Scope> {
        let mut touched = Vec::new();
        for (scope, table) in &mut self.tables {
            let before = table.members();
            if table.forget_port(port) {
                touched.push(*scope);
            }
            self.members = self.members - before + table.members();
        }
        touched
    }

    /// Forgets tables that nobody needs, and their lists.
    pub fn retain(&mut self, datapath: &mut dyn Datapath, is_needed: impl Fn(Scope, &Table) -> bool) {
        let gone: Vec<Scope> =
            self.tables.iter().filter(|(scope, table)| !is_needed(**scope, table)).map(|(s, _)| *s).collect();
        for scope in gone {
            if let Some(table) = self.tables.remove(&scope) {
                self.members -= table.members();
            }
            self.lists.remove_scope(datapath, scope);
        }
    }

    /// Makes the data path's lists of one table what the table says. If there is no room for them, the table floods for a
    /// while; then true.
    pub fn publish(
        &mut self,
        datapath: &mut dyn Datapath,
        scope: Scope,
        settings: &Settings,
        now_ns: u64,
    ) -> bool {
        let Some(table) = self.tables.get_mut(&scope) else { return false };
        let (is_ruled, prunes) = (table.is_ruled(settings, now_ns), table.prunes(settings, now_ns));
        let Some(changed) = table.take_changed(is_ruled, prunes) else { return false };
        let routers = GroupKey::routers(scope.domain, scope.family.number());
        let flags = if prunes { list_flag::PRUNES } else { 0 };
        if !is_ruled {
            self.lists.remove_scope(datapath, scope);
            return false;
        }
        if !prunes {
            self.lists.remove_scope_but(datapath, scope, routers);
        }
        let mut done = Ok(());
        for group in changed.into_iter().filter(|_| prunes) {
            let key = GroupKey::new(scope.domain, scope.family.number(), group.ip());
            match table.ports_of(group) {
                Some(ports) => done = done.and_then(|()| self.lists.set(datapath, key, &ports, 0)),
                None => self.lists.remove(datapath, key),
            }
        }
        // Last: before it says that other groups are pruned, those that are not must be there.
        done = done.and_then(|()| self.lists.set(datapath, routers, &table.routers(), flags));
        if let Err(error) = done {
            tracing::warn!(
                domain = scope.domain.0,
                error = chain(&error),
                "no room for multicast groups: all multicast floods for now"
            );
            self.lists.remove_scope(datapath, scope);
            table.flood_for_a_while(settings, now_ns);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests;
