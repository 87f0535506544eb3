//! MAC addresses as numbers.
//!
//! The first octet on the wire is the most significant of the 48 bits, so that numeric order is the order people read.

/// A 48-bit MAC address (IEEE 802 clause 8); the upper 16 bits of the number are always zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MacAddr(u64);

impl MacAddr {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Self = Self(0xffff_ffff_ffff);
    /// `00:00:00:00:00:00`, never a valid source.
    pub const ZERO: Self = Self(0);

    /// From the six octets in wire order.
    #[inline(always)]
    #[must_use]
    pub const fn from_octets(o: [u8; 6]) -> Self {
        Self(u64::from_be_bytes([0, 0, o[0], o[1], o[2], o[3], o[4], o[5]]))
    }

    /// From the lower 48 bits of a number; the rest is ignored.
    #[inline(always)]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::BROADCAST.0)
    }

    /// The six octets in wire order.
    #[inline(always)]
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        let o = self.0.to_be_bytes();
        [o[2], o[3], o[4], o[5], o[6], o[7]]
    }

    /// As a number below 2^48.
    #[inline(always)]
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether this is a group address (802 clause 8.2.1: the I/G bit of the first octet).
    #[inline(always)]
    #[must_use]
    pub const fn is_group(self) -> bool {
        self.0 & (1 << 40) != 0
    }

    /// Whether this is `ff:ff:ff:ff:ff:ff`.
    #[inline(always)]
    #[must_use]
    pub const fn is_broadcast(self) -> bool {
        self.0 == Self::BROADCAST.0
    }

    /// Whether a station may use this as its source: individual and not zero.
    #[inline(always)]
    #[must_use]
    pub const fn is_valid_source(self) -> bool {
        self.0 != 0 && !self.is_group()
    }

    /// Whether a bridge must not relay it: `01-80-C2-00-00-00` to `-0F` (802.1Q table 8-1).
    #[inline(always)]
    #[must_use]
    pub const fn is_link_constrained(self) -> bool {
        self.0 & 0xffff_ffff_fff0 == 0x0180_c200_0000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_and_bits_are_the_same_address() {
        let mac = MacAddr::from_octets([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
        assert_eq!(mac.bits(), 0x0242_ac11_0002);
        assert_eq!(mac.octets(), [0x02, 0x42, 0xac, 0x11, 0x00, 0x02]);
        assert_eq!(MacAddr::from_bits(u64::MAX), MacAddr::BROADCAST);
    }

    #[test]
    fn group_and_zero_are_no_sources() {
        assert!(!MacAddr::ZERO.is_valid_source());
        assert!(!MacAddr::BROADCAST.is_valid_source());
        assert!(!MacAddr::from_octets([0x01, 0, 0x5e, 0, 0, 1]).is_valid_source());
        assert!(MacAddr::from_octets([0x02, 0, 0, 0, 0, 1]).is_valid_source());
    }

    #[test]
    fn only_the_sixteen_reserved_addresses_are_link_constrained() {
        for last in 0..=255u8 {
            let mac = MacAddr::from_octets([0x01, 0x80, 0xc2, 0, 0, last]);
            assert_eq!(mac.is_link_constrained(), last < 16, "{last:#x}");
        }
        assert!(!MacAddr::from_octets([0x01, 0x80, 0xc2, 0, 1, 0]).is_link_constrained());
    }
}
