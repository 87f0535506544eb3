//! Who has which address: key and value of the `NEIGHBOURS` map.

use crate::domain::DomainId;
use crate::mac::MacAddr;

/// An IP address in a domain.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(C)]
pub struct NeighbourKey {
    /// IPv6 in wire order; IPv4 in the first four octets with `family` 4.
    pub ip: [u8; 16],
    /// [`DomainId`].
    pub domain: u16,
    /// 4 or 6.
    pub family: u16,
}

impl NeighbourKey {
    /// The key of an IPv4 address.
    #[inline(always)]
    #[must_use]
    pub const fn v4(domain: DomainId, ip: [u8; 4]) -> Self {
        Self {
            ip: [ip[0], ip[1], ip[2], ip[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            domain: domain.0,
            family: 4,
        }
    }
}

impl NeighbourKey {
    /// The key of an IPv6 address.
    #[inline(always)]
    #[must_use]
    pub const fn v6(domain: DomainId, ip: [u8; 16]) -> Self {
        Self { ip, domain: domain.0, family: 6 }
    }
}

/// The station that has the address. Written by the controller alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Neighbour(pub u64);

impl Neighbour {
    /// The station's address.
    #[inline(always)]
    #[must_use]
    pub const fn mac(self) -> MacAddr {
        MacAddr::from_bits(self.0)
    }
}
