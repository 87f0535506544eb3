//! Counters: what each CPU keeps for each port.

/// Room for drop reasons; more than there are, so that a new one does not change the ABI.
pub const DROP_COUNTERS: usize = 32;

// An index is bounded by a mask.
const _: () = assert!(DROP_COUNTERS.is_power_of_two());

/// One CPU's counters of one port. Written by programs alone, each CPU its own; the controller adds them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PortCounters {
    /// Frames in; a GSO frame counts as its segments.
    pub rx_packets: u64,
    /// Bytes in, Ethernet header included.
    pub rx_bytes: u64,
    /// Frames out.
    pub tx_packets: u64,
    /// Bytes out.
    pub tx_bytes: u64,
    /// Of the frames in, those whose fate the XDP hook carried out. The rest is tc's.
    pub rx_xdp_packets: u64,
    /// Of the frames in and out, those that gain by XDP: they never were socket buffers before they came here.
    pub born_packets: u64,
    /// ARP requests answered in the kernel: floods saved.
    pub answered: u64,
    /// Frames handed to the controller.
    pub punted: u64,
    /// Sources not learned because a limit was reached.
    pub not_learned: u64,
    /// Dropped frames by [`DropReason`](crate::verdict::DropReason).
    pub drops: [u64; DROP_COUNTERS],
}

impl PortCounters {
    /// Nothing counted.
    pub const ZERO: Self = Self {
        rx_packets: 0,
        rx_bytes: 0,
        tx_packets: 0,
        tx_bytes: 0,
        rx_xdp_packets: 0,
        born_packets: 0,
        answered: 0,
        punted: 0,
        not_learned: 0,
        drops: [0; DROP_COUNTERS],
    };

    /// Adds another CPU's counters.
    pub fn add(&mut self, other: &Self) {
        self.rx_packets += other.rx_packets;
        self.rx_bytes += other.rx_bytes;
        self.tx_packets += other.tx_packets;
        self.tx_bytes += other.tx_bytes;
        self.rx_xdp_packets += other.rx_xdp_packets;
        self.born_packets += other.born_packets;
        self.answered += other.answered;
        self.punted += other.punted;
        self.not_learned += other.not_learned;
        for (sum, more) in self.drops.iter_mut().zip(other.drops) {
            *sum += more;
        }
    }
}
