//! Sweeping the FDB: removing entries that have aged, a bounded number a tick. Nothing depends on it: the data path takes
//! an aged entry for unknown whether it was swept or not.
//!
//! A pass also counts dynamic entries by port. Where two passes in a row agree that the data path's own count is off (two
//! CPUs that moved one station at once), the count is mended.

use std::collections::BTreeMap;

use vswitch_common::fdb::{FdbEntry, FdbKey, is_current};
use vswitch_common::port::PortId;

use super::Controller;
use crate::api::types::EventKind;
use crate::datapath::FdbPage;
use crate::error::chain;

/// Pages looked at in one tick: 4 of 4,096 entries.
const PAGES_A_TICK: usize = 4;

/// Where the sweep is.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    cursor: Option<u32>,
    /// Dynamic entries by port seen in this pass.
    seen: BTreeMap<u16, u64>,
    /// By how much each port's count was off at the end of the last pass.
    off: BTreeMap<u16, i64>,
}

impl Controller {
    pub(super) fn sweep_some(&mut self) {
        for _ in 0..PAGES_A_TICK {
            let page = match self.datapath.fdb_page(self.sweep.cursor) {
                Ok(page) => page,
                Err(error) => return tracing::warn!(error = chain(&error), "cannot sweep the FDB"),
            };
            self.sweep.cursor = page.next;
            let is_last = page.next.is_none();
            self.sweep_page(page);
            if is_last {
                return self.end_pass();
            }
        }
    }

    fn sweep_page(&mut self, page: FdbPage) {
        let now_ns = self.datapath.now_ns();
        for (key, entry) in page.entries.into_iter().filter(|(_, entry)| !entry.is_permanent()) {
            let config = self.live.get(&entry.port).and_then(|live| live.setup.config);
            if config.is_some_and(|config| is_current(&entry, &config, now_ns)) {
                *self.sweep.seen.entry(entry.port).or_default() += 1;
            } else {
                self.age_out(key, &entry);
            }
        }
    }

    fn age_out(&mut self, key: FdbKey, entry: &FdbEntry) {
        if let Err(error) = self.remove_entry(key) {
            return tracing::warn!(mac = %key.mac(), error = chain(&error), "cannot remove an aged entry");
        }
        self.forget_neighbours_at(key);
        self.publish(EventKind::Aged {
            mac: key.mac(),
            network: self.view.network(key.domain().0),
            port: self.view.port(entry.port),
        });
    }

    fn end_pass(&mut self) {
        let seen = std::mem::take(&mut self.sweep.seen);
        let before = std::mem::take(&mut self.sweep.off);
        let total: u64 = seen.values().sum();
        let slots: Vec<u16> = self.state.ports.keys().copied().collect();
        let last = PortId(slots.last().copied().unwrap_or(PortId::NOBODY.0));
        let Ok(counted) = self.datapath.dynamic_entries_to(last) else { return };
        let counts = slots.into_iter().map(|slot| (slot, seen.get(&slot).copied().unwrap_or(0)));
        for (slot, count) in counts.chain([(PortId::NOBODY.0, total)]) {
            let counted = counted.get(usize::from(slot)).copied().unwrap_or(count);
            let off = counted.wrapping_sub(count).cast_signed();
            if off == 0 {
                continue;
            }
            // Once may be a station that came or went during the pass; twice the same is drift.
            if before.get(&slot) == Some(&off) {
                let _logged = self.datapath.mend_dynamic(PortId(slot), -off);
                tracing::debug!(slot, off, "mended a count of dynamic entries");
            } else {
                self.sweep.off.insert(slot, off);
            }
        }
        self.say_limits(&counted);
    }

    /// Says which limits are reached, once until they are left again.
    fn say_limits(&mut self, counted: &[u64]) {
        let count_of = |slot: u16| counted.get(usize::from(slot)).copied().unwrap_or(0);
        let mut reached = Vec::new();
        for (slot, live) in &mut self.live {
            let limit = live.setup.config.map_or(0, |config| config.mac_limit);
            let is_reached = limit != 0 && count_of(*slot) >= u64::from(limit);
            if is_reached && !live.is_limit_said {
                reached.push(("mac-limit", Some(self.view.port(*slot))));
            }
            live.is_limit_said = is_reached;
        }
        let is_full = count_of(PortId::NOBODY.0) >= u64::from(self.limits.fdb_entries);
        if is_full && !self.is_full_said {
            reached.push(("FDB", None));
        }
        self.is_full_said = is_full;
        for (limit, port) in reached {
            tracing::warn!(limit, port, "limit reached");
            self.publish(EventKind::LimitReached { limit: limit.to_owned(), port });
        }
    }
}
