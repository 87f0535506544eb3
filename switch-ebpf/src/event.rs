//! What goes up to the controller: notices, punted frames, and copies of messages about multicast membership.

use vswitch_common::abi::ring;
use vswitch_common::event::{Notice, NoticeKind, PuntRecord};
use vswitch_common::frame::ETHERNET_BYTES;
use vswitch_common::limits::{PUNT_FRAME_BYTES, SNOOP_BYTES};
use vswitch_common::port::PortId;
use vswitch_common::verdict::Punt;

use crate::maps;
use crate::packet::{Frame, TcFrame};
use crate::pipeline::Decision;

/// Bytes of an ARP request with its Ethernet header: what a punt carries at least.
const ARP_FRAME_BYTES: usize = 42;
/// Bytes of the shortest frame on a wire, without frame check sequence: an ARP request that was padded to it stays so.
const SHORTEST_FRAME_BYTES: u32 = 60;

/// Says what was learned of the source.
#[inline(always)]
pub(crate) fn notice(decision: &Decision, kind: NoticeKind, from: PortId) {
    publish(decision, kind, from, [0; 16]);
}

/// Says that the source has an address.
#[inline(always)]
pub(crate) fn neighbour(decision: &Decision, kind: NoticeKind, ip: [u8; 16]) {
    publish(decision, kind, PortId::NOBODY, ip);
}

/// Says that a port is quarantined because of the source, which belongs to `older`.
#[inline(always)]
pub(crate) fn quarantine(decision: &Decision, port: PortId, older: PortId) {
    publish_at(decision, NoticeKind::Quarantined, port, older, [0; 16]);
}

#[inline(always)]
fn publish(decision: &Decision, kind: NoticeKind, from: PortId, ip: [u8; 16]) {
    publish_at(decision, kind, decision.ingress, from, ip);
}

#[inline(always)]
fn publish_at(decision: &Decision, kind: NoticeKind, port: PortId, from: PortId, ip: [u8; 16]) {
    let Some(mut record) = maps::EVENTS.reserve::<Notice>(0) else {
        return maps::count_lost(ring::EVENTS);
    };
    record.write(Notice {
        mac: decision.ethernet.source.bits(),
        kind: kind as u16,
        domain: decision.domain.0,
        port: port.0,
        from: from.0,
        ip,
    });
    record.submit(0);
}

/// Hands the frame to the controller; false if it is too far behind.
#[inline(always)]
pub(crate) fn punt(frame: &impl Frame, decision: &Decision, why: Punt) -> bool {
    let Some(bytes) = frame.read::<ARP_FRAME_BYTES>(0) else {
        return false;
    };
    let Some(mut record) = maps::PUNTS.reserve::<PuntRecord>(0) else {
        maps::count_lost(ring::PUNTS);
        return false;
    };
    let mut padded = [0u8; PUNT_FRAME_BYTES];
    padded[..ARP_FRAME_BYTES].copy_from_slice(&bytes);
    let length = frame.length();
    record.write(PuntRecord {
        why: why as u16,
        domain: decision.domain.0,
        port: decision.ingress.0,
        length: if length < SHORTEST_FRAME_BYTES {
            ARP_FRAME_BYTES as u16
        } else {
            SHORTEST_FRAME_BYTES as u16
        },
        frame: padded,
    });
    record.submit(0);
    true
}

/// Hands the controller a copy of a message about membership, within the port's share of its time.
#[inline(always)]
pub(crate) fn snoop(frame: &TcFrame, decision: &Decision) {
    if !maps::take_snoop_token(decision.ingress, decision.now_ns) {
        return maps::count_lost(ring::SNOOPS);
    }
    let Some(record) = maps::snoop() else { return };
    let length = frame.length() - ETHERNET_BYTES as u32;
    record.domain = decision.domain.0;
    record.port = decision.ingress.0;
    record.ethertype = decision.ethernet.ethertype;
    record.length = if length > u16::MAX as u32 { u16::MAX } else { length as u16 };
    let carried = if length > SNOOP_BYTES as u32 { SNOOP_BYTES as u32 } else { length };
    if !frame.copy_part(ETHERNET_BYTES, carried, &mut record.bytes) || !maps::publish_snoop(record, carried) {
        maps::count_lost(ring::SNOOPS);
    }
}
