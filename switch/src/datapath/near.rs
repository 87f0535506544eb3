//! Hints by which programs find the port of a link without a hash look-up: `PORTS[index of the link, its low bits]` names the
//! port's slot in [`PortConfig::near`]. One is believed only where that slot has the link's index, so that one that is stale
//! or missing costs time and nothing else; `LINKS` decides. Hence no order between the two matters, nor does a crash.

use std::collections::BTreeMap;

use vswitch_common::abi;
use vswitch_common::port::{PortConfig, PortId, near};

use super::DatapathError;
use super::maps::{OfMap as _, Tables, optional};

/// What hints there are: by the slot where each stands, the link that it is about, and that link's port.
#[derive(Debug, Default)]
pub(super) struct Hints(BTreeMap<u16, (u32, PortId)>);

impl Hints {
    /// Notes a link's port. The slot whose hint changes; none if it does not: another link's hint stands there, or this one.
    pub(super) fn note(&mut self, ifindex: u32, port: PortId) -> Option<PortId> {
        let at = near(ifindex);
        match self.0.get(&at.0) {
            Some((other, known)) if *other != ifindex || *known == port => None,
            _ => {
                self.0.insert(at.0, (ifindex, port));
                Some(at)
            }
        }
    }

    /// Forgets a link. The slot whose hint changes; none if it does not.
    pub(super) fn forget(&mut self, ifindex: u32) -> Option<PortId> {
        let at = near(ifindex);
        self.0.remove_entry(&at.0).and_then(|(slot, entry)| {
            if entry.0 == ifindex {
                return Some(at);
            }
            self.0.insert(slot, entry);
            None
        })
    }

    /// A slot's value with its hint.
    pub(super) fn with(&self, at: PortId, config: PortConfig) -> PortConfig {
        PortConfig { near: self.0.get(&at.0).map_or(0, |(_, port)| port.0), ..config }
    }
}

impl Tables {
    /// Writes a port's slot, and the hint that stands there.
    pub(super) fn set_port(&mut self, port: PortId, config: &PortConfig) -> Result<(), DatapathError> {
        let config = self.hints.with(port, *config);
        self.ports.set(port.index(), config, 0).of(abi::map::PORTS)?;
        self.shift()
    }

    /// A port's slot, without the hint.
    pub(super) fn port(&self, port: PortId) -> Result<PortConfig, DatapathError> {
        let config = self.ports.get(&port.index(), 0).of(abi::map::PORTS)?;
        Ok(PortConfig { near: 0, ..config })
    }

    /// Makes frames of a link those of a port, or of nobody.
    pub(super) fn set_link(&mut self, ifindex: u32, port: Option<PortId>) -> Result<(), DatapathError> {
        let changed = match port {
            Some(port) => {
                self.links.insert(ifindex, port.index(), 0).of(abi::map::LINKS)?;
                self.hints.note(ifindex, port)
            }
            None => {
                optional(self.links.remove(&ifindex)).of(abi::map::LINKS)?;
                self.hints.forget(ifindex)
            }
        };
        self.write_hint(changed)
    }

    /// Notes the links that an earlier run knew, whose hints it may not have written.
    pub(super) fn hint_again(&mut self) -> Result<(), DatapathError> {
        let links: Vec<(u32, u32)> = self.links.iter().collect::<Result<_, _>>().of(abi::map::LINKS)?;
        for (ifindex, slot) in links {
            let changed = self.hints.note(ifindex, PortId(slot as u16));
            self.write_hint(changed)?;
        }
        Ok(())
    }

    fn write_hint(&mut self, changed: Option<PortId>) -> Result<(), DatapathError> {
        changed.map_or(Ok(()), |slot| self.set_port(slot, &self.port(slot)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PortId = PortId(1);
    const B: PortId = PortId(2);

    #[test]
    fn a_hint_stands_in_the_slot_of_the_links_low_bits() {
        let mut hints = Hints::default();
        let far = 8_192 * 5 + 77;
        assert_eq!(hints.note(far, A), Some(PortId(77)));
        assert_eq!(hints.note(far, A), None);
        assert_eq!(hints.with(PortId(77), PortConfig::FREE).near, A.0);
        assert_eq!(hints.with(A, PortConfig::FREE), PortConfig::FREE);
    }

    #[test]
    fn of_two_links_with_one_place_the_first_has_it_until_it_goes() {
        let mut hints = Hints::default();
        hints.note(77, A);
        assert_eq!((hints.note(8_192 + 77, B), hints.forget(8_192 + 77)), (None, None));
        assert_eq!(hints.with(PortId(77), PortConfig::FREE).near, A.0);
        assert_eq!(hints.forget(77), Some(PortId(77)));
        assert_eq!(hints.with(PortId(77), PortConfig::FREE).near, 0);
        assert_eq!(hints.note(8_192 + 77, B), Some(PortId(77)));
    }

    #[test]
    fn a_link_that_becomes_another_ports_has_its_hint_changed() {
        let mut hints = Hints::default();
        hints.note(77, A);
        assert_eq!(hints.note(77, B), Some(PortId(77)));
        assert_eq!(hints.with(PortId(77), PortConfig::FREE).near, B.0);
    }
}
