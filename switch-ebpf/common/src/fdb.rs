//! The forwarding database (FDB, the CAM table): who is where.
//!
//! The data path learns, refreshes and moves entries; the controller adds static ones and deletes. Everything that
//! decides is here, without a map: [`learn`] and [`is_current`].

use crate::domain::DomainId;
use crate::limits::REFRESH_AFTER_NS;
use crate::mac::MacAddr;
use crate::port::{PortConfig, PortId, flag};

/// Key: domain in the upper 16 bits, MAC in the lower 48.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub struct FdbKey(pub u64);

impl FdbKey {
    /// The key of `mac` in `domain`.
    #[inline(always)]
    #[must_use]
    pub const fn new(domain: DomainId, mac: MacAddr) -> Self {
        Self((domain.0 as u64) << 48 | mac.bits())
    }

    /// The domain.
    #[inline(always)]
    #[must_use]
    pub const fn domain(self) -> DomainId {
        DomainId((self.0 >> 48) as u16)
    }

    /// The station's address.
    #[inline(always)]
    #[must_use]
    pub const fn mac(self) -> MacAddr {
        MacAddr::from_bits(self.0)
    }
}

/// Bits of [`FdbEntry::flags`].
pub mod entry_flag {
    /// Configured: never ages.
    pub const STATIC: u16 = 1 << 0;
    /// Configured: never moves either.
    pub const STICKY: u16 = 1 << 1;
    /// The switch's own address.
    pub const LOCAL: u16 = 1 << 2;
}

/// Value: where a station is and when it was last heard. 16 bytes; `port`, `flags` and `epoch` are written as one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(8))]
pub struct FdbEntry {
    /// [`PortId`] of its port.
    pub port: u16,
    /// Bits of [`entry_flag`].
    pub flags: u16,
    /// The port's [`PortConfig::epoch`] when the station was learned.
    pub epoch: u32,
    /// When it was last heard: coarse monotonic clock, nanoseconds.
    pub seen_ns: u64,
    /// What the made-up next ABI version has more; zero.
    #[cfg(feature = "next-abi")]
    pub spare: u64,
}

#[cfg(not(feature = "next-abi"))]
const _: () = assert!(size_of::<FdbEntry>() == 16);
const _: () = assert!(size_of::<FdbKey>() == 8);

impl FdbEntry {
    /// No entry: nobody's port. A value of its own rather than an `Option`, whose empty payload would be uninitialised
    /// memory to the verifier.
    pub const NONE: Self = Self::new(PortId::NOBODY, 0, 0, 0);

    /// Whether this is an entry.
    #[inline(always)]
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.port != PortId::NOBODY.0
    }

    /// A dynamic entry for a station heard just now.
    #[inline(always)]
    #[must_use]
    pub const fn dynamic(port: PortId, config: &PortConfig, now_ns: u64) -> Self {
        Self::new(port, 0, config.epoch, now_ns)
    }

    /// A configured entry, with `flags` of [`entry_flag`].
    #[inline(always)]
    #[must_use]
    pub const fn permanent(port: PortId, flags: u16, now_ns: u64) -> Self {
        Self::new(port, flags, 0, now_ns)
    }

    #[inline(always)]
    const fn new(port: PortId, flags: u16, epoch: u32, seen_ns: u64) -> Self {
        Self {
            port: port.0,
            flags,
            epoch,
            seen_ns,
            #[cfg(feature = "next-abi")]
            spare: 0,
        }
    }

    /// `port`, `flags` and `epoch` as the one word that the data path stores.
    #[inline(always)]
    #[must_use]
    pub const fn place(&self) -> u64 {
        let (p, f, e) = (self.port.to_ne_bytes(), self.flags.to_ne_bytes(), self.epoch.to_ne_bytes());
        u64::from_ne_bytes([p[0], p[1], f[0], f[1], e[0], e[1], e[2], e[3]])
    }

    /// Whether it was configured rather than learned.
    #[inline(always)]
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        self.flags & (entry_flag::STATIC | entry_flag::STICKY | entry_flag::LOCAL) != 0
    }

    /// Whether it stays at its port whatever is heard elsewhere.
    #[inline(always)]
    #[must_use]
    pub const fn is_pinned(&self) -> bool {
        self.flags & (entry_flag::STICKY | entry_flag::LOCAL) != 0
    }

    /// Whether the station has been silent for longer than `ageing_ns`; 0 is never.
    #[inline(always)]
    #[must_use]
    pub const fn is_aged(&self, ageing_ns: u64, now_ns: u64) -> bool {
        ageing_ns != 0 && !self.is_permanent() && now_ns.saturating_sub(self.seen_ns) > ageing_ns
    }
}

/// What to do about the source of an admitted frame. No payload: see [`Packed`](crate::verdict::Packed).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learn {
    /// The entry stands as it is.
    Keep,
    /// Write last-seen.
    Refresh,
    /// Add an entry, if the limits allow.
    Insert,
    /// The station is at another port than its entry says, or the entry is from before a flush.
    Move,
    /// It is at another port, but its entry stays where it is: sticky, or the switch's own.
    Stay,
    /// It is at another port, but was pinned to that of its entry because it flapped: the frame is dropped.
    Refuse,
}

/// Whether last-seen is to be written again when the station speaks.
#[inline(always)]
#[must_use]
pub const fn is_due(entry: &FdbEntry, now_ns: u64) -> bool {
    now_ns.saturating_sub(entry.seen_ns) > REFRESH_AFTER_NS
}

/// Decides about the source of a frame that came in by `port`. `entry` is what the FDB holds for it.
#[inline(always)]
#[must_use]
pub const fn learn(entry: &FdbEntry, port: PortId, config: &PortConfig, now_ns: u64) -> Learn {
    if !config.has(flag::LEARNING) {
        return Learn::Keep;
    }
    if !entry.is_some() {
        return Learn::Insert;
    }
    if entry.port == port.0 && (entry.is_permanent() || entry.epoch == config.epoch) {
        return if is_due(entry, now_ns) { Learn::Refresh } else { Learn::Keep };
    }
    if entry.is_pinned() { Learn::Stay } else { Learn::Move }
}

/// Whether `entry`, found for a destination, still says where the station is. `config` is that of the entry's port.
#[inline(always)]
#[must_use]
pub const fn is_current(entry: &FdbEntry, config: &PortConfig, now_ns: u64) -> bool {
    entry.is_some()
        && (entry.is_permanent() || config.has(flag::FORWARDING) && entry.epoch == config.epoch)
        && !entry.is_aged(config.ageing_ns, now_ns)
}

#[cfg(test)]
#[path = "fdb/tests.rs"]
mod tests;
