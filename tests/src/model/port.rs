//! What a port of the model may be set to.

use super::{Mac, Network};

/// A port's number.
pub type PortId = u32;

/// Settings of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSettings {
    /// Its network: frames stay in it.
    pub network: Network,
    /// Whether it takes part.
    pub up: bool,
    /// Reaches only ports that are not isolated.
    pub isolated: bool,
    /// Frames may leave by it that came in by it.
    pub hairpin: bool,
    /// Sources are learned.
    pub learning: bool,
    /// Unknown unicast, broadcast and multicast leave by it.
    pub flood: bool,
    /// Longest payload of its link, in octets.
    pub mtu: usize,
    /// Which VLANs it is in; none on a VLAN-unaware network.
    pub vlans: Option<Vlans>,
    /// Whose addresses it may use; none is any.
    pub guard: Option<Guard>,
    /// Kinds of floods of which it has sent as many as it may: broadcast, multicast, unknown unicast.
    pub exhausted: [bool; 3],
}

/// VLANs of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlans {
    /// The one of frames without a tag, both ways; 0 is none.
    pub untagged: u16,
    /// Those of frames with one; 0 is none.
    pub tagged: [u16; 3],
}

impl Vlans {
    pub(super) fn has(&self, vid: u16) -> bool {
        vid != 0 && (vid == self.untagged || self.tagged.contains(&vid))
    }
}

/// What a guarded port was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Its only source address; none is any.
    pub mac: Option<Mac>,
    /// Its only IPv4 address; none is any.
    pub ip: Option<[u8; 4]>,
    /// Whether a DHCP server or router may be behind it.
    pub trusted: bool,
}

impl Default for PortSettings {
    fn default() -> Self {
        Self {
            network: 0,
            up: true,
            isolated: false,
            hairpin: false,
            learning: true,
            flood: true,
            mtu: 1500,
            vlans: None,
            guard: None,
            exhausted: [false; 3],
        }
    }
}
