//! VLAN identifiers and tags (802.1Q clause 9).

/// A VLAN ID that names a VLAN: 1 to 4094. 0 (priority tag) and 4095 (reserved) are not (802.1Q table 9-2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct VlanId(u16);

impl VlanId {
    /// None unless `vid` is 1 to 4094.
    #[inline(always)]
    #[must_use]
    pub const fn new(vid: u16) -> Option<Self> {
        if vid >= 1 && vid <= 4094 { Some(Self(vid)) } else { None }
    }

    /// The number, 1 to 4094.
    #[inline(always)]
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}
