//! Counting: each frame once, by the hook that carries its verdict out.
//!
//! `is_born` says of a frame that it was born as XDP, see [`Frame::is_born_as_xdp`].

use vswitch_common::port::PortId;
use vswitch_common::stats::DROP_COUNTERS;
use vswitch_common::verdict::DropReason;

use crate::maps;
use crate::packet::Frame;

/// A frame came in and the XDP hook decides its fate.
#[inline(always)]
pub(crate) fn rx_xdp(port: PortId, frame: &impl Frame, bytes: u32, is_born: bool) {
    maps::with_counters(port, |counters| {
        counters.rx_packets += u64::from(frame.segments());
        counters.rx_bytes += u64::from(bytes);
        counters.rx_xdp_packets += u64::from(frame.segments());
        counters.born_packets += u64::from(is_born);
    });
}

/// A frame came in and the tc hook decides its fate.
#[inline(always)]
pub(crate) fn rx_tc(port: PortId, frame: &impl Frame, bytes: u32, is_born: bool) {
    maps::with_counters(port, |counters| {
        counters.rx_packets += u64::from(frame.segments());
        counters.rx_bytes += u64::from(bytes);
        counters.born_packets += u64::from(is_born);
    });
}

/// A frame leaves by a port.
#[inline(always)]
pub(crate) fn tx(port: PortId, packets: u32, bytes: u32, is_born: bool) {
    maps::with_counters(port, |counters| {
        counters.tx_packets += u64::from(packets);
        counters.tx_bytes += u64::from(bytes);
        counters.born_packets += u64::from(is_born);
    });
}

/// A frame, or a flood's copy of one, goes nowhere.
#[inline(always)]
pub(crate) fn drop(port: PortId, packets: u32, reason: DropReason) {
    // The compiler knows how many reasons there are and would leave a mask out; the verifier knows only the mask.
    let index = maps::opaque(reason as u64) as usize & (DROP_COUNTERS - 1);
    maps::with_counters(port, |counters| counters.drops[index] += u64::from(packets));
}
