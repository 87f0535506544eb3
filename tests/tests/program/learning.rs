//! Who is where: learned, refreshed, moved, configured, flushed, aged; and what teaches nothing.

use std::time::Duration;

use vswitch_common::event::NoticeKind;
use vswitch_common::fdb::{FdbEntry, FdbKey, entry_flag};
use vswitch_tests::program::*;

const ONE: MacAddr = station(1);
const TWO: MacAddr = station(2);

/// The station says something to all by this port.
#[track_caller]
fn speak(fixture: &mut Fixture, port: PortId, mac: MacAddr) {
    fixture.tc(port, &plain(MacAddr::BROADCAST, mac));
}

/// The ports that a frame from `ingress` to a station leaves by. Its source is nobody that a test asks for.
fn reached(fixture: &mut Fixture, ingress: PortId, to: MacAddr) -> Vec<PortId> {
    fixture.tally();
    fixture.tc(ingress, &plain(to, station(0xee)));
    fixture.tally().senders()
}

/// Dynamic entries: of all, of A, of B.
fn dynamic(fixture: &Fixture) -> [u64; 3] {
    [PortId::NOBODY, A, B].map(|slot| fixture.bpf.dynamic_entries(slot).expect("a slot"))
}

/// Kind, station, port and earlier port of each notice.
fn notices(fixture: &mut Fixture) -> Vec<(u16, MacAddr, u16, u16)> {
    let notices = fixture.notices().into_iter();
    notices
        .map(|notice| {
            assert_eq!(notice.domain, domain_of(NETWORK).0);
            (notice.kind, MacAddr::from_bits(notice.mac), notice.port, notice.from)
        })
        .collect()
}

#[test]
fn a_new_source_is_learned_at_its_port() {
    Fixture::run(3, |fixture| {
        fixture.set(A, |config| config.epoch = 7);
        let before = fixture.bpf.now_ns();
        speak(fixture, A, ONE);
        let entry = fixture.entry(ONE).expect("it was learned");
        assert_eq!(FdbEntry { seen_ns: 0, ..entry }, FdbEntry { port: 1, flags: 0, epoch: 7, seen_ns: 0 });
        assert!((before..=fixture.bpf.now_ns()).contains(&entry.seen_ns), "{entry:?} since {before}");
        assert_eq!(dynamic(fixture), [1, 1, 0]);
        assert_eq!(notices(fixture), [(NoticeKind::Learned as u16, ONE, 1, 0)]);
        assert_eq!(reached(fixture, B, ONE), [A]);
    });
}

#[test]
fn a_station_that_goes_on_speaking_is_no_news() {
    Fixture::run(3, |fixture| {
        speak(fixture, A, ONE);
        fixture.notices();
        let first = fixture.entry(ONE);
        speak(fixture, A, ONE);
        assert_eq!(fixture.entry(ONE), first, "within a second nothing is written");
        fixture.silence(key(ONE), Duration::from_millis(1100));
        let now = fixture.bpf.now_ns();
        speak(fixture, A, ONE);
        assert!(fixture.entry(ONE).expect("it was learned").seen_ns >= now, "later it is");
        assert_eq!((dynamic(fixture), fixture.notices()), ([1, 1, 0], vec![]));
    });
}

#[test]
fn traffic_to_a_station_does_not_refresh_it() {
    Fixture::run(3, |fixture| {
        speak(fixture, A, ONE);
        fixture.silence(key(ONE), Duration::from_secs(5));
        let silent = fixture.entry(ONE);
        assert_eq!(reached(fixture, B, ONE), [A]);
        assert_eq!(fixture.entry(ONE), silent);
    });
}

#[test]
fn a_station_that_moves_is_followed_and_counted_at_its_new_port() {
    Fixture::run(3, |fixture| {
        fixture.set(B, |config| config.epoch = 9);
        speak(fixture, A, ONE);
        fixture.notices();
        speak(fixture, B, ONE);
        let entry = fixture.entry(ONE).expect("it was learned");
        assert_eq!((entry.port, entry.flags, entry.epoch), (B.0, 0, 9));
        assert_eq!(dynamic(fixture), [1, 0, 1]);
        assert_eq!(notices(fixture), [(NoticeKind::Moved as u16, ONE, B.0, A.0)]);
        assert_eq!(reached(fixture, C, ONE), [B]);
    });
}

#[test]
fn a_static_entry_moves_and_stays_static() {
    Fixture::run(3, |fixture| {
        fixture.configure(key(ONE), A, entry_flag::STATIC);
        speak(fixture, B, ONE);
        let entry = fixture.entry(ONE).expect("it was configured");
        assert_eq!((entry.port, entry.flags), (B.0, entry_flag::STATIC));
        assert_eq!(dynamic(fixture), [0, 0, 0], "a configured entry is not a dynamic one, wherever it is");
        assert_eq!(notices(fixture), [(NoticeKind::Moved as u16, ONE, B.0, A.0)]);
    });
}

#[test]
fn sticky_and_local_entries_stay_where_they_are() {
    Fixture::run(3, |fixture| {
        for flags in [entry_flag::STATIC | entry_flag::STICKY, entry_flag::LOCAL] {
            fixture.configure(key(ONE), A, flags);
            let before = fixture.entry(ONE);
            speak(fixture, B, ONE);
            assert_eq!(fixture.entry(ONE), before, "flags {flags}");
            assert_eq!(reached(fixture, C, ONE), [A], "flags {flags}");
        }
        assert_eq!((dynamic(fixture), notices(fixture).len()), ([1, 0, 0], 1), "only C's own");
    });
}

#[test]
fn a_flush_voids_what_was_learned_and_nothing_configured() {
    Fixture::run(3, |fixture| {
        speak(fixture, A, ONE);
        fixture.configure(key(TWO), A, entry_flag::STATIC);
        fixture.set(A, |config| config.epoch += 1);
        assert_eq!(reached(fixture, B, ONE), [A, C], "flooded");
        assert_eq!(reached(fixture, B, TWO), [A]);
        speak(fixture, A, ONE);
        assert_eq!(reached(fixture, B, ONE), [A], "learned again");
        assert_eq!(dynamic(fixture), [2, 1, 1], "and counted once, beside B's own");
    });
}

#[test]
fn a_void_entry_is_taken_over_by_another_port() {
    Fixture::run(3, |fixture| {
        speak(fixture, A, ONE);
        fixture.set(A, |config| config.epoch += 1);
        speak(fixture, B, ONE);
        assert_eq!((fixture.port_of(ONE), dynamic(fixture)), (Some(B), [1, 0, 1]));
    });
}

#[test]
fn a_silent_station_is_unknown_before_anyone_sweeps_it() {
    Fixture::run(3, |fixture| {
        for port in [A, B, C] {
            fixture.set(port, |config| config.ageing_ns = 10_000_000_000);
        }
        speak(fixture, A, ONE);
        fixture.configure(key(TWO), A, entry_flag::STATIC);
        fixture.silence(key(ONE), Duration::from_secs(8));
        fixture.silence(key(TWO), Duration::from_secs(20));
        assert_eq!(reached(fixture, B, ONE), [A], "not yet");
        fixture.silence(key(ONE), Duration::from_secs(3));
        assert_eq!(reached(fixture, B, ONE), [A, C], "aged");
        assert!(fixture.entry(ONE).is_some(), "and not swept");
        assert_eq!(reached(fixture, B, TWO), [A], "configured entries never age");
        fixture.set(A, |config| config.ageing_ns = 0);
        assert_eq!(reached(fixture, B, ONE), [A], "0 is never");
        fixture.set(A, |config| config.ageing_ns = 10_000_000_000);
        speak(fixture, A, ONE);
        assert_eq!(reached(fixture, B, ONE), [A], "heard again");
        assert_eq!(dynamic(fixture)[1], 1);
    });
}

#[test]
fn nothing_is_learned_by_a_port_that_does_not_learn() {
    Fixture::run(3, |fixture| {
        speak(fixture, A, ONE);
        fixture.silence(key(ONE), Duration::from_secs(5));
        let before = fixture.entry(ONE);
        for port in [A, B] {
            fixture.clear_flags(port, flag::LEARNING);
            speak(fixture, port, ONE);
            speak(fixture, port, TWO);
        }
        assert_eq!((fixture.entry(ONE), fixture.entry(TWO)), (before, None), "no refresh, move or insert");
        assert_eq!(fixture.tally().of(A).not_learned, 0, "that is no limit");
    });
}

#[test]
fn nothing_is_learned_from_a_refused_frame() {
    Fixture::run(3, |fixture| {
        let reserved = MacAddr::from_octets([1, 0x80, 0xc2, 0, 0, 2]);
        let (link, program) = (fixture.link(A).ifindex, [Hook::Tc, Hook::Xdp]);
        for hook in program {
            fixture.run_at(hook, A, &plain(reserved, ONE));
            fixture.clear_flags(A, flag::FORWARDING);
            fixture.run_at(hook, A, &plain(TWO, ONE));
            fixture.set_flags(A, flag::FORWARDING);
            fixture.bpf.set_link(link, None).expect("it was mapped");
            fixture.run_at(hook, A, &plain(TWO, ONE));
            fixture.bpf.set_link(link, Some(A)).expect("the map has room");
            for source in [MacAddr::ZERO, MacAddr::BROADCAST] {
                fixture.run_at(hook, A, &plain(TWO, source));
            }
        }
        assert_eq!((fixture.entries(), dynamic(fixture), fixture.notices()), (vec![], [0; 3], vec![]));
    });
}

#[test]
fn a_frame_that_may_not_leave_still_tells_who_sent_it() {
    Fixture::run(3, |fixture| {
        speak(fixture, B, TWO);
        [A, B].iter().for_each(|port| fixture.set_flags(*port, flag::ISOLATED));
        for hook in [Hook::Tc, Hook::Xdp] {
            assert_eq!(fixture.run_at(hook, A, &plain(TWO, ONE)).end, End::Shot);
            assert_eq!(fixture.port_of(ONE), Some(A));
            fixture.forget(key(ONE));
        }
    });
}

#[test]
fn one_address_in_two_networks_is_two_stations() {
    Fixture::run(3, |fixture| {
        fixture.set(B, |config| (config.network, config.domain) = (2, domain_of(2).0));
        speak(fixture, A, ONE);
        speak(fixture, B, ONE);
        let ports = fixture.entries().into_iter().map(|(key, entry)| (key, entry.port));
        let expected = [(key(ONE), A.0), (FdbKey::new(domain_of(2), ONE), B.0)];
        assert_eq!(ports.collect::<Vec<_>>(), expected);
        assert_eq!(dynamic(fixture), [2, 1, 1]);
    });
}
