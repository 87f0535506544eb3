//! Who is behind which port, as the model remembers it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Domain, Mac, Network, PortId};

/// How long a silent station is remembered where nothing else is said.
const DEFAULT_AGEING: Duration = Duration::from_secs(300);

/// What may change an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Learned: moves, and ages.
    Dynamic,
    /// Configured: moves, never ages.
    Static,
    /// Configured: never moves, never ages.
    Sticky,
}

/// One station.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The port it is behind.
    pub port: PortId,
    /// What may change it.
    pub kind: Kind,
    /// When it was last heard.
    pub seen: Duration,
}

/// All stations of all networks.
#[derive(Debug, Clone, Default)]
pub struct Fdb {
    entries: BTreeMap<(Domain, Mac), Entry>,
    ageing: BTreeMap<Network, Duration>,
}

impl Fdb {
    pub(super) fn set_ageing(&mut self, network: Network, ageing: Duration) {
        self.ageing.insert(network, ageing);
    }

    pub(super) fn insert(&mut self, domain: Domain, mac: Mac, entry: Entry) {
        self.entries.insert((domain, mac), entry);
    }

    /// A frame of this station came by this port.
    pub(super) fn learn(&mut self, domain: Domain, mac: Mac, port: PortId, now: Duration) {
        let known =
            self.entries.entry((domain, mac)).or_insert(Entry { port, kind: Kind::Dynamic, seen: now });
        if known.kind != Kind::Sticky {
            known.port = port;
            known.seen = now;
        }
    }

    /// The station's entry, unless it has been silent for too long.
    pub(super) fn find(&self, domain: Domain, mac: Mac, now: Duration) -> Option<Entry> {
        let entry = *self.entries.get(&(domain, mac))?;
        (!self.is_aged(domain.0, entry, now)).then_some(entry)
    }

    fn is_aged(&self, network: Network, entry: Entry, now: Duration) -> bool {
        let ageing = self.ageing.get(&network).copied().unwrap_or(DEFAULT_AGEING);
        entry.kind == Kind::Dynamic && !ageing.is_zero() && now >= entry.seen + ageing
    }

    /// Every entry that has not aged.
    pub(super) fn present(&self, now: Duration) -> BTreeMap<(Domain, Mac), Entry> {
        let is_present = |(key, entry): &(&(Domain, Mac), &Entry)| !self.is_aged(key.0.0, **entry, now);
        self.entries.iter().filter(is_present).map(|(key, entry)| (*key, *entry)).collect()
    }

    /// Forgets what was learned at a port.
    pub(super) fn flush_port(&mut self, port: PortId) {
        self.entries.retain(|_, entry| entry.port != port || entry.kind != Kind::Dynamic);
    }

    /// Forgets everything at a port.
    pub(super) fn remove_port(&mut self, port: PortId) {
        self.entries.retain(|_, entry| entry.port != port);
    }
}
