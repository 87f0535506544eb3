//! Storm control: what is flooded too fast is dropped and counted by its kind, and nothing else is.

use vswitch_common::storm::StormKind;
use vswitch_tests::program::*;

/// One frame a second, and so a burst of nine at once.
const ONE_A_SECOND: u32 = 1_000_000_000;
const BURST: u64 = 9;

const KINDS: [(StormKind, MacAddr, DropReason); 3] = [
    (StormKind::Broadcast, MacAddr::BROADCAST, DropReason::StormBroadcast),
    (StormKind::Multicast, MacAddr::from_octets([0x33, 0x33, 0, 0, 0, 1]), DropReason::StormMulticast),
    (StormKind::Unknown, station(9), DropReason::StormUnknown),
];

/// Sends as many frames at once at A: those flooded, and those dropped for the reason.
fn offer(fixture: &mut Fixture, to: MacAddr, reason: DropReason, count: u64) -> (u64, u64) {
    fixture.tally();
    for _ in 0..count {
        // XDP leaves floods to tc and must not spend what they may.
        assert_eq!(fixture.xdp(A, &plain(to, station(1))).end, End::Passed);
        assert_eq!(fixture.tc(A, &plain(to, station(1))).end, End::Shot);
    }
    let counted = fixture.tally();
    (counted.of(B).tx_packets, counted.of(A).drops[reason as usize])
}

#[test]
fn each_kind_has_its_own_limit() {
    Fixture::run(2, |fixture| {
        for (kind, to, reason) in KINDS {
            fixture.reset();
            fixture.set(A, |config| config.storm_interval_ns[kind as usize] = ONE_A_SECOND);
            let (flooded, dropped) = offer(fixture, to, reason, 20);
            // A slow machine may take a second over it.
            assert!((BURST..BURST + 3).contains(&flooded), "{kind:?}: {flooded} of 20 passed");
            assert_eq!(dropped, 20 - flooded, "{kind:?}");
            for (other, to, reason) in KINDS.into_iter().filter(|(other, ..)| *other != kind) {
                assert_eq!(offer(fixture, to, reason, 20), (20, 0), "{other:?} beside {kind:?}");
            }
        }
    });
}

#[test]
fn a_port_without_a_limit_floods_all() {
    Fixture::run(2, |fixture| {
        for (_, to, reason) in KINDS {
            assert_eq!(offer(fixture, to, reason, 50), (50, 0));
        }
    });
}

#[test]
fn the_limit_of_one_port_is_not_anothers() {
    Fixture::run(3, |fixture| {
        fixture.set(A, |config| config.storm_interval_ns = [ONE_A_SECOND; 3]);
        offer(fixture, MacAddr::BROADCAST, DropReason::StormBroadcast, 20);
        fixture.tc(C, &plain(MacAddr::BROADCAST, station(3)));
        assert_eq!(fixture.tally().senders(), [A, B]);
    });
}

#[test]
fn known_stations_are_reached_during_a_storm_and_its_sources_are_learned() {
    Fixture::run(2, |fixture| {
        fixture.set(A, |config| config.storm_interval_ns = [ONE_A_SECOND; 3]);
        fixture.tc(B, &plain(MacAddr::BROADCAST, station(2)));
        offer(fixture, MacAddr::BROADCAST, DropReason::StormBroadcast, 20);
        fixture.tc(A, &plain(MacAddr::BROADCAST, station(7)));
        assert_eq!(fixture.tally().of(A).drops[DropReason::StormBroadcast as usize], 1);
        assert_eq!(fixture.port_of(station(7)), Some(A));
        for hook in [Hook::Tc, Hook::Xdp] {
            assert_eq!(fixture.run_at(hook, A, &plain(station(2), station(1))).end, End::Redirected);
        }
    });
}
