//! The flood lists of multicast groups in the data path.
//!
//! A list is written so that no frame on its way meets a port twice: a port that leaves leaves a hole, and a hole is filled by
//! the next that comes. It is there before a group points to it, and the group points nowhere before it goes.

use std::collections::{BTreeMap, BTreeSet};

use vswitch_common::limits::{MULTICAST_LISTS, MULTICAST_MEMBERS, NETWORKS};
use vswitch_common::multicast::{GroupKey, GroupList};
use vswitch_common::port::PortId;

use super::Scope;
use crate::datapath::{Datapath, DatapathError};
use crate::error::chain;

/// One list as the data path has it.
#[derive(Debug)]
struct List {
    number: u16,
    places: Vec<Option<PortId>>,
    flags: u32,
}

/// Why a list cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    /// Every list is in use.
    #[error("all {MULTICAST_LISTS} flood lists of multicast groups are taken")]
    Lists,
    /// Every place is.
    #[error("all {MULTICAST_MEMBERS} places in flood lists of multicast groups are taken")]
    Members,
    /// The kernel refused.
    #[error(transparent)]
    Datapath(#[from] DatapathError),
}

/// All lists.
#[derive(Debug, Default)]
pub(super) struct Lists {
    by_key: BTreeMap<GroupKey, List>,
    taken: BTreeSet<u16>,
    /// Places in use, holes included.
    places: usize,
    /// Where to look for a free number: those that were freed rest for a while, for a frame may still be on its way through one.
    next: u32,
}

impl Lists {
    pub(super) fn places(&self) -> usize {
        self.places
    }

    /// Makes the group's list one of these ports; made anew if there is none.
    pub(super) fn set(
        &mut self,
        datapath: &mut dyn Datapath,
        key: GroupKey,
        ports: &BTreeSet<PortId>,
        flags: u32,
    ) -> Result<(), ListError> {
        let is_new = !self.by_key.contains_key(&key);
        if is_new {
            let number = self.free_number()?;
            self.taken.insert(number);
            self.by_key.insert(key, List { number, places: Vec::new(), flags });
        }
        let room = MULTICAST_MEMBERS as usize - self.places.min(MULTICAST_MEMBERS as usize);
        let Some(list) = self.by_key.get_mut(&key) else { return Ok(()) };
        let (was, had) = (list.value(), list.places.len());
        let done = list.change(datapath, ports, had + room);
        list.flags = flags;
        self.places = self.places - had + list.places.len();
        done?;
        if is_new || list.value() != was {
            datapath.set_group(&key, Some(list.value()))?;
        }
        Ok(())
    }

    fn free_number(&mut self) -> Result<u16, ListError> {
        for turn in 0..MULTICAST_LISTS {
            let number = (NETWORKS + (self.next + turn) % MULTICAST_LISTS) as u16;
            if !self.taken.contains(&number) {
                self.next = (self.next + turn + 1) % MULTICAST_LISTS;
                return Ok(number);
            }
        }
        Err(ListError::Lists)
    }

    /// Takes a group's list away. What the kernel refuses to delete is never met again: its number stays taken.
    pub(super) fn remove(&mut self, datapath: &mut dyn Datapath, key: GroupKey) {
        let Some(list) = self.by_key.remove(&key) else { return };
        self.places -= list.places.len();
        let mut done = datapath.set_group(&key, None);
        for (place, port) in list.places.iter().enumerate() {
            if port.is_some() {
                done = done.and(datapath.set_member(list.number, place as u16, None));
            }
        }
        match done {
            Ok(()) => drop(self.taken.remove(&list.number)),
            Err(error) => {
                tracing::warn!(error = chain(&error), "cannot remove a multicast group's flood list");
            }
        }
    }

    pub(super) fn remove_scope(&mut self, datapath: &mut dyn Datapath, scope: Scope) {
        let routers = GroupKey::routers(scope.domain, scope.family.number());
        // It first: without it no group is pruned that has no list.
        self.remove(datapath, routers);
        self.remove_scope_but(datapath, scope, routers);
    }

    /// Takes all lists of a scope away but one.
    pub(super) fn remove_scope_but(&mut self, datapath: &mut dyn Datapath, scope: Scope, kept: GroupKey) {
        let is_of = |key: &GroupKey| key.domain == scope.domain.0 && key.family == scope.family.number();
        let keys: Vec<GroupKey> =
            self.by_key.keys().filter(|key| is_of(key) && **key != kept).copied().collect();
        keys.into_iter().for_each(|key| self.remove(datapath, key));
    }
}

impl List {
    fn value(&self) -> GroupList {
        GroupList { list: self.number, places: self.places.len() as u16, flags: self.flags }
    }

    /// Empties the places of ports that left and gives those that came a place, of at most so many.
    fn change(
        &mut self,
        datapath: &mut dyn Datapath,
        ports: &BTreeSet<PortId>,
        most: usize,
    ) -> Result<(), ListError> {
        for (place, port) in self.places.iter_mut().enumerate() {
            if port.is_some_and(|port| !ports.contains(&port)) {
                datapath.set_member(self.number, place as u16, None)?;
                *port = None;
            }
        }
        let here: BTreeSet<PortId> = self.places.iter().flatten().copied().collect();
        for port in ports.difference(&here) {
            let place = self.places.iter().position(Option::is_none).unwrap_or(self.places.len());
            if place >= most {
                return Err(ListError::Members);
            }
            datapath.set_member(self.number, place as u16, Some(*port))?;
            match self.places.get_mut(place) {
                Some(hole) => *hole = Some(*port),
                None => self.places.push(Some(*port)),
            }
        }
        while self.places.last() == Some(&None) {
            self.places.pop();
        }
        Ok(())
    }
}
