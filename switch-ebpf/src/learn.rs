//! Stage: what the frame's source teaches, and the carrying out of it.

use vswitch_common::event::NoticeKind;
use vswitch_common::fdb::{self, FdbEntry, Learn};
use vswitch_common::nd::is_unspecified;
use vswitch_common::neighbour::NeighbourKey;
use vswitch_common::port::PortId;

use crate::pipeline::{Decision, Ingress, Lesson};
use crate::{event, flap, maps};

/// What there is to learn. Only looks. Of a station that was found here lately, nothing, and its entry is not read.
#[inline(always)]
pub(crate) fn lesson(decision: &Decision, ingress: Ingress) -> Lesson {
    let key = decision.key(decision.ethernet.source);
    let recent = maps::Place::of(key, decision.now_ns);
    if recent.heard_at().0 == ingress.id.0 {
        return Lesson { learn: Learn::Keep, entry: FdbEntry::NONE };
    }
    let entry = maps::fdb(key);
    let mut learn = fdb::learn(&entry, ingress.id, ingress.config, decision.now_ns);
    let is_there = entry.port == ingress.id.0 && fdb::is_current(&entry, ingress.config, decision.now_ns);
    if learn == Learn::Keep && is_there {
        recent.note(&entry, decision.now_ns);
    }
    if learn == Learn::Move && flap::is_held(key, &entry, ingress.id, decision.now_ns) {
        learn = Learn::Refuse;
    }
    Lesson { learn, entry }
}

/// Learns it.
#[inline(always)]
pub(crate) fn commit(decision: &Decision, ingress: Ingress) {
    let lesson = &decision.lesson;
    let key = decision.key(decision.ethernet.source);
    match lesson.learn {
        Learn::Keep => {}
        Learn::Refresh => maps::fdb_refresh(key, decision.now_ns),
        Learn::Insert => insert(decision, ingress),
        Learn::Move | Learn::Stay | Learn::Refuse => {
            let is_beyond_limit = flap::is_beyond_limit(decision, ingress.id, &lesson.entry);
            if lesson.learn == Learn::Move && !is_beyond_limit {
                relocate(decision, ingress, &lesson.entry);
            }
        }
    }
    if lesson.learn != Learn::Refuse {
        note_neighbour(decision);
    }
}

/// Adds an entry, if the table and the port have room.
#[inline(always)]
fn insert(decision: &Decision, ingress: Ingress) {
    let entry = FdbEntry::dynamic(ingress.id, ingress.config, decision.now_ns);
    if !has_room(ingress) || !maps::fdb_insert(decision.key(decision.ethernet.source), &entry) {
        return maps::with_counters(ingress.id, |counters| counters.not_learned += 1);
    }
    maps::add_learned(ingress.id, 1);
    maps::add_learned(PortId::NOBODY, 1);
    event::notice(decision, NoticeKind::Learned, PortId::NOBODY);
}

/// Moves an entry to the port the station speaks from now.
#[inline(always)]
fn relocate(decision: &Decision, ingress: Ingress, was: &FdbEntry) {
    let from = PortId(was.port);
    let now_ns = decision.now_ns;
    if !may_move(ingress, was) {
        return maps::with_counters(ingress.id, |counters| counters.not_learned += 1);
    }
    let is = FdbEntry { flags: was.flags, ..FdbEntry::dynamic(ingress.id, ingress.config, now_ns) };
    if !maps::fdb_move(decision.key(decision.ethernet.source), &is) || from.0 == ingress.id.0 {
        return;
    }
    if !was.is_permanent() {
        maps::add_learned(from, -1);
        maps::add_learned(ingress.id, 1);
    }
    event::notice(decision, NoticeKind::Moved, from);
}

/// Whether table and port have room for one more dynamic entry.
#[inline(always)]
fn has_room(ingress: Ingress) -> bool {
    let limit = maps::config().map_or(0, |config| config.fdb_dynamic);
    maps::dynamic_entries(PortId::NOBODY) < u64::from(limit) && !port_is_full(ingress)
}

/// Whether an entry may move to the port. The limits are of dynamic entries: a static one takes no room.
#[inline(always)]
fn may_move(ingress: Ingress, was: &FdbEntry) -> bool {
    was.port == ingress.id.0 || was.is_permanent() || !port_is_full(ingress)
}

/// Whether what there is to learn can be learned.
#[inline(always)]
pub(crate) fn can_commit(decision: &Decision, ingress: Ingress) -> bool {
    match decision.lesson.learn {
        Learn::Keep | Learn::Refresh | Learn::Stay | Learn::Refuse => true,
        Learn::Insert => has_room(ingress),
        Learn::Move => may_move(ingress, &decision.lesson.entry),
    }
}

/// Whether the port holds as many dynamic entries as it may.
#[inline(always)]
fn port_is_full(ingress: Ingress) -> bool {
    let limit = ingress.config.mac_limit;
    limit != 0 && maps::dynamic_entries(ingress.id) >= u64::from(limit)
}

/// Tells the controller who has which address, when that is news. Probes say nothing of the kind, and a packet that speaks
/// for another station is not believed.
#[inline(always)]
fn note_neighbour(decision: &Decision) {
    let (arp, nd, source) = (&decision.arp, &decision.nd, decision.ethernet.source.bits());
    if arp.is_some() && !arp.is_probe() && arp.sender_mac.bits() == source {
        let key = NeighbourKey::v4(decision.domain, arp.sender_ip);
        note_if_news(decision, NoticeKind::Neighbour, key);
    } else if nd.is_some() && !is_unspecified(&nd.claimed()) && nd.mac.bits() == source {
        let key = NeighbourKey::v6(decision.domain, nd.claimed());
        note_if_news(decision, NoticeKind::NeighbourV6, key);
    }
}

#[inline(always)]
fn note_if_news(decision: &Decision, kind: NoticeKind, key: NeighbourKey) {
    let known = maps::neighbour(key);
    if known.is_none_or(|known| known.0 != decision.ethernet.source.bits()) {
        event::neighbour(decision, kind, key.ip);
    }
}
