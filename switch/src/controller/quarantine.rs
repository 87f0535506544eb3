//! Quarantines of ports. The data path begins and ends them by itself; here they are told, shown and forgotten.

use std::collections::BTreeMap;

use vswitch_common::flap::Quarantine;
use vswitch_common::mac::MacAddr;
use vswitch_common::port::PortId;

use super::{Controller, datapath_failed};
use crate::api::error::ApiError;
use crate::api::types::{EventKind, PortQuarantine};
use crate::error::chain;

/// What was told of quarantines. Bounded by the number of ports.
#[derive(Debug, Default)]
pub(super) struct Quarantines {
    /// How many have begun.
    begun: u64,
    /// When each that runs will end.
    ends_ns: BTreeMap<u16, u64>,
}

impl Controller {
    /// Looks for quarantines that began without a notice, which a ring may have lost, and for those that ended.
    pub(super) fn follow_quarantines(&mut self) {
        match self.datapath.quarantine(PortId::NOBODY) {
            Ok(sum) if sum.count != self.quarantines.begun => {
                let ports: Vec<u16> = self.state.ports.keys().copied().collect();
                ports.into_iter().for_each(|slot| self.note_quarantine(PortId(slot)));
                self.quarantines.begun = sum.count;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = chain(&error), "cannot look for quarantined ports"),
        }
        let now_ns = self.datapath.now_ns();
        let over: Vec<u16> =
            self.quarantines.ends_ns.extract_if(.., |_, end| *end <= now_ns).map(|(slot, _)| slot).collect();
        for slot in over {
            self.say_ended(PortId(slot));
        }
    }

    /// The data path says that it has quarantined a port.
    pub(super) fn note_quarantine(&mut self, port: PortId) {
        let quarantine = match self.datapath.quarantine(port) {
            Ok(quarantine) => quarantine,
            Err(error) => return tracing::warn!(error = chain(&error), "cannot look at a quarantine"),
        };
        let is_known = self.quarantines.ends_ns.get(&port.0) == Some(&quarantine.until_ns);
        if is_known
            || !quarantine.is_in_force(self.datapath.now_ns())
            || !self.state.ports.contains_key(&port.0)
        {
            return;
        }
        self.quarantines.begun += 1;
        self.quarantines.ends_ns.insert(port.0, quarantine.until_ns);
        let shown = self.describe_quarantine(&quarantine);
        let (name, seconds) = (self.link_name(port), quarantine.length_ns as f64 / 1e9);
        tracing::warn!(link = name, seconds, reason = shown.reason, "quarantined a port");
        self.publish(EventKind::Quarantined {
            port: name,
            mac: shown.mac,
            older_port: shown.older_port,
            seconds,
            reason: shown.reason,
        });
        // Who was thought to be at an end of the loop is anywhere else.
        for end in [port, PortId(quarantine.other)] {
            if end.0 != quarantine.older
                && let Err(error) = self.flush_port(end)
            {
                tracing::warn!(error = chain(&error), "cannot flush a port in quarantine");
            }
        }
    }

    /// What `port show` says of it; none without one.
    pub(super) fn quarantine_of(&self, port: PortId) -> Result<Option<PortQuarantine>, ApiError> {
        let quarantine = self.datapath.quarantine(port).map_err(|e| datapath_failed(&e))?;
        let is_in_force = quarantine.is_in_force(self.datapath.now_ns());
        Ok(is_in_force.then(|| self.describe_quarantine(&quarantine)))
    }

    /// Ends a port's quarantine and forgets its history: the next one is a first one.
    pub(super) fn end_quarantine(&mut self, port: PortId) -> Result<(), ApiError> {
        self.datapath.clear_quarantine(port).map_err(|e| datapath_failed(&e))?;
        if self.quarantines.ends_ns.remove(&port.0).is_some() {
            self.say_ended(port);
        }
        Ok(())
    }

    fn say_ended(&self, port: PortId) {
        let name = self.link_name(port);
        tracing::info!(link = name, "a port's quarantine is over");
        self.publish(EventKind::QuarantineEnded { port: name });
    }

    fn describe_quarantine(&self, quarantine: &Quarantine) -> PortQuarantine {
        let (mac, older_port) = (MacAddr::from_bits(quarantine.mac), self.view.port(quarantine.older));
        let left_ns = quarantine.until_ns.saturating_sub(self.datapath.now_ns());
        PortQuarantine {
            reason: format!(
                "{mac} flapped between {older_port} and this port: a loop, or two stations with one address"
            ),
            until_seconds: left_ns as f64 / 1e9,
            count: quarantine.count,
            mac,
            older_port,
        }
    }
}
