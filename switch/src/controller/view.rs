//! Names for the data path's numbers, for readers that must not wait for the loop: the loop writes, anyone reads.

use dashmap::DashMap;
use vswitch_common::event::{Notice, NoticeKind};
use vswitch_common::mac::MacAddr;

use super::vlans;
use crate::api::types::EventKind;

/// Who is who. Bounded by the numbers of ports and networks.
#[derive(Debug, Default)]
pub struct View {
    /// Port slot → link name.
    pub ports: DashMap<u16, String>,
    /// First domain of a network → its name.
    pub domains: DashMap<u16, String>,
}

impl View {
    /// The link name of a port, or its number if it has gone meanwhile.
    #[must_use]
    pub fn port(&self, slot: u16) -> String {
        self.ports.get(&slot).map_or_else(|| format!("#{slot}"), |name| name.clone())
    }

    /// The network of a domain, or the domain's number if it has gone meanwhile.
    #[must_use]
    pub fn network(&self, domain: u16) -> String {
        let (base, _) = vlans::base(domain);
        self.domains.get(&base).map_or_else(|| format!("#{domain}"), |name| name.clone())
    }

    /// What a notice means to people; none for those that only the controller needs.
    #[must_use]
    pub fn event(&self, notice: &Notice) -> Option<EventKind> {
        let (mac, network) = (MacAddr::from_bits(notice.mac), self.network(notice.domain));
        let port = self.port(notice.port);
        match NoticeKind::from_number(notice.kind)? {
            NoticeKind::Learned => Some(EventKind::Learned { mac, network, port }),
            NoticeKind::Moved => Some(EventKind::Moved { mac, network, from: self.port(notice.from), port }),
            NoticeKind::Neighbour | NoticeKind::NeighbourV6 | NoticeKind::Quarantined => None,
        }
    }
}
