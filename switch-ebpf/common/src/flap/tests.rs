use super::*;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 3_600 * SECOND;
const A: PortId = PortId(1);
const B: PortId = PortId(2);
const MAC: MacAddr = MacAddr::from_bits(2);

/// Quarantines at these times, in seconds after the start: how long each lasts.
fn lengths(seconds: &[u64]) -> [u64; 4] {
    let mut quarantine = Quarantine::NONE;
    let mut lengths = [0; 4];
    for (length, at) in lengths.iter_mut().zip(seconds) {
        quarantine.begin(MAC, A, B, START + at * SECOND);
        *length = quarantine.length_ns / SECOND;
    }
    lengths
}

/// From A to B and back, so many times, with this time between two moves.
fn moves(times: u64, apart_ns: u64) -> Moves {
    let mut moves = Moves::first(A, START);
    for turn in 1..times {
        moves.note(if turn % 2 == 0 { A } else { B }, START + turn * apart_ns);
    }
    moves
}

#[test]
fn home_is_where_the_station_was_before_it_began_to_move() {
    let moves = moves(100, 1);
    assert_eq!((moves.home, moves.count), (A.0, 100));
}

#[test]
fn a_station_that_came_to_rest_has_a_new_home_and_a_count_of_its_own() {
    let moves = moves(2, MOVES_WINDOW_NS + 1);
    assert_eq!((moves.home, moves.count), (B.0, 1));
}

#[test]
fn a_station_that_moves_slowly_for_ever_keeps_its_home_and_never_reaches_a_limit() {
    for times in 1..100 {
        let moves = moves(times, SECOND);
        assert!(moves.count <= 11 && moves.home == A.0, "{moves:?}");
    }
}

#[test]
fn a_pin_holds_at_the_home_alone_and_ends() {
    let mut moves = Moves::first(A, START);
    moves.pin(A, START + SECOND, START);
    assert!(moves.is_pinned_to(A, START));
    assert!(!moves.is_pinned_to(B, START));
    assert!(!moves.is_pinned_to(A, START + SECOND));
    assert_eq!(moves.count, 0);
}

#[test]
fn a_quarantine_doubles_with_each_relapse_up_to_the_limit() {
    assert_eq!(lengths(&[0, 1, 3, 7]), [1, 2, 4, 8]);
    let mut quarantine = Quarantine::NONE;
    for _ in 0..20 {
        quarantine.begin(MAC, A, B, quarantine.until_ns.max(START));
    }
    assert_eq!(quarantine.length_ns, QUARANTINE_MOST_NS);
    assert_eq!(quarantine.count, 20);
}

#[test]
fn a_port_that_was_quiet_for_long_begins_anew() {
    let memory = QUARANTINE_MEMORY_NS / SECOND;
    assert_eq!(lengths(&[0, 1, 3 + memory, 8 + 2 * memory]), [1, 2, 4, 1]);
}

#[test]
fn a_quarantine_is_in_force_until_its_end() {
    assert!(!Quarantine::NONE.is_in_force(0));
    let mut quarantine = Quarantine::NONE;
    quarantine.begin(MAC, A, B, START);
    assert!(quarantine.is_in_force(START + SECOND - 1) && !quarantine.is_in_force(START + SECOND));
}
