use super::*;

const SECOND: u64 = 1_000_000_000;
const PORT: PortConfig = PortConfig {
    flags: flag::FORWARDING | flag::LEARNING,
    ageing_ns: 300 * SECOND,
    epoch: 7,
    network: 1,
    ..PortConfig::FREE
};
const A: PortId = PortId(1);
const B: PortId = PortId(2);

#[test]
fn a_key_holds_domain_and_mac_apart() {
    let key = FdbKey::new(DomainId(0xbeef), MacAddr::from_bits(0x0242_ac11_0002));
    assert_eq!(key.domain(), DomainId(0xbeef));
    assert_eq!(key.mac().bits(), 0x0242_ac11_0002);
}

#[test]
fn an_unknown_source_is_inserted() {
    assert_eq!(learn(&FdbEntry::NONE, A, &PORT, 0), Learn::Insert);
}

#[test]
fn nothing_is_learned_where_learning_is_off() {
    let silent = PortConfig { flags: flag::FORWARDING, ..PORT };
    assert_eq!(learn(&FdbEntry::NONE, A, &silent, 0), Learn::Keep);
}

#[test]
fn a_known_source_is_refreshed_twice_a_second() {
    let entry = FdbEntry::dynamic(A, &PORT, 10 * SECOND);
    let then = 10 * SECOND + SECOND / 2;
    assert_eq!(learn(&entry, A, &PORT, then), Learn::Keep);
    assert_eq!(learn(&entry, A, &PORT, then + 1), Learn::Refresh);
}

#[test]
fn a_clock_that_lags_on_another_cpu_refreshes_nothing() {
    let entry = FdbEntry::dynamic(A, &PORT, 10 * SECOND);
    assert_eq!(learn(&entry, A, &PORT, 9 * SECOND), Learn::Keep);
    assert!(is_current(&entry, &PORT, 9 * SECOND));
}

#[test]
fn a_source_heard_elsewhere_moves_unless_it_is_pinned() {
    let mut entry = FdbEntry::dynamic(A, &PORT, 0);
    assert_eq!(learn(&entry, B, &PORT, 0), Learn::Move);
    entry.flags = entry_flag::STATIC;
    assert_eq!(learn(&entry, B, &PORT, 0), Learn::Move);
    for pinned in [entry_flag::STICKY, entry_flag::LOCAL] {
        entry.flags = pinned;
        assert_eq!(learn(&entry, B, &PORT, 0), Learn::Stay);
    }
}

#[test]
fn an_entry_from_before_a_flush_is_learned_anew() {
    let entry = FdbEntry { epoch: 6, ..FdbEntry::dynamic(A, &PORT, 0) };
    assert!(!is_current(&entry, &PORT, 0));
    assert_eq!(learn(&entry, A, &PORT, 0), Learn::Move);
}

#[test]
fn a_silent_station_is_forgotten_only_after_the_ageing_time() {
    let entry = FdbEntry::dynamic(A, &PORT, 0);
    assert!(is_current(&entry, &PORT, 300 * SECOND));
    assert!(!is_current(&entry, &PORT, 300 * SECOND + 1));
    let never = PortConfig { ageing_ns: 0, ..PORT };
    assert!(is_current(&entry, &never, u64::MAX));
}

#[test]
fn permanent_entries_neither_age_nor_flush() {
    for flags in [entry_flag::STATIC, entry_flag::STICKY, entry_flag::LOCAL] {
        let entry = FdbEntry { flags, epoch: 0, ..FdbEntry::dynamic(A, &PORT, 0) };
        assert!(is_current(&entry, &PORT, u64::MAX));
    }
}

#[test]
fn a_port_that_does_not_forward_has_no_current_entries() {
    let down = PortConfig { flags: flag::LEARNING, ..PORT };
    assert!(!is_current(&FdbEntry::dynamic(A, &PORT, 0), &down, 0));
}

#[test]
fn a_configured_station_stays_where_it_is_while_its_port_is_down() {
    let down = PortConfig { flags: flag::LEARNING, ..PORT };
    let entry = FdbEntry { flags: entry_flag::STATIC, ..FdbEntry::dynamic(A, &PORT, 0) };
    assert!(is_current(&entry, &down, 0));
}
