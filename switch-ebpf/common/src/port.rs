//! A port as the data path sees it: the value of the `PORTS` map.

use crate::domain::NetworkId;
use crate::mac::MacAddr;
use crate::storm::{StormKind, StormLimit};

/// A port's slot in the `PORTS` map: 1 to [`limits::PORTS`](crate::limits::PORTS) − 1; 0 is nobody's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct PortId(pub u16);

impl PortId {
    /// Nobody's slot: counts what cannot be put down to a port.
    pub const NOBODY: Self = Self(0);

    /// As an array index.
    #[inline(always)]
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0 as u32
    }
}

/// Bits of [`PortConfig::flags`].
pub mod flag {
    /// The link is up with carrier and the port takes part in forwarding.
    pub const FORWARDING: u32 = 1 << 0;
    /// Sources are learned.
    pub const LEARNING: u32 = 1 << 1;
    /// Floods leave by this port.
    pub const FLOOD: u32 = 1 << 2;
    /// Reaches only ports that are not isolated.
    pub const ISOLATED: u32 = 1 << 3;
    /// A frame may leave by the port it came in by.
    pub const HAIRPIN: u32 = 1 << 4;
    /// The link takes frames redirected by XDP: its driver or its peer has what `ndo_xdp_xmit` needs.
    pub const XDP_TARGET: u32 = 1 << 5;
    /// The peer is up, in another network namespace, and `peer_mac` is its address: unicast to that address may be put
    /// straight into the peer (`bpf_redirect_peer`).
    pub const PEER_REACHABLE: u32 = 1 << 6;
    /// The network is VLAN-aware: tags are looked at, and `domain` is that of VLAN 0, which no frame has.
    pub const VLAN_AWARE: u32 = 1 << 7;
    /// Tagged member of the VLANs in its set; otherwise an untagged member of `pvid` alone.
    pub const TRUNK: u32 = 1 << 8;
    /// Only the addresses that the port was given are taken as sources.
    pub const GUARDED: u32 = 1 << 9;
    /// Some of these addresses are IP addresses: they are checked, too.
    pub const GUARDED_IP: u32 = 1 << 10;
    /// DHCP servers and routers may be behind it although it is guarded.
    pub const TRUSTED: u32 = 1 << 11;
    /// Messages about multicast membership go to the controller as well.
    pub const SNOOPED: u32 = 1 << 12;
}

/// One port. Written by the controller alone; programs only read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortConfig {
    /// The peer's MAC, [`MacAddr::bits`]; meaningful with [`flag::PEER_REACHABLE`].
    pub peer_mac: u64,
    /// The only source address taken, [`MacAddr::bits`]; meaningful with [`flag::GUARDED`], 0 is any.
    pub guard_mac: u64,
    /// Silence after which a station of the port's network is forgotten, in nanoseconds; 0 is never.
    pub ageing_ns: u64,
    /// Link index in the controller's network namespace; 0 marks a free slot.
    pub ifindex: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// Goes up at each flush of the port and each reuse of the slot: dynamic entries of another epoch are void.
    pub epoch: u32,
    /// Largest frame that leaves by this port, in bytes without the Ethernet header and tags.
    pub mtu: u32,
    /// Most dynamic entries; 0 is no limit.
    pub mac_limit: u32,
    /// Time between two flooded frames of a kind, in nanoseconds; 0 is no limit. Indexed by
    /// [`StormKind`].
    pub storm_interval_ns: [u32; 3],
    /// Flooded frames of a kind that may come at once after a quiet time; 0 leaves it to the rate. Indexed likewise.
    pub storm_burst: [u32; 3],
    /// [`NetworkId`] of the port.
    pub network: u16,
    /// [`DomainId`](crate::domain::DomainId) of all frames on a VLAN-unaware network; otherwise the one that VLAN IDs are counted from.
    pub domain: u16,
    /// VLAN of untagged frames; 0 is none.
    pub pvid: u16,
    /// Says nothing of this port: the slot of a link whose index has this slot's number as its low bits, see [`near`]; 0 is
    /// none. A hint, true only where that slot has the link's `ifindex`.
    pub near: u16,
    /// Padding, zero.
    pub pad: [u16; 2],
}

/// The slot where [`PortConfig::near`] is about this link.
#[inline(always)]
#[must_use]
pub const fn near(ifindex: u32) -> PortId {
    PortId((ifindex & (crate::limits::PORTS - 1)) as u16)
}

const _: () = assert!(crate::limits::PORTS.is_power_of_two());

impl PortConfig {
    /// A free slot.
    pub const FREE: Self = Self {
        peer_mac: 0,
        guard_mac: 0,
        ageing_ns: 0,
        ifindex: 0,
        flags: 0,
        epoch: 0,
        mtu: 0,
        mac_limit: 0,
        storm_interval_ns: [0; 3],
        storm_burst: [0; 3],
        network: 0,
        domain: 0,
        pvid: 0,
        near: 0,
        pad: [0; 2],
    };

    /// The limit of a kind of flooded frames.
    #[inline(always)]
    #[must_use]
    pub const fn storm_limit(&self, kind: StormKind) -> StormLimit {
        let index = kind as usize;
        StormLimit { interval_ns: self.storm_interval_ns[index], burst: self.storm_burst[index] }
    }

    /// Whether all `bits` of [`flag`] are set.
    #[inline(always)]
    #[must_use]
    pub const fn has(&self, bits: u32) -> bool {
        self.flags & bits == bits
    }

    /// The port's network.
    #[inline(always)]
    #[must_use]
    pub const fn network(&self) -> NetworkId {
        NetworkId(self.network)
    }

    /// Whether `mac` is the address of a peer that frames can be put straight into.
    #[inline(always)]
    #[must_use]
    pub const fn has_peer(&self, mac: MacAddr) -> bool {
        self.has(flag::PEER_REACHABLE) && self.peer_mac == mac.bits()
    }
}

/// Key of the `MEMBERS` map: the `index`-th place of a flood list, which may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct MemberKey {
    /// [`NetworkId`]; from [`limits::NETWORKS`](crate::limits::NETWORKS) on a multicast group's list.
    pub network: u16,
    /// 0 to the list's high-water mark − 1.
    pub index: u16,
}

/// Value of the `NETWORKS` map. Written by the controller alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct NetworkConfig {
    /// Places of the flood list in use, empty ones among them included.
    pub places: u32,
    /// Padding, zero.
    pub pad: u32,
}
