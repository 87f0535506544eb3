//! Groups that can be pruned.

use crate::multicast::{is_kept_v4, is_kept_v6};

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IGMP's.
    V4,
    /// MLD's.
    V6,
}

impl Family {
    /// Bytes of an address.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::V4 => 4,
            Self::V6 => 16,
        }
    }

    /// 4 or 6, as maps have it.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }
}

/// A group address beyond the link: those that are never pruned are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group {
    family: Family,
    ip: [u8; 16],
}

impl Group {
    /// From an address in wire order; none unless it is a group's that can be pruned.
    #[must_use]
    pub fn new(family: Family, address: &[u8]) -> Option<Self> {
        let mut ip = [0u8; 16];
        ip.get_mut(..family.bytes())?.copy_from_slice(address.get(..family.bytes())?);
        let [a, b, c, d, ..] = ip;
        let can_be_pruned = match family {
            Family::V4 => a & 0xf0 == 0xe0 && !is_kept_v4(u32::from_be_bytes([a, b, c, d])),
            Family::V6 => a == 0xff && !is_kept_v6(&ip),
        };
        can_be_pruned.then_some(Self { family, ip })
    }

    /// Its family.
    #[must_use]
    pub const fn family(self) -> Family {
        self.family
    }

    /// IPv6 in wire order; IPv4 in the first four octets.
    #[must_use]
    pub const fn ip(self) -> [u8; 16] {
        self.ip
    }
}
