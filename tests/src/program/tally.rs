//! What ports counted, as a value that tests build, compare and read.

use std::collections::BTreeMap;
use std::fmt;

use vswitch_common::port::PortId;
use vswitch_common::stats::PortCounters;
use vswitch_common::verdict::DropReason;

/// Counters of ports; a port that counted nothing is not in it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<u16, PortCounters>);

impl Tally {
    /// Nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// And a frame in that tc carried.
    #[must_use]
    pub fn rx(self, port: PortId, bytes: usize) -> Self {
        self.with(port, |counters| {
            counters.rx_packets += 1;
            counters.rx_bytes += bytes as u64;
        })
    }

    /// And a frame out.
    #[must_use]
    pub fn tx(self, port: PortId, bytes: usize) -> Self {
        self.with(port, |counters| {
            counters.tx_packets += 1;
            counters.tx_bytes += bytes as u64;
        })
    }

    /// And a frame dropped.
    #[must_use]
    pub fn dropped(self, port: PortId, reason: DropReason) -> Self {
        self.with(port, |counters| counters.drops[reason as usize] += 1)
    }

    /// And a question answered.
    #[must_use]
    pub fn answered(self, port: PortId) -> Self {
        self.with(port, |counters| counters.answered += 1)
    }

    /// And a frame handed to the controller.
    #[must_use]
    pub fn punted(self, port: PortId) -> Self {
        self.with(port, |counters| counters.punted += 1)
    }

    /// And a source not learned.
    #[must_use]
    pub fn not_learned(self, port: PortId) -> Self {
        self.with(port, |counters| counters.not_learned += 1)
    }

    /// The same, but that XDP carried the frames that came in.
    #[must_use]
    pub fn by_xdp(mut self) -> Self {
        self.0.values_mut().for_each(|counters| counters.rx_xdp_packets = counters.rx_packets);
        self
    }

    /// The same, but that each frame is so many octets longer.
    #[must_use]
    pub fn longer(mut self, octets: u64) -> Self {
        for counters in self.0.values_mut() {
            counters.rx_bytes += octets * counters.rx_packets;
            counters.tx_bytes += octets * counters.tx_packets;
        }
        self
    }

    /// The same so many times over.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        let mut sum = Self::new();
        for _ in 0..count {
            for (port, counters) in &self.0 {
                sum = sum.with(PortId(*port), |to| to.add(counters));
            }
        }
        sum
    }

    /// Whatever else a port counted.
    #[must_use]
    pub fn with(mut self, port: PortId, count: impl FnOnce(&mut PortCounters)) -> Self {
        count(self.0.entry(port.0).or_insert(PortCounters::ZERO));
        self
    }

    /// What a port counted.
    #[must_use]
    pub fn of(&self, port: PortId) -> PortCounters {
        self.0.get(&port.0).copied().unwrap_or(PortCounters::ZERO)
    }

    /// Ports that sent something, each as often as it sent.
    #[must_use]
    pub fn senders(&self) -> Vec<PortId> {
        let sent = self.0.iter().map(|(port, counters)| (PortId(*port), counters.tx_packets as usize));
        sent.flat_map(|(port, count)| vec![port; count]).collect()
    }

    /// What was counted since `earlier`, when less had been counted. Which frames were born as XDP is left out: those of
    /// `BPF_PROG_TEST_RUN` are born nowhere.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut since = Self::new();
        for (port, counters) in &self.0 {
            let before = earlier.of(PortId(*port));
            let mut drops = counters.drops;
            drops.iter_mut().zip(before.drops).for_each(|(count, before)| *count -= before);
            let difference = PortCounters {
                rx_packets: counters.rx_packets - before.rx_packets,
                rx_bytes: counters.rx_bytes - before.rx_bytes,
                tx_packets: counters.tx_packets - before.tx_packets,
                tx_bytes: counters.tx_bytes - before.tx_bytes,
                rx_xdp_packets: counters.rx_xdp_packets - before.rx_xdp_packets,
                born_packets: 0,
                answered: counters.answered - before.answered,
                punted: counters.punted - before.punted,
                not_learned: counters.not_learned - before.not_learned,
                drops,
            };
            since.enter(PortId(*port), difference);
        }
        since
    }

    /// Adds what a port counted, unless it is nothing.
    pub(super) fn enter(&mut self, port: PortId, counters: PortCounters) {
        if counters != PortCounters::ZERO {
            self.0.insert(port.0, counters);
        }
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_map();
        for (port, counters) in &self.0 {
            let plain = [
                ("rx", counters.rx_packets),
                ("rx bytes", counters.rx_bytes),
                ("rx by XDP", counters.rx_xdp_packets),
                ("tx", counters.tx_packets),
                ("tx bytes", counters.tx_bytes),
                ("answered", counters.answered),
                ("punted", counters.punted),
                ("not learned", counters.not_learned),
            ];
            let drops = DropReason::ALL.map(|reason| (reason.name(), counters.drops[reason as usize]));
            let counted = plain.into_iter().chain(drops).filter(|(_, count)| *count != 0);
            list.entry(&format_args!("port {port}"), &counted.collect::<BTreeMap<_, _>>());
        }
        list.finish()
    }
}
