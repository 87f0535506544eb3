//! What a port of the model may be set to.

use super::Network;

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
}

impl Default for PortSettings {
    fn default() -> Self {
        Self { network: 0, up: true, isolated: false, hairpin: false, learning: true, flood: true, mtu: 1500 }
    }
}
