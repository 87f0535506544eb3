//! What the data path tells the controller: notices of what it learned, and frames that it cannot decide alone.

use crate::limits::{PUNT_FRAME_BYTES, SNOOP_BYTES};

/// What a [`Notice`] tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum NoticeKind {
    /// A station was learned at `port`.
    Learned = 1,
    /// A station moved from `from` to `port`.
    Moved = 2,
    /// An ARP packet at `port` says that `mac` has `ip`, which is news.
    Neighbour = 3,
    /// A neighbour solicitation or advertisement at `port` says that `mac` has the IPv6 address `ip`, which is news.
    NeighbourV6 = 4,
    /// `port` is quarantined because `mac`, which was at `from`, flapped.
    Quarantined = 5,
}

impl NoticeKind {
    /// From its number; none if the kernel side is newer than we are.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Learned),
            2 => Some(Self::Moved),
            3 => Some(Self::Neighbour),
            4 => Some(Self::NeighbourV6),
            5 => Some(Self::Quarantined),
            _ => None,
        }
    }
}

/// A record of the `EVENTS` ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Notice {
    /// MAC of the station.
    pub mac: u64,
    /// [`NoticeKind`].
    pub kind: u16,
    /// [`DomainId`](crate::domain::DomainId).
    pub domain: u16,
    /// [`PortId`](crate::port::PortId) the frame came in by.
    pub port: u16,
    /// For `Moved`: the port it was at.
    pub from: u16,
    /// For `Neighbour`: the address; IPv4 in the first four octets.
    pub ip: [u8; 16],
}

impl Notice {
    /// Reads a record as it came from the ring; none if it is shorter.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(16)?;
        let number = |at: usize| Some(u16::from_ne_bytes([*head.get(at)?, *head.get(at + 1)?]));
        Some(Self {
            mac: u64::from_ne_bytes(*head.first_chunk()?),
            kind: number(8)?,
            domain: number(10)?,
            port: number(12)?,
            from: number(14)?,
            ip: *rest.first_chunk()?,
        })
    }
}

/// A record of the `PUNTS` ring: a frame and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PuntRecord {
    /// [`Punt`](crate::verdict::Punt).
    pub why: u16,
    /// [`DomainId`](crate::domain::DomainId).
    pub domain: u16,
    /// [`PortId`](crate::port::PortId) it came in by.
    pub port: u16,
    /// Bytes of `frame` that count.
    pub length: u16,
    /// The frame's first bytes.
    pub frame: [u8; PUNT_FRAME_BYTES],
}

impl PuntRecord {
    /// Reads a record as it came from the ring; none if it is shorter.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(8)?;
        let number = |at: usize| Some(u16::from_ne_bytes([*head.get(at)?, *head.get(at + 1)?]));
        Some(Self {
            why: number(0)?,
            domain: number(2)?,
            port: number(4)?,
            length: number(6)?,
            frame: *rest.first_chunk()?,
        })
    }

    /// The bytes of the frame that count.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.frame.get(..usize::from(self.length)).unwrap_or(&self.frame)
    }
}

/// A record of the `SNOOPS` ring as programs put it together; what is carried of `bytes` is as long as `length` says, or all.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SnoopRecord {
    /// [`DomainId`](crate::domain::DomainId).
    pub domain: u16,
    /// [`PortId`](crate::port::PortId) it came in by.
    pub port: u16,
    /// EtherType, host order.
    pub ethertype: u16,
    /// Bytes of the packet, its header and padding included; more than are carried if it is longer than [`SNOOP_BYTES`].
    pub length: u16,
    /// The packet from its IP header on.
    pub bytes: [u8; SNOOP_BYTES],
}

/// Bytes of a [`SnoopRecord`] in front of the packet.
pub const SNOOP_HEAD: usize = 8;

/// A record of the `SNOOPS` ring as the controller reads it: a message about multicast membership, not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg(feature = "user")]
pub struct Snoop {
    /// See [`SnoopRecord`] for this and the rest.
    pub domain: u16,
    /// Where it came in.
    pub port: u16,
    /// EtherType.
    pub ethertype: u16,
    /// The packet is longer than what is here.
    pub is_cut: bool,
    /// The packet from its IP header on.
    pub packet: std::vec::Vec<u8>,
}

#[cfg(feature = "user")]
impl Snoop {
    /// Reads a record as it came from the ring; none if it is shorter than it says.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, packet) = bytes.split_at_checked(SNOOP_HEAD)?;
        let number = |at: usize| Some(u16::from_ne_bytes([*head.get(at)?, *head.get(at + 1)?]));
        let length = usize::from(number(6)?);
        Some(Self {
            domain: number(0)?,
            port: number(2)?,
            ethertype: number(4)?,
            is_cut: length > SNOOP_BYTES,
            packet: packet.get(..length.min(SNOOP_BYTES))?.to_vec(),
        })
    }
}

const _: () = assert!(size_of::<SnoopRecord>() == SNOOP_HEAD + SNOOP_BYTES);
const _: () = assert!(size_of::<Notice>() == 32 && size_of::<PuntRecord>() == 8 + PUNT_FRAME_BYTES);
