//! What was found lately is not looked up again, and never outlives what it was found in.

use std::thread::sleep;
use std::time::Duration;

use vswitch_common::port::flag;
use vswitch_common::recent;
use vswitch_tests::program::*;

const ONE: MacAddr = station(1);
const OTHER: MacAddr = station(2);

/// Longer than anything holds, by a tick of the coarse clock.
const PAST: Duration = Duration::from_millis(recent::HOLDS_NS / 1_000_000 + 20);

/// The station speaks by this port, to all.
#[track_caller]
fn speak(fixture: &mut Fixture, hook: Hook, port: PortId, mac: MacAddr) {
    fixture.run_at(hook, port, &plain(MacAddr::BROADCAST, mac));
    // XDP passes floods up to tc, which learns.
    fixture.tc(port, &plain(MacAddr::BROADCAST, mac));
}

/// The ports that a frame from B to a station leaves by.
fn reached(fixture: &mut Fixture, hook: Hook, to: MacAddr) -> Vec<PortId> {
    fixture.tally();
    fixture.run_at(hook, B, &plain(to, OTHER));
    fixture.tally().senders()
}

/// Where a station at A, found there at `hook` before, is found after a change.
fn after(fixture: &mut Fixture, hook: Hook, change: impl FnOnce(&mut Fixture)) -> Vec<PortId> {
    speak(fixture, hook, A, ONE);
    for _ in 0..3 {
        assert_eq!(reached(fixture, hook, ONE), [A]);
    }
    change(fixture);
    // What XDP floods it passes up.
    reached(fixture, if fixture.entry(ONE).is_some() { hook } else { Hook::Tc }, ONE)
}

#[test]
fn a_station_that_was_found_is_not_looked_up_again_for_a_while() {
    for hook in [Hook::Xdp, Hook::Tc] {
        Fixture::run(3, |fixture| {
            // The while may end in the moment between.
            let is_remembered = (0..5).any(|_| after(fixture, hook, |f| f.remove_unsaid(key(ONE))) == [A]);
            assert!(is_remembered, "{hook:?} looks everything up");
            sleep(PAST);
            assert_eq!(reached(fixture, Hook::Tc, ONE), [A, C], "what is gone is remembered for ever");
        });
    }
}

#[test]
fn what_ends_an_entry_ends_what_was_found_of_it_at_once() {
    for hook in [Hook::Xdp, Hook::Tc] {
        Fixture::run(3, |fixture| {
            assert_eq!(after(fixture, hook, |f| speak(f, hook, C, ONE)), [C], "it moved");
        });
        Fixture::run(3, |fixture| {
            assert_eq!(after(fixture, hook, |f| f.forget(key(ONE))), [A, C], "its entry was deleted");
        });
        Fixture::run(3, |fixture| {
            let flush = |f: &mut Fixture| {
                f.set(A, |config| config.epoch += 1);
                assert_eq!(reached(f, Hook::Tc, ONE), [A, C]);
                f.forget(key(ONE));
            };
            assert_eq!(after(fixture, hook, flush), [A, C], "its port was flushed");
        });
        Fixture::run(3, |fixture| {
            let down = |f: &mut Fixture| {
                f.clear_flags(A, flag::FORWARDING);
                assert_eq!(reached(f, Hook::Tc, ONE), [C]);
                f.forget(key(ONE));
            };
            assert_eq!(after(fixture, hook, down), [C], "its port went down");
        });
        Fixture::run(3, |fixture| {
            let age = |f: &mut Fixture| {
                f.set(A, |config| config.ageing_ns = 1_000_000_000);
                f.silence(key(ONE), Duration::from_secs(2));
                assert_eq!(reached(f, Hook::Tc, ONE), [A, C]);
                f.forget(key(ONE));
            };
            assert_eq!(after(fixture, hook, age), [A, C], "it was silent for too long");
        });
    }
}

#[test]
fn a_source_is_learned_again_where_its_entry_is_gone() {
    Fixture::run(3, |fixture| {
        let heard = |fixture: &mut Fixture| {
            for _ in 0..3 {
                speak(fixture, Hook::Tc, A, ONE);
            }
            fixture.entry(ONE).is_some()
        };
        assert!(heard(fixture));
        fixture.forget(key(ONE));
        assert!(heard(fixture), "its port takes it for known");
    });
}

#[test]
fn stations_that_share_a_line_are_all_found() {
    let line = recent::line(key(ONE));
    let same = (2..).map(|low: u32| {
        let [_, high, middle, low] = low.to_be_bytes();
        MacAddr::from_octets([2, 0xaa, 0, high, middle, low])
    });
    let crowd: Vec<MacAddr> =
        same.filter(|mac| recent::line(key(*mac)) == line).take(recent::WAYS * 2 + 1).collect();
    Fixture::run(3, |fixture| {
        for (number, mac) in crowd.iter().enumerate() {
            speak(fixture, Hook::Tc, if number % 2 == 0 { A } else { C }, *mac);
        }
        for _ in 0..3 {
            for (number, mac) in crowd.iter().enumerate() {
                assert_eq!(reached(fixture, Hook::Tc, *mac), [if number % 2 == 0 { A } else { C }]);
            }
        }
    });
}
