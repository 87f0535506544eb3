//! VLANs (802.1Q): which one a frame belongs to, which ports it leaves by, and whether with a tag.
//!
//! Only the outer tag counts, C-tag or S-tag alike; what is behind it is payload. A VLAN-unaware port looks at none.

use crate::domain::DomainId;
use crate::frame::ethertype;
use crate::port::{PortConfig, flag};
use crate::verdict::DropReason;

/// Most VLAN IDs of a network, and the distance between the domains of two VLAN-aware networks.
pub const VIDS: u16 = 4096;

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

/// A frame's outer tag (802.1Q clause 9.3), wherever it is: in the frame, or in a socket buffer's metadata.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    /// EtherType of the tag; 0 is no tag.
    pub tpid: u16,
    /// Priority (3 bits), drop eligibility (1) and VLAN ID (12).
    pub tci: u16,
}

impl Tag {
    /// No tag.
    pub const NONE: Self = Self { tpid: 0, tci: 0 };

    /// Whether there is one.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.tpid != 0
    }

    /// Whether an EtherType begins a tag.
    #[inline(always)]
    #[must_use]
    pub const fn is_tpid(value: u16) -> bool {
        value == ethertype::VLAN || value == ethertype::SERVICE_VLAN
    }

    /// Bytes it takes where it is in the frame.
    #[inline(always)]
    #[must_use]
    pub const fn bytes(self) -> u32 {
        if self.is_some() { 4 } else { 0 }
    }

    /// The VLAN ID, 0 to 4095.
    #[inline(always)]
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.tci & 0x0fff
    }

    /// In which form the frame is.
    #[inline(always)]
    #[must_use]
    pub const fn form(self) -> Form {
        if !self.is_some() {
            Form::UNTAGGED
        } else if self.vid() == 0 {
            Form::PRIORITY
        } else {
            Form(self.vid())
        }
    }
}

/// With which tag a frame is, or is to leave: a number, so that forms compare in one instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Form(pub u16);

impl Form {
    /// Without a tag.
    pub const UNTAGGED: Self = Self(0);
    /// With a tag that names no VLAN.
    pub const PRIORITY: Self = Self(0x1000);
    /// As it came.
    pub const UNTOUCHED: Self = Self(0x2000);

    /// The VLAN ID of a tag to push; 0 for none.
    #[inline(always)]
    #[must_use]
    pub const fn vid(self) -> u16 {
        self.0 & 0x0fff
    }

    /// Whether a frame in form `is` must be changed to leave in this one.
    #[inline(always)]
    #[must_use]
    pub const fn differs_from(self, is: Self) -> bool {
        self.0 != Self::UNTOUCHED.0 && self.0 != is.0
    }
}

/// A set of VLAN IDs: value of the `VLANS` map, one a port. Written by the controller alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct VlanSet {
    /// Bit `vid % 64` of word `vid / 64`.
    pub words: [u64; 64],
}

impl VlanSet {
    /// No VLAN.
    pub const EMPTY: Self = Self { words: [0; 64] };

    /// Whether the set has `vid`, which is below 4096.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, vid: u16) -> bool {
        self.words[(vid as usize >> 6) & 63] & (1 << (vid & 63)) != 0
    }

    /// Adds a VLAN.
    pub const fn insert(&mut self, vid: VlanId) {
        self.words[vid.0 as usize / 64] |= 1 << (vid.0 % 64);
    }
}

/// The VLAN of a frame that came in by `port`, 0 on a VLAN-unaware one. `allowed` is the port's set.
///
/// # Errors
/// The drop reason (802.1Q clause 8.6.1 and 8.6.2).
#[inline(always)]
pub const fn classify(port: &PortConfig, tag: Tag, allowed: &VlanSet) -> Result<u16, DropReason> {
    if !port.has(flag::VLAN_AWARE) {
        return Ok(0);
    }
    let vid = if tag.is_some() && tag.vid() != 0 { tag.vid() } else { port.pvid };
    if vid == 0 || vid == VIDS - 1 {
        return Err(DropReason::InvalidVlan);
    }
    if vid == port.pvid || (port.has(flag::TRUNK) && allowed.has(vid)) {
        Ok(vid)
    } else {
        Err(DropReason::VlanNotAllowed)
    }
}

/// The form in which a frame of VLAN `vid` leaves by `port`. `allowed` is the port's set.
///
/// # Errors
/// The port is no member of the VLAN (802.1Q clause 8.6.4).
#[inline(always)]
pub const fn leave(port: &PortConfig, vid: u16, allowed: &VlanSet) -> Result<Form, DropReason> {
    if !port.has(flag::VLAN_AWARE) {
        Ok(Form::UNTOUCHED)
    } else if vid == port.pvid {
        Ok(Form::UNTAGGED)
    } else if port.has(flag::TRUNK) && allowed.has(vid) {
        Ok(Form(vid))
    } else {
        Err(DropReason::VlanNotAllowed)
    }
}

/// The domain of a VLAN of a port's network.
#[inline(always)]
#[must_use]
pub const fn domain(port: &PortConfig, vid: u16) -> DomainId {
    DomainId(port.domain.wrapping_add(vid))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: PortConfig = PortConfig { flags: flag::VLAN_AWARE, pvid: 10, ..PortConfig::FREE };
    const TRUNK: PortConfig =
        PortConfig { flags: flag::VLAN_AWARE | flag::TRUNK, pvid: 0, ..PortConfig::FREE };

    fn tagged(vid: u16) -> Tag {
        Tag { tpid: ethertype::VLAN, tci: 0xa000 | vid }
    }

    fn allowed() -> VlanSet {
        let mut set = VlanSet::EMPTY;
        for vid in [1, 20, 64, 4094] {
            set.insert(VlanId::new(vid).expect("a VLAN"));
        }
        set
    }

    #[test]
    fn a_set_has_what_was_inserted_and_nothing_else() {
        let set = allowed();
        let has: usize = (0..VIDS).filter(|vid| set.has(*vid)).count();
        assert_eq!(has, 4);
        assert!(set.has(4094) && !set.has(4095));
    }

    #[test]
    fn an_unaware_port_takes_everything_as_it_is() {
        assert_eq!(classify(&PortConfig::FREE, tagged(4095), &VlanSet::EMPTY), Ok(0));
        assert_eq!(leave(&PortConfig::FREE, 0, &VlanSet::EMPTY), Ok(Form::UNTOUCHED));
        assert!(!Form::UNTOUCHED.differs_from(tagged(7).form()));
    }

    #[test]
    fn an_access_port_is_an_untagged_member_of_one_vlan() {
        assert_eq!(classify(&ACCESS, Tag::NONE, &VlanSet::EMPTY), Ok(10));
        assert_eq!(classify(&ACCESS, tagged(0), &VlanSet::EMPTY), Ok(10));
        assert_eq!(classify(&ACCESS, tagged(10), &VlanSet::EMPTY), Ok(10));
        assert_eq!(classify(&ACCESS, tagged(20), &allowed()), Err(DropReason::VlanNotAllowed));
        assert_eq!(leave(&ACCESS, 10, &VlanSet::EMPTY), Ok(Form::UNTAGGED));
        assert_eq!(leave(&ACCESS, 20, &allowed()), Err(DropReason::VlanNotAllowed));
    }

    #[test]
    fn a_trunk_is_a_tagged_member_of_its_set_and_an_untagged_one_of_its_native_vlan() {
        assert_eq!(classify(&TRUNK, tagged(20), &allowed()), Ok(20));
        assert_eq!(classify(&TRUNK, tagged(21), &allowed()), Err(DropReason::VlanNotAllowed));
        assert_eq!(classify(&TRUNK, Tag::NONE, &allowed()), Err(DropReason::InvalidVlan));
        assert_eq!(leave(&TRUNK, 20, &allowed()), Ok(Form(20)));
        let native = PortConfig { pvid: 99, ..TRUNK };
        assert_eq!(classify(&native, Tag::NONE, &allowed()), Ok(99));
        assert_eq!(leave(&native, 99, &allowed()), Ok(Form::UNTAGGED));
    }

    #[test]
    fn vid_4095_is_never_a_vlan() {
        let mut all = VlanSet::EMPTY;
        all.words = [u64::MAX; 64];
        assert_eq!(classify(&TRUNK, tagged(4095), &all), Err(DropReason::InvalidVlan));
    }

    #[test]
    fn a_service_tag_is_classified_as_a_customer_tag() {
        let tag = Tag { tpid: ethertype::SERVICE_VLAN, tci: 20 };
        assert_eq!(classify(&TRUNK, tag, &allowed()), Ok(20));
        assert_eq!(tag.form(), Form(20));
    }

    #[test]
    fn a_priority_tag_is_a_form_of_its_own() {
        assert!(Form::UNTAGGED.differs_from(tagged(0).form()));
        assert_eq!(Form::PRIORITY.vid(), 0);
    }
}
