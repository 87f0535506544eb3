//! Every bound of the data path, in one place: its unit and its reason.

/// Port slots of one switch. Slot 0 belongs to nobody. A slot costs about 800 bytes, most of it its set of VLANs, and 320 more per CPU.
pub const PORTS: u32 = 8_192;

/// Networks of one switch, counting the one that always exists. Id 0 belongs to nobody.
pub const NETWORKS: u32 = 4_096;

/// Default for dynamic FDB entries; an entry takes about 100 bytes of kernel memory.
pub const FDB_DYNAMIC_DEFAULT: u32 = 65_536;

/// Entries kept free beyond the dynamic ones, so that static entries always fit.
pub const FDB_STATIC_RESERVE: u32 = 16_384;

/// Ports of one network that a flood can reach; bounds the flood loop. `bpf_loop` itself allows 2^23 rounds.
pub const FLOOD_MEMBERS: u32 = PORTS;

/// Neighbours (address, MAC) that the kernel can answer for.
pub const NEIGHBOURS: u32 = 65_536;

/// IP addresses that ports can be given, all ports together.
pub const GUARDED_ADDRESSES: u32 = 65_536;

/// VLAN-aware networks: each takes 4,096 of the 65,536 domains, and VLAN-unaware ones share the first 4,096.
pub const VLAN_AWARE_NETWORKS: u16 = 15;

/// Bytes of the ring buffer for frames to the controller: about 3,200 ARP requests. Power of two, page multiple.
pub const PUNT_RING_BYTES: u32 = 256 * 1024;

/// Bytes of the ring buffer for notices (learned, moved, …): about 13,000. Power of two, page multiple.
pub const EVENT_RING_BYTES: u32 = 512 * 1024;

/// Bytes of a frame that a punt carries. An ARP frame has 42, with an 802.1ad and an 802.1Q tag 50, padded 60.
pub const PUNT_FRAME_BYTES: usize = 64;

/// An entry's last-seen is written again only when it is older than this, so that a busy station costs no cache-line
/// ping-pong between CPUs. Nanoseconds.
pub const REFRESH_AFTER_NS: u64 = 500_000_000;

/// Flood lists of multicast groups, those of the routers of a domain among them. A list takes about 100 bytes of kernel memory.
pub const MULTICAST_LISTS: u32 = 16_384;

/// Places in all these lists together; each takes about 70 bytes of kernel memory. Beyond it, and beyond the lists, multicast
/// floods where there is no more room.
pub const MULTICAST_MEMBERS: u32 = 24_576;

/// Groups that one port can be a member of; with more it gets all multicast, as one that a router is behind.
pub const MULTICAST_GROUPS_PER_PORT: usize = 512;

/// Domains that are snooped, each family counted apart; multicast floods in those beyond.
pub const MULTICAST_SCOPES: usize = 8_192;

/// Bytes of the ring buffer for messages about membership: about 10,000 short ones. Power of two, page multiple.
pub const SNOOP_RING_BYTES: u32 = 1024 * 1024;

/// Bytes from the IP header on that a message about membership is carried up with: as long as a frame of 9,000 bytes and more.
/// A longer one is not read, and its port gets all multicast.
pub const SNOOP_BYTES: usize = 9_216;

/// Messages about membership that one port may send up in a second; the rest passes unread and is counted as lost.
pub const SNOOPS_PER_PORT_S: u32 = 256;

/// The controller is taken for dead when its heartbeat is older than this. Nanoseconds; it beats once a second.
pub const HEARTBEAT_STALE_NS: u64 = 3_000_000_000;

/// Unknown ARP targets that one port may hand to the controller in a second; the rest is dropped and counted.
pub const PUNTS_PER_PORT_S: u32 = 256;

/// Bytes of the longest frame that is traced: a jumbo frame of 9,000 bytes with its header and two tags, and some more.
pub const TRACE_FRAME_BYTES: usize = 9_216;

/// Moves of one station within [`MOVES_WINDOW_NS`] that are put up with, unless the configuration says otherwise. A virtual
/// machine that migrates makes one or two, a frame in a loop thousands.
pub const STATION_MOVES_DEFAULT: u32 = 64;

/// The time in which moves of a station are counted, and after which one that did not move has come to rest. Nanoseconds.
pub const MOVES_WINDOW_NS: u64 = 10_000_000_000;

/// Stations whose moves are remembered, the latest to move. A loop moves its stations far too often to be forgotten.
pub const MOVING_STATIONS: u32 = 4_096;

/// A port's first quarantine. Nanoseconds.
pub const QUARANTINE_FIRST_NS: u64 = 1_000_000_000;

/// Its longest. Nanoseconds.
pub const QUARANTINE_MOST_NS: u64 = 300_000_000_000;

/// A port that was quiet for so long after a quarantine begins with the first again. Nanoseconds.
pub const QUARANTINE_MEMORY_NS: u64 = 600_000_000_000;

const _: () = {
    assert!(PUNT_RING_BYTES.is_power_of_two() && PUNT_RING_BYTES.is_multiple_of(4096));
    assert!(SNOOP_RING_BYTES.is_power_of_two() && SNOOP_RING_BYTES.is_multiple_of(4096));
    assert!(EVENT_RING_BYTES.is_power_of_two() && EVENT_RING_BYTES.is_multiple_of(4096));
    // VLAN-unaware networks have the domain of their own number.
    assert!(NETWORKS <= crate::vlan::VIDS as u32);
    // Slots and network ids travel in 16 bits.
    assert!(PORTS <= 1 << 16 && NETWORKS <= 1 << 16);
    assert!(FLOOD_MEMBERS < 1 << 23);
    // Lists of groups are numbered behind those of the networks, and the routers' key is one of them.
    assert!(NETWORKS + MULTICAST_LISTS <= 1 << 16 && MULTICAST_SCOPES <= MULTICAST_LISTS as usize);
};
