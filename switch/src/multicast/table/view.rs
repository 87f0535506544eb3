//! What a table says: to people, and to the data path.

use std::collections::{BTreeMap, BTreeSet};

use vswitch_common::membership::Group;
use vswitch_common::port::PortId;

use super::Table;

impl Table {
    /// Members of all groups.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members
    }

    /// Groups with members.
    pub fn groups(&self) -> impl Iterator<Item = (Group, &BTreeMap<PortId, u64>)> {
        self.groups.iter().map(|(group, members)| (*group, members))
    }

    /// Ports with routers behind them, and until when.
    pub fn router_ports(&self) -> impl Iterator<Item = (PortId, u64)> {
        self.routers.iter().map(|(port, until_ns)| (*port, *until_ns))
    }

    /// Who gets what nobody is a member of.
    #[must_use]
    pub fn routers(&self) -> BTreeSet<PortId> {
        self.routers.keys().copied().collect()
    }

    /// Who gets a group's frames; none if it has no members.
    #[must_use]
    pub fn ports_of(&self, group: Group) -> Option<BTreeSet<PortId>> {
        let members = self.groups.get(&group)?;
        Some(members.keys().chain(self.routers.keys()).copied().collect())
    }

    /// Whether there is anything to remember.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.querier.is_none() && self.routers.is_empty() && self.groups.is_empty()
    }

    /// Groups whose lists have changed since this was last asked, if anything has: all of them if who rules has.
    pub fn take_changed(&mut self, is_ruled: bool, prunes: bool) -> Option<BTreeSet<Group>> {
        let is_other = self.published != Some((is_ruled, prunes));
        let mut changed = std::mem::take(&mut self.changed);
        let has_all_changed = std::mem::take(&mut self.has_all_changed) || is_other;
        self.published = Some((is_ruled, prunes));
        if has_all_changed {
            changed.extend(self.groups.keys());
        }
        (has_all_changed || !changed.is_empty()).then_some(changed)
    }
}
