//! `fdb show`, `add`, `del`, `flush`, and what else removes entries.

use vswitch_common::fdb::{FdbEntry as Entry, FdbKey, entry_flag, is_current};
use vswitch_common::port::{PortConfig, PortId};

use super::state::{EntryState, NetworkState};
use super::{Controller, datapath_failed, vlans};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{
    DEFAULT_NETWORK, Done, FdbEntry, FdbFilter, FdbFlush, FdbKeySpec, FdbKind, FdbSpec, Reply,
};
use crate::error::chain;

impl Controller {
    pub(super) fn fdb_show(&self, filter: &FdbFilter) -> Result<Reply, ApiError> {
        if let Some(network) = &filter.network {
            self.check_network(network)?;
        }
        if let Some(link) = &filter.port {
            self.port_of(link)?;
        }
        let mut entries = Vec::new();
        self.for_each_entry(|key, entry| {
            entries.extend(self.entry_json(key, &entry).filter(|e| matches(filter, e)));
        })?;
        entries.sort_by(|a, b| (&a.network, a.vlan, a.mac).cmp(&(&b.network, b.vlan, b.mac)));
        Ok(Reply::Fdb(entries))
    }

    pub(super) fn fdb_add(&mut self, spec: &FdbSpec) -> Result<Reply, ApiError> {
        if !spec.mac.is_valid_source() {
            return Err(ApiError::new(
                ErrorCode::InvalidMac,
                format!("{} cannot be a station's address: it is a group address or zero", spec.mac),
            ));
        }
        let port = self.port_of(&spec.port)?;
        let Some(state) = self.state.ports.get(&port.0) else { return Ok(Reply::Done(Done::default())) };
        let network = state.network.clone();
        let vlan = vlans::of_entry(self.network(&network)?, spec.vlan, Some(&state.options))?;
        self.check_no_gateway_mac(&network, spec.mac)?;
        let entry = EntryState { mac: spec.mac, vlan, sticky: spec.sticky };
        let elsewhere = self.state.ports.iter().find(|(slot, other)| {
            **slot != port.0
                && other.network == network
                && other.entries.iter().any(|e| e.mac == spec.mac && e.vlan == vlan)
        });
        if let Some((_, other)) = elsewhere {
            return Err(ApiError::new(
                ErrorCode::EntryExists,
                format!(
                    "{} is a static entry of port {} already: `vswitch fdb del {0}` first",
                    spec.mac, other.link
                ),
            ));
        }
        let before = state.entries.clone();
        let mut after = before.clone();
        after.retain(|e| e.mac != spec.mac || e.vlan != vlan);
        after.push(entry.clone());
        self.set_entries(port, after);
        if let Err(error) = self.install_entry(port, &entry).and_then(|()| self.save()) {
            self.set_entries(port, before.clone());
            self.forget_entry(port, &entry, &before);
            return Err(error);
        }
        Ok(Reply::Done(Done { changed: 1 }))
    }

    pub(super) fn fdb_del(&mut self, spec: &FdbKeySpec) -> Result<Reply, ApiError> {
        let network = spec.network.as_deref().unwrap_or(DEFAULT_NETWORK);
        self.check_network(network)?;
        self.check_no_gateway_mac(network, spec.mac)?;
        let vlan = vlans::of_entry(self.network(network)?, spec.vlan, None)?;
        let domain = vlans::domain(self.network(network)?, vlan);
        let removed = self.remove_entry(FdbKey::new(domain, spec.mac));
        if removed.is_err() {
            self.reinstall_entries();
        }
        let removed = removed?;
        for port in self.state.ports.values_mut().filter(|port| port.network == network) {
            port.entries.retain(|entry| entry.mac != spec.mac || entry.vlan != vlan);
        }
        self.save()?;
        match removed {
            Some(_) => Ok(Reply::Done(Done { changed: 1 })),
            None => Err(ApiError::new(
                ErrorCode::NoSuchEntry,
                format!("network {network} has no entry {}: `vswitch fdb show` lists them", spec.mac),
            )),
        }
    }

    pub(super) fn fdb_flush(&mut self, flush: &FdbFlush) -> Result<Reply, ApiError> {
        if let Some(network) = &flush.network {
            self.check_network(network)?;
        }
        if let Some(link) = &flush.port {
            self.port_of(link)?;
        }
        let filter = FdbFilter {
            network: flush.network.clone(),
            port: flush.port.clone(),
            vlan: flush.vlan,
            mac: None,
        };
        let mut keys = Vec::new();
        self.for_each_entry(|key, entry| {
            let is_meant =
                !entry.is_permanent() || (flush.include_static && entry.flags & entry_flag::LOCAL == 0);
            if is_meant && self.entry_json(key, &entry).is_none_or(|shown| matches(&filter, &shown)) {
                keys.push(key);
            }
        })?;
        let mut changed = 0;
        for key in keys {
            match self.remove_entry(key) {
                Ok(removed) => changed += u64::from(removed.is_some()),
                Err(error) => {
                    // Those that are configured are so still.
                    self.reinstall_entries();
                    return Err(error);
                }
            }
        }
        if flush.include_static {
            for port in self.state.ports.values_mut() {
                let is_meant = flush.network.as_ref().is_none_or(|name| *name == port.network)
                    && flush.port.as_ref().is_none_or(|link| *link == port.link);
                port.entries
                    .retain(|entry| !is_meant || flush.vlan.is_some_and(|vlan| Some(vlan) != entry.vlan));
            }
            self.save()?;
        }
        Ok(Reply::Done(Done { changed }))
    }

    fn set_entries(&mut self, port: PortId, entries: Vec<EntryState>) {
        if let Some(state) = self.state.ports.get_mut(&port.0) {
            state.entries = entries;
        }
    }

    /// Undoes an entry that was not added: what the port had in its place is there again.
    fn forget_entry(&mut self, port: PortId, entry: &EntryState, before: &[EntryState]) {
        let is_new = !before.iter().any(|e| e.mac == entry.mac && e.vlan == entry.vlan);
        let gone = match self.entry_key(port, entry).filter(|_| is_new) {
            Some(key) => self.remove_entry(key).map(drop),
            None => Ok(()),
        };
        if let Err(error) = gone.and_then(|()| self.install_entries(port)) {
            tracing::warn!(mac = %entry.mac, error = chain(&error), "cannot undo an entry");
        }
    }

    /// After a failure: makes the configured entries of all ports what the state says.
    fn reinstall_entries(&mut self) {
        let ports: Vec<u16> = self.state.ports.keys().copied().collect();
        for port in ports {
            if let Err(error) = self.install_entries(PortId(port)) {
                tracing::warn!(error = chain(&error), "cannot put an entry back");
            }
        }
    }

    /// Voids the port's dynamic entries at once, then removes them.
    pub(super) fn flush_port(&mut self, port: PortId) -> Result<(), ApiError> {
        if let Some(live) = self.live.get_mut(&port.0)
            && let Some(config) = &mut live.setup.config
        {
            let next = PortConfig { epoch: config.epoch.wrapping_add(1), ..*config };
            self.datapath.set_port(port, &next).map_err(|e| datapath_failed(&e))?;
            *config = next;
        }
        let mut keys = Vec::new();
        self.for_each_entry(|key, entry| {
            if entry.port == port.0 && !entry.is_permanent() {
                keys.push(key);
            }
        })?;
        for key in keys {
            self.remove_entry(key)?;
        }
        self.forget_neighbours_of(port);
        self.forget_groups_of(port);
        Ok(())
    }

    /// Has no entry point to the port any more: configured stations that had moved there are where they were configured to be.
    pub(super) fn send_home(&mut self, port: PortId) -> Result<(), ApiError> {
        let mut strays = Vec::new();
        self.for_each_entry(|key, entry| {
            if entry.port == port.0 {
                strays.push(key);
            }
        })?;
        for key in strays {
            self.remove_entry(key)?;
            if let Some((home, entry)) = self.home_of(key, port) {
                self.install_entry(home, &entry)?;
            }
        }
        Ok(())
    }

    /// The port that an entry was configured for, unless it is `left`.
    fn home_of(&self, key: FdbKey, left: PortId) -> Option<(PortId, EntryState)> {
        self.state.ports.iter().filter(|(slot, _)| **slot != left.0).find_map(|(slot, state)| {
            let port = PortId(*slot);
            let configured = state.entries.iter().find(|entry| self.entry_key(port, entry) == Some(key));
            let host = || self.endpoint_entry(port).filter(|(_, of)| *of == key).map(|(entry, _)| entry);
            Some((port, configured.cloned().or_else(host)?))
        })
    }

    /// Removes an entry and keeps the counts of dynamic ones true.
    pub(super) fn remove_entry(&mut self, key: FdbKey) -> Result<Option<Entry>, ApiError> {
        let removed = self.datapath.fdb_remove(key).map_err(|e| datapath_failed(&e))?;
        if let Some(entry) = removed.filter(|entry| !entry.is_permanent()) {
            for port in [PortId(entry.port), PortId::NOBODY] {
                self.datapath.mend_dynamic(port, -1).map_err(|e| datapath_failed(&e))?;
            }
        }
        Ok(removed)
    }

    /// Puts the port's static and sticky entries into the FDB, and the host that was said to be behind it.
    pub(super) fn install_entries(&mut self, port: PortId) -> Result<(), ApiError> {
        let entries = self.state.ports.get(&port.0).map(|state| state.entries.clone()).unwrap_or_default();
        self.install_endpoint(port)?;
        entries.iter().try_for_each(|entry| self.install_entry(port, entry))
    }

    /// Makes the host that the user says is behind the port known: where its MAC is, and who has its addresses.
    pub(super) fn install_endpoint(&mut self, port: PortId) -> Result<(), ApiError> {
        let Some((entry, key)) = self.endpoint_entry(port) else { return Ok(()) };
        let ips = self.state.ports.get(&port.0).map(|state| state.options.ips.clone()).unwrap_or_default();
        let flags =
            if self.state.gateway_of_port(port).is_some() { entry_flag::LOCAL } else { entry_flag::STATIC };
        self.put_entry(port, &entry, flags)?;
        self.configure_neighbours(key.domain(), entry.mac, port, &ips);
        Ok(())
    }

    /// Takes it back.
    pub(super) fn withdraw_endpoint(&mut self, port: PortId) -> Result<(), ApiError> {
        if let Some((_, key)) = self.endpoint_entry(port) {
            self.remove_entry(key)?;
        }
        self.unconfigure_neighbours(port);
        Ok(())
    }

    /// The entry of the host that the user says is behind the port, in the VLAN of its untagged frames.
    fn endpoint_entry(&self, port: PortId) -> Option<(EntryState, FdbKey)> {
        let state = self.state.ports.get(&port.0)?;
        let network = self.state.networks.get(&state.network)?;
        let vlan = vlans::of_entry(network, None, Some(&state.options)).ok()?;
        let entry = EntryState { mac: state.options.mac?, vlan, sticky: false };
        Some((entry.clone(), FdbKey::new(vlans::domain(network, vlan), entry.mac)))
    }

    fn install_entry(&mut self, port: PortId, entry: &EntryState) -> Result<(), ApiError> {
        let flags = if entry.sticky { entry_flag::STATIC | entry_flag::STICKY } else { entry_flag::STATIC };
        self.put_entry(port, entry, flags)
    }

    fn put_entry(&mut self, port: PortId, entry: &EntryState, flags: u16) -> Result<(), ApiError> {
        let Some(key) = self.entry_key(port, entry) else { return Ok(()) };
        self.remove_entry(key)?;
        let value = Entry::permanent(port, flags, self.datapath.now_ns());
        self.datapath.fdb_set(key, &value).map_err(|e| datapath_failed(&e))
    }

    /// Takes the port's static and sticky entries out of the FDB; the durable state keeps them.
    pub(super) fn withdraw_entries(&mut self, port: PortId) -> Result<(), ApiError> {
        let entries = self.state.ports.get(&port.0).map(|state| state.entries.clone()).unwrap_or_default();
        for entry in entries {
            if let Some(key) = self.entry_key(port, &entry) {
                self.remove_entry(key)?;
            }
        }
        self.withdraw_endpoint(port)
    }

    fn entry_key(&self, port: PortId, entry: &EntryState) -> Option<FdbKey> {
        let network = self.state.networks.get(&self.state.ports.get(&port.0)?.network)?;
        Some(FdbKey::new(vlans::domain(network, entry.vlan), entry.mac))
    }

    /// Entries that are in the FDB, void ones among them.
    pub(super) fn for_each_entry(&self, mut visit: impl FnMut(FdbKey, Entry)) -> Result<(), ApiError> {
        let mut cursor = None;
        loop {
            let page = self.datapath.fdb_page(cursor).map_err(|e| datapath_failed(&e))?;
            page.entries.into_iter().for_each(|(key, entry)| visit(key, entry));
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(()),
            }
        }
    }

    pub(super) fn fdb_size(&self) -> Result<u64, ApiError> {
        let permanent: usize = self.state.ports.values().map(|port| port.entries.len()).sum();
        let dynamic = self.datapath.dynamic_entries(PortId::NOBODY).map_err(|e| datapath_failed(&e))?;
        Ok(dynamic + permanent as u64)
    }

    pub(super) fn fdb_size_of(&self, network: &str) -> Result<u64, ApiError> {
        let mut count = 0;
        self.for_each_entry(|key, entry| {
            count += u64::from(self.entry_json(key, &entry).is_some_and(|entry| entry.network == network));
        })?;
        Ok(count)
    }

    pub(super) fn network(&self, name: &str) -> Result<&NetworkState, ApiError> {
        self.state.networks.get(name).ok_or_else(|| ApiError::internal("a network without state"))
    }

    /// The entry as users see it; none if it is void or its port has gone.
    fn entry_json(&self, key: FdbKey, entry: &Entry) -> Option<FdbEntry> {
        let port = self.state.ports.get(&entry.port)?;
        let config = self.live.get(&entry.port)?.setup.config.as_ref();
        let now_ns = self.datapath.now_ns();
        if !entry.is_permanent() && !config.is_some_and(|config| is_current(entry, config, now_ns)) {
            return None;
        }
        let kind = match entry.flags {
            flags if flags & entry_flag::LOCAL != 0 => FdbKind::Local,
            flags if flags & entry_flag::STICKY != 0 => FdbKind::Sticky,
            flags if flags & entry_flag::STATIC != 0 => FdbKind::Static,
            _ => FdbKind::Dynamic,
        };
        let (network, vlan) = self.state.network_of_domain(key.domain().0)?;
        let silent_s = now_ns.saturating_sub(entry.seen_ns) as f64 / 1e9;
        Some(FdbEntry {
            mac: key.mac(),
            port: port.link.clone(),
            network: network.to_owned(),
            vlan,
            kind,
            age_seconds: if entry.is_permanent() { 0.0 } else { silent_s },
        })
    }
}

fn matches(filter: &FdbFilter, entry: &FdbEntry) -> bool {
    filter.network.as_ref().is_none_or(|name| *name == entry.network)
        && filter.port.as_ref().is_none_or(|link| *link == entry.port)
        && filter.mac.is_none_or(|mac| mac == entry.mac)
        && filter.vlan.is_none_or(|vlan| Some(vlan) == entry.vlan)
}
