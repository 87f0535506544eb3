//! Stage, part of learn: does the station flap between ports, and which port is quarantined for it?

use vswitch_common::fdb::{self, FdbEntry, FdbKey};
use vswitch_common::port::{PortId, flag};

use crate::pipeline::Decision;
use crate::{event, maps};

/// Whether a station that is heard at `ingress` is pinned to the port of its entry, because it flapped. Only while the entry
/// counts: of a station whose port is gone, is down or was flushed, nothing holds.
#[inline(always)]
pub(crate) fn is_held(key: FdbKey, entry: &FdbEntry, ingress: PortId, now_ns: u64) -> bool {
    entry.port != ingress.0
        && maps::is_pinned_to(key, PortId(entry.port), now_ns)
        && is_current(entry, now_ns)
}

/// Counts that the source was heard at `ingress` although its entry says otherwise. If that is once too often, quarantines
/// the newer port and pins the station to the older one.
#[inline(always)]
pub(crate) fn is_beyond_limit(decision: &Decision, ingress: PortId, entry: &FdbEntry) -> bool {
    let limit = maps::config().map_or(0, |config| config.station_moves);
    let now_ns = decision.now_ns;
    if limit == 0 || entry.port == ingress.0 || !is_current(entry, now_ns) {
        return false;
    }
    let key = decision.key(decision.ethernet.source);
    let was = PortId(entry.port);
    let Some(moves) = maps::note_move(key, was, now_ns).filter(|moves| moves.count > limit) else {
        return false;
    };
    let home = home(PortId(moves.home), entry);
    let newer = newer(home, was, ingress, now_ns);
    let other = if newer.0 == ingress.0 { was } else { ingress };
    let until_ns = maps::begin_quarantine(newer, decision.ethernet.source, home, other, now_ns);
    moves.pin(home, until_ns, now_ns);
    send_home(key, entry, home, now_ns);
    event::quarantine(decision, newer, home);
    true
}

#[inline(always)]
fn is_current(entry: &FdbEntry, now_ns: u64) -> bool {
    maps::port(PortId(entry.port)).is_some_and(|config| fdb::is_current(entry, config, now_ns))
}

/// Where the station is at home: an entry that must stay says so itself. A home that does not forward any more is none.
#[inline(always)]
fn home(remembered: PortId, entry: &FdbEntry) -> PortId {
    let is_there = maps::port(remembered).is_some_and(|config| config.has(flag::FORWARDING));
    if entry.is_pinned() || !is_there { PortId(entry.port) } else { remembered }
}

/// Of the two ports between which the station goes, the one that is not its home. If neither is, the one that was quarantined
/// before: a loop has two ends, and one of them is enough.
#[inline(always)]
fn newer(home: PortId, was: PortId, ingress: PortId, now_ns: u64) -> PortId {
    let is_relapse = maps::quarantine(was).is_some_and(|quarantine| quarantine.is_remembered(now_ns));
    if ingress.0 == home.0 || (was.0 != home.0 && is_relapse) { was } else { ingress }
}

/// Moves the entry to the station's home.
#[inline(always)]
fn send_home(key: FdbKey, entry: &FdbEntry, home: PortId, now_ns: u64) {
    let Some(config) = maps::port(home) else { return };
    if entry.port == home.0 {
        return;
    }
    let is = FdbEntry { flags: entry.flags, ..FdbEntry::dynamic(home, config, now_ns) };
    if maps::fdb_move(key, &is) && !entry.is_permanent() {
        maps::add_learned(PortId(entry.port), -1);
        maps::add_learned(home, 1);
    }
}
