//! Every limit, reached: the frame goes on or is counted, nobody established suffers, and it shows.

use vswitch_common::fdb::entry_flag;
use vswitch_common::limits;
use vswitch_tests::frame;
use vswitch_tests::program::*;

/// The station says something to all by this port.
fn speak(fixture: &mut Fixture, port: PortId, mac: MacAddr) {
    fixture.tc(port, &plain(MacAddr::BROADCAST, mac));
}

/// As many stations as one likes.
fn numbered(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr::from_octets([2, 0, 0, 0xbb, high, low])
}

#[test]
fn a_full_fdb_learns_nobody_and_forgets_nobody() {
    Fixture::run(2, |fixture| {
        fixture.set_room(4);
        (0..4).for_each(|number| speak(fixture, A, station(number)));
        assert_eq!(fixture.tally().of(A).not_learned, 0);
        let before = fixture.entries();
        for hook in [Hook::Tc, Hook::Xdp] {
            let run = fixture.run_at(hook, B, &plain(station(0), station(9)));
            assert_eq!(run.end, End::Redirected, "its frames go on");
            assert_eq!(fixture.tally().of(B).not_learned, 1, "and it shows");
        }
        assert_eq!(fixture.entries(), before);
        fixture.tc(A, &plain(station(9), station(0)));
        assert_eq!(fixture.tally().senders(), [B], "what is for it is flooded");
        fixture.configure(key(station(8)), B, entry_flag::STATIC);
        speak(fixture, B, station(0));
        assert_eq!(fixture.port_of(station(0)), Some(B), "who is known may move");
        fixture.forget(key(station(1)));
        speak(fixture, B, station(9));
        assert_eq!(fixture.port_of(station(9)), Some(B), "where there is room again it is learned");
    });
}

#[test]
fn a_port_at_its_limit_learns_nobody_more_and_others_do() {
    Fixture::run(3, |fixture| {
        fixture.set(A, |config| config.mac_limit = 2);
        (0..3).for_each(|number| speak(fixture, A, station(number)));
        let frame = Tally::new().rx(A, 60).tx(B, 60).tx(C, 60).times(3);
        assert_eq!(fixture.tally(), frame.not_learned(A));
        assert_eq!((fixture.port_of(station(1)), fixture.port_of(station(2))), (Some(A), None));
        speak(fixture, B, station(2));
        speak(fixture, A, station(2));
        assert_eq!(fixture.port_of(station(2)), Some(B), "nor may anybody move there");
        assert_eq!(fixture.tally().of(A).not_learned, 1);
        speak(fixture, B, station(0));
        speak(fixture, A, station(3));
        assert_eq!(fixture.port_of(station(3)), Some(A), "one left, one may come");
    });
}

#[test]
fn the_limit_of_a_port_does_not_hold_back_configured_stations() {
    Fixture::run(3, |fixture| {
        fixture.set(A, |config| config.mac_limit = 1);
        fixture.configure(key(station(8)), A, entry_flag::STATIC);
        speak(fixture, A, station(0));
        assert_eq!(fixture.port_of(station(0)), Some(A), "a configured one takes no room");
        fixture.configure(key(station(7)), B, entry_flag::STATIC);
        fixture.tally();
        speak(fixture, A, station(7));
        assert_eq!(fixture.port_of(station(7)), Some(A), "nor when it moves");
        assert_eq!(fixture.tally().of(A).not_learned, 0);
    });
}

#[test]
fn an_entry_from_before_a_flush_is_revived_at_a_full_port() {
    Fixture::run(3, |fixture| {
        fixture.set(A, |config| config.mac_limit = 1);
        speak(fixture, A, station(0));
        fixture.set(A, |config| config.epoch += 1);
        speak(fixture, A, station(0));
        assert_eq!(fixture.entry(station(0)).expect("it was learned").epoch, 2);
        assert_eq!(fixture.tally().of(A).not_learned, 0);
    });
}

#[test]
fn notices_beyond_the_ring_are_lost_and_counted_and_learning_goes_on() {
    Fixture::run(1, |fixture| {
        let stations = 13_900;
        (0..stations).for_each(|number| speak(fixture, A, numbered(number)));
        let told = fixture.notices().len() as u64;
        assert_eq!(told + fixture.lost(), u64::from(stations));
        assert!((8_000..13_900).contains(&told), "about 13,000 fit: {told}");
        assert_eq!(fixture.bpf.dynamic_entries(A).expect("a slot"), u64::from(stations));
    });
}

/// A question for an address that nobody is known to have.
fn question() -> Vec<u8> {
    frame::arp_request((station(1), [10, 0, 0, 1].into()), [10, 0, 0, 99].into())
}

/// Runs questions by a port until the second in which they all were asked is over; so many.
fn ask_within_a_second(fixture: &mut Fixture, ports: &[PortId], each: u32) {
    for _ in 0..20 {
        ports.iter().for_each(|port| fixture.refill(*port));
        drop((fixture.tally(), fixture.punts(), fixture.lost()));
        let second = fixture.bpf.now_ns() / 1_000_000_000;
        for port in ports {
            (0..each).for_each(|_| drop(fixture.tc(*port, &question())));
        }
        if fixture.bpf.now_ns() / 1_000_000_000 == second {
            return;
        }
    }
    panic!("this machine does not run {each} programs within a second");
}

#[test]
fn a_port_has_its_share_of_the_controllers_time_and_no_more() {
    Fixture::run(2, |fixture| {
        let granted = limits::PUNTS_PER_PORT_S;
        fixture.tc(A, &question());
        ask_within_a_second(fixture, &[A], granted + 44);
        fixture.tc(B, &question());
        let counted = fixture.tally();
        assert_eq!(counted.of(A).punted, u64::from(granted));
        assert_eq!(counted.of(A).drops[DropReason::PuntLimited as usize], 44);
        assert_eq!(counted.of(B).punted, 1, "another port has its own");
        assert_eq!(counted.senders(), [], "none is flooded instead");
        assert_eq!(fixture.punts().len(), granted as usize + 1);
    });
}

#[test]
fn questions_beyond_the_ring_are_dropped_and_counted() {
    Fixture::run(16, |fixture| {
        let ports: Vec<PortId> = fixture.ports().collect();
        fixture.tc(A, &question());
        ask_within_a_second(fixture, &ports, limits::PUNTS_PER_PORT_S);
        let counted = fixture.tally();
        let sum = |of: fn(&vswitch_common::stats::PortCounters) -> u64| -> u64 {
            ports.iter().map(|port| of(&counted.of(*port))).sum()
        };
        let (punted, lost) = (sum(|c| c.punted), sum(|c| c.drops[DropReason::PuntLost as usize]));
        assert_eq!(punted + lost, 16 * u64::from(limits::PUNTS_PER_PORT_S));
        assert_eq!((fixture.punts().len() as u64, fixture.lost()), (punted, lost));
        assert!((1_500..4_096).contains(&punted), "about 3,200 fit: {punted}");
    });
}
