//! Stations that flap between ports: who is pinned where, which port is quarantined, and what neither takes away from others.

use vswitch_common::event::NoticeKind;
use vswitch_common::fdb::entry_flag;
use vswitch_common::limits::QUARANTINE_FIRST_NS;
use vswitch_tests::program::*;

/// Moves that these tests put up with.
const LIMIT: u32 = 10;

/// The station says something to all by this port, at one of the hooks in turn.
fn speak(fixture: &Fixture, port: PortId, mac: MacAddr, turn: u32) -> Run {
    let hook = if turn.is_multiple_of(2) { Hook::Tc } else { Hook::Xdp };
    let run = fixture.run_at(hook, port, &plain(MacAddr::BROADCAST, mac));
    // XDP leaves floods to tc.
    if run.end == End::Passed { fixture.tc(port, &plain(MacAddr::BROADCAST, mac)) } else { run }
}

/// The station speaks by each of the ports, round and round, so many times.
fn flap(fixture: &mut Fixture, mac: MacAddr, ports: &[PortId], times: u32) {
    fixture.set_station_moves(LIMIT);
    ports.iter().cycle().zip(0..times).for_each(|(port, turn)| drop(speak(fixture, *port, mac, turn)));
}

fn quarantined(fixture: &Fixture, port: PortId) -> bool {
    fixture.bpf.quarantine(port).expect("the slot is there").is_in_force(fixture.bpf.now_ns())
}

/// Which of the ports are.
fn all_quarantined(fixture: &Fixture) -> Vec<PortId> {
    fixture.ports().filter(|port| quarantined(fixture, *port)).collect()
}

fn kinds(fixture: &mut Fixture) -> Vec<(u16, u16, u16)> {
    let quarantined = NoticeKind::Quarantined as u16;
    let notices = fixture.notices().into_iter().filter(|notice| notice.kind == quarantined);
    notices.map(|notice| (notice.kind, notice.port, notice.from)).collect()
}

#[test]
fn a_station_that_moves_up_to_the_limit_is_followed() {
    Fixture::run(3, |fixture| {
        let mac = station(0x10);
        flap(fixture, mac, &[A, B], LIMIT + 1);
        assert_eq!(all_quarantined(fixture), []);
        assert_eq!(fixture.port_of(mac), Some(A), "an even number of moves");
    });
}

#[test]
fn beyond_the_limit_the_newer_port_is_quarantined_and_the_station_pinned_to_the_older() {
    Fixture::run(4, |fixture| {
        let mac = station(0x11);
        flap(fixture, mac, &[A, B], LIMIT + 2);
        assert_eq!(all_quarantined(fixture), [B]);
        assert_eq!(fixture.port_of(mac), Some(A));
        assert_eq!(kinds(fixture), [(NoticeKind::Quarantined as u16, B.0, A.0)]);
        let quarantine = fixture.bpf.quarantine(B).expect("the slot is there");
        assert_eq!((quarantine.mac, quarantine.older, quarantine.count), (mac.bits(), A.0, 1));
        assert_eq!(quarantine.length_ns, QUARANTINE_FIRST_NS);
        assert_eq!(fixture.bpf.quarantine(PortId::NOBODY).expect("the slot is there").count, 1);
        let counts = [PortId::NOBODY, A, B].map(|slot| fixture.bpf.dynamic_entries(slot).expect("a slot"));
        assert_eq!(counts, [1, 1, 0]);
    });
}

#[test]
fn it_is_the_newer_port_too_when_the_older_one_speaks_last() {
    Fixture::run(3, |fixture| {
        let mac = station(0x12);
        fixture.set_station_moves(LIMIT - 1);
        flap(fixture, mac, &[A, B], 1);
        fixture.set_station_moves(LIMIT - 1);
        [B, A].iter().cycle().take(LIMIT as usize).for_each(|port| drop(speak(fixture, *port, mac, 0)));
        assert_eq!((all_quarantined(fixture), fixture.port_of(mac)), (vec![B], Some(A)));
    });
}

#[test]
fn a_quarantined_port_neither_takes_nor_gets_frames() {
    Fixture::run(4, |fixture| {
        let (mac, other, configured) = (station(0x13), station(0x14), station(0x15));
        speak(fixture, B, other, 0);
        fixture.configure(key(configured), B, entry_flag::STATIC);
        flap(fixture, mac, &[A, B], LIMIT + 2);
        assert_eq!(all_quarantined(fixture), [B]);
        for hook in [Hook::Tc, Hook::Xdp] {
            fixture.tally();
            assert_eq!(fixture.run_at(hook, B, &plain(mac, other)).end, End::Shot);
            assert_eq!(fixture.tally().of(B).drops[DropReason::Quarantined as usize], 1);
            assert_eq!(fixture.run_at(hook, A, &plain(configured, mac)).end, End::Shot);
            assert_eq!(fixture.tally().of(A).drops[DropReason::Quarantined as usize], 1);
        }
        fixture.tally();
        fixture.tc(A, &plain(MacAddr::BROADCAST, mac));
        assert_eq!(fixture.tally().senders(), [C, D], "no flood");
        fixture.tc(A, &plain(other, mac));
        assert_eq!(fixture.tally().senders(), [C, D], "who was behind it may be elsewhere");
    });
}

#[test]
fn of_a_loop_one_end_is_quarantined_and_the_other_may_not_speak_for_the_pinned_station() {
    Fixture::run(4, |fixture| {
        let mac = station(0x16);
        speak(fixture, C, mac, 0);
        flap(fixture, mac, &[A, B], LIMIT + 1);
        let ends = all_quarantined(fixture);
        assert_eq!(ends.len(), 1, "{ends:?}");
        assert_eq!(fixture.port_of(mac), Some(C), "at home");
        let open = if ends == [A] { B } else { A };
        for hook in [Hook::Tc, Hook::Xdp] {
            fixture.tally();
            assert_eq!(fixture.run_at(hook, open, &plain(station(1), mac)).end, End::Shot);
            assert_eq!(fixture.tally().of(open).drops[DropReason::Flapping as usize], 1);
        }
        assert_eq!(fixture.port_of(mac), Some(C));
        // Others behind that port go on.
        speak(fixture, open, station(0x17), 0);
        assert_eq!(fixture.port_of(station(0x17)), Some(open));
        // With a third end the loop goes on there: that ends it too.
        fixture.notices();
        (0..LIMIT).for_each(|turn| drop(speak(fixture, open, mac, turn)));
        assert!(quarantined(fixture, open));
    });
}

#[test]
fn a_sticky_entry_stays_and_who_speaks_for_it_too_often_is_quarantined() {
    Fixture::run(3, |fixture| {
        let mac = station(0x18);
        fixture.configure(key(mac), A, entry_flag::STATIC | entry_flag::STICKY);
        fixture.set_station_moves(LIMIT);
        (0..LIMIT).for_each(|turn| drop(speak(fixture, B, mac, turn)));
        assert_eq!(all_quarantined(fixture), []);
        speak(fixture, B, mac, 0);
        assert_eq!((all_quarantined(fixture), fixture.port_of(mac)), (vec![B], Some(A)));
    });
}

#[test]
fn a_static_entry_goes_home_as_what_it_is() {
    Fixture::run(3, |fixture| {
        let mac = station(0x19);
        fixture.configure(key(mac), A, entry_flag::STATIC);
        flap(fixture, mac, &[B, A], LIMIT + 1);
        let entry = fixture.entry(mac).expect("it was configured");
        assert_eq!((entry.port, entry.flags), (A.0, entry_flag::STATIC));
        assert_eq!(all_quarantined(fixture), [B]);
        assert_eq!(fixture.bpf.dynamic_entries(PortId::NOBODY).expect("a slot"), 0);
    });
}

#[test]
fn a_pin_does_not_outlive_the_entry() {
    Fixture::run(4, |fixture| {
        let mac = station(0x1a);
        flap(fixture, mac, &[A, B], LIMIT + 2);
        speak(fixture, C, mac, 0);
        assert_eq!(fixture.port_of(mac), Some(A), "pinned");
        fixture.set(A, |config| config.epoch += 1);
        speak(fixture, C, mac, 0);
        assert_eq!(fixture.port_of(mac), Some(C), "the older port was flushed");
    });
}

#[test]
fn without_a_limit_a_station_may_move_for_ever() {
    Fixture::run(3, |fixture| {
        let mac = station(0x1b);
        flap(fixture, mac, &[A, B], 1);
        fixture.set_station_moves(0);
        [A, B].iter().cycle().take(1_000).for_each(|port| drop(speak(fixture, *port, mac, 0)));
        assert_eq!((all_quarantined(fixture), fixture.port_of(mac)), (vec![], Some(B)));
    });
}

#[test]
fn many_stations_that_move_at_once_are_no_loop() {
    Fixture::run(3, |fixture| {
        fixture.set_station_moves(LIMIT);
        for port in [A, B, A, B] {
            for number in 0x20..=0xff {
                speak(fixture, port, station(number), 0);
            }
        }
        assert_eq!(all_quarantined(fixture), []);
        assert_eq!(fixture.port_of(station(0x80)), Some(B));
    });
}
