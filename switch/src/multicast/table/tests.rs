use super::*;

const MINE: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
const A: PortId = PortId(1);
const B: PortId = PortId(2);

fn settings(mode: MulticastMode, is_querier: bool) -> Settings {
    Settings { mode, is_querier, interval_s: 125, response_s: 10, link_local: MINE }
}

const fn s(seconds: u64) -> u64 {
    seconds * SECOND_NS
}

fn group(last: u8) -> Group {
    Group::new(Family::V4, &[239, 0, 0, last]).expect("a group")
}

fn numbered(number: usize) -> Group {
    Group::new(Family::V4, &[239, 1, (number / 256) as u8, (number % 256) as u8]).expect("a group")
}

fn joins(group: Group) -> Change {
    Change { group, joins: true }
}

fn leaves(group: Group) -> Change {
    Change { group, joins: false }
}

/// A general query of an address that ends so; 0 is no address.
fn query(last: u8) -> Query {
    let mut source = [0; 16];
    if last != 0 {
        source = MINE;
        source[15] = last;
    }
    Query { source, group: None, max_response_ms: 10_000, robustness: 2, interval_s: 60 }
}

/// A table of which A has joined group 1.
fn joined(family: Family, settings: &Settings, now_ns: u64) -> Table {
    let mut table = Table::new(family);
    table.tick(settings, now_ns);
    table.hear_change(A, joins(group(1)), 100, settings, now_ns).expect("there is room");
    table
}

fn members(table: &Table) -> Vec<PortId> {
    table.groups().flat_map(|(_, members)| members.keys().copied()).collect()
}

#[test]
fn without_a_querier_nothing_is_pruned_and_members_age_all_the_same() {
    let settings = settings(MulticastMode::Auto, false);
    let mut table = joined(Family::V4, &settings, s(0));
    assert!(!table.is_ruled(&settings, s(1)) && !table.prunes(&settings, s(100)));
    assert!(table.tick(&settings, s(259)).is_empty());
    assert_eq!(members(&table), [A]);
    table.tick(&settings, s(260));
    assert!(members(&table).is_empty() && table.is_idle());
}

#[test]
fn a_querier_that_is_heard_rules_at_once_and_prunes_when_hosts_have_answered() {
    let settings = settings(MulticastMode::Auto, false);
    let mut table = joined(Family::V4, &settings, s(0));
    table.hear_query(B, &query(9), &settings, s(5));
    assert!(table.is_ruled(&settings, s(5)) && !table.prunes(&settings, s(14)));
    assert!(table.prunes(&settings, s(15)));
    assert_eq!(table.ports_of(group(1)), Some(BTreeSet::from([A, B])));
    assert_eq!((table.ports_of(group(2)), table.routers()), (None, BTreeSet::from([B])));
    // Twice its interval and half the time to the answers later it has gone.
    table.tick(&settings, s(129));
    assert!(table.prunes(&settings, s(129)));
    table.tick(&settings, s(130));
    assert!(!table.is_ruled(&settings, s(130)) && table.routers().is_empty());
}

#[test]
fn vswitch_asks_at_first_in_quick_succession() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = Table::new(Family::V4);
    let asked: Vec<u64> =
        (0..300).filter(|second| table.tick(&settings, s(*second)).contains(&None)).collect();
    assert_eq!(asked, [0, 32, 157, 282]);
    assert!(!table.prunes(&settings, s(9)) || table.prunes(&settings, s(10)));
    table.ask_soon(s(300));
    assert_eq!(table.tick(&settings, s(300)), [None]);
}

#[test]
fn the_lower_address_asks_and_one_without_makes_nobody_silent() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = Table::new(Family::V6);
    table.hear_query(B, &query(6), &settings, s(0));
    assert!(table.asks(&settings, s(1)), "a higher address");
    table.hear_query(A, &query(4), &settings, s(1));
    assert!(!table.asks(&settings, s(2)));
    assert_eq!(table.querier(s(2)).map(|querier| querier.port), Some(A));
    table.hear_query(B, &query(6), &settings, s(2));
    assert_eq!(table.querier(s(3)).map(|querier| querier.port), Some(A), "the elected one stays");
    assert!(table.tick(&settings, s(50)).is_empty());
    // It falls silent: vswitch asks at once, and prunes nothing until it has been answered.
    assert_eq!(table.tick(&settings, s(126)), [None]);
    assert!(!table.prunes(&settings, s(135)) && table.prunes(&settings, s(136)));
    let mut table = Table::new(Family::V4);
    table.hear_query(B, &query(0), &settings, s(0));
    assert!(table.asks(&settings, s(1)), "no address");
    table.hear_query(B, &query(200), &settings, s(1));
    assert!(!table.asks(&settings, s(2)), "any address is lower than none of vswitch's own");
}

#[test]
fn who_leaves_is_asked_about_and_stays_until_nobody_answers() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = joined(Family::V4, &settings, s(0));
    let asked = table.hear_change(A, leaves(group(1)), 100, &settings, s(5));
    assert_eq!(asked, Ok(Some(Some(group(1)))));
    assert_eq!(table.hear_change(A, leaves(group(1)), 100, &settings, s(5)), Ok(None), "asked already");
    assert_eq!(table.hear_change(B, leaves(group(1)), 100, &settings, s(5)), Ok(None), "no member");
    assert_eq!(table.tick(&settings, s(6)), [Some(group(1))]);
    assert_eq!(members(&table), [A]);
    table.tick(&settings, s(7));
    assert!(members(&table).is_empty());
    // Somebody else behind the port answers.
    table.hear_change(A, joins(group(1)), 100, &settings, s(10)).expect("there is room");
    let _asked = table.hear_change(A, leaves(group(1)), 100, &settings, s(20));
    table.hear_change(A, joins(group(1)), 100, &settings, s(21)).expect("there is room");
    table.tick(&settings, s(30));
    assert_eq!(members(&table), [A]);
}

#[test]
fn leaving_again_and_again_does_not_flood_queries() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = Table::new(Family::V4);
    table.tick(&settings, s(0));
    for number in 0..MULTICAST_GROUPS_PER_PORT {
        table.hear_change(A, joins(numbered(number)), 1_000, &settings, s(0)).expect("there is room");
    }
    let asked = (0..MULTICAST_GROUPS_PER_PORT)
        .filter(|number| table.hear_change(A, leaves(numbered(*number)), 1_000, &settings, s(1)) != Ok(None));
    assert_eq!(asked.count(), LEAVES_A_TICK);
}

#[test]
fn another_querier_asks_about_those_who_leave() {
    let settings = settings(MulticastMode::Auto, false);
    let mut table = joined(Family::V4, &settings, s(0));
    table.hear_query(B, &query(9), &settings, s(0));
    assert_eq!(table.hear_change(A, leaves(group(1)), 100, &settings, s(20)), Ok(None));
    let about = Query { group: Some(group(1)), max_response_ms: 1_000, ..query(9) };
    table.hear_query(B, &about, &settings, s(21));
    table.tick(&settings, s(22));
    assert_eq!(members(&table), [A]);
    table.tick(&settings, s(23));
    assert!(members(&table).is_empty());
}

#[test]
fn always_on_keeps_members_while_nobody_asks() {
    let settings = settings(MulticastMode::On, false);
    let mut table = joined(Family::V4, &settings, s(0));
    assert!(table.is_ruled(&settings, s(0)) && table.prunes(&settings, s(10)));
    table.tick(&settings, s(100_000));
    assert_eq!(members(&table), [A]);
    // A querier comes, and goes: meanwhile members age.
    table.hear_query(B, &query(9), &settings, s(100_000));
    assert_eq!(table.groups().next().and_then(|(_, members)| members.get(&A).copied()), Some(s(100_130)));
    table.tick(&settings, s(100_125));
    table.tick(&settings, s(200_000));
    assert_eq!(members(&table), [A]);
    let _asked = table.hear_change(A, leaves(group(1)), 100, &settings, s(200_000));
    table.tick(&settings, s(200_002));
    assert!(members(&table).is_empty());
}

#[test]
fn a_port_with_too_many_groups_gets_them_all() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = Table::new(Family::V4);
    table.tick(&settings, s(0));
    for number in 0..MULTICAST_GROUPS_PER_PORT {
        table.hear_change(A, joins(numbered(number)), 1_000, &settings, s(0)).expect("there is room");
    }
    let beyond = table.hear_change(A, joins(group(1)), 1_000, &settings, s(0));
    assert_eq!((beyond, table.routers()), (Err(Limit::GroupsOfPort), BTreeSet::from([A])));
    table.hear_change(B, joins(group(1)), 1_000, &settings, s(0)).expect("others are not concerned");
    assert_eq!(table.members(), MULTICAST_GROUPS_PER_PORT + 1);
}

#[test]
fn without_room_for_members_multicast_floods() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = joined(Family::V4, &settings, s(0));
    table.tick(&settings, s(11));
    assert!(table.prunes(&settings, s(11)));
    assert_eq!(table.hear_change(B, joins(group(2)), 1, &settings, s(12)), Err(Limit::Members));
    assert!(!table.prunes(&settings, s(12)) && table.is_ruled(&settings, s(12)));
    assert!(table.prunes(&settings, s(12 + 260)));
}

#[test]
fn a_port_takes_what_is_known_of_it_along() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = joined(Family::V4, &settings, s(0));
    table.hear_router(A, &settings, s(0));
    table.hear_query(A, &query(9), &settings, s(0));
    assert!(table.forget_port(A) && !table.forget_port(A));
    assert!(table.is_idle() && table.members() == 0);
}

#[test]
fn what_changed_is_told_once() {
    let settings = settings(MulticastMode::Auto, true);
    let mut table = joined(Family::V4, &settings, s(0));
    let all = Some(BTreeSet::from([group(1)]));
    assert_eq!(table.take_changed(true, false), all, "the first time");
    assert_eq!(table.take_changed(true, false), None);
    assert_eq!(table.take_changed(true, true), all, "pruning begins");
    table.hear_change(B, joins(group(2)), 100, &settings, s(1)).expect("there is room");
    assert_eq!(table.take_changed(true, true), Some(BTreeSet::from([group(2)])));
    table.hear_router(B, &settings, s(1));
    assert_eq!(table.take_changed(true, true), Some(BTreeSet::from([group(1), group(2)])));
    table.hear_router(B, &settings, s(2));
    assert_eq!(table.take_changed(true, true), None);
}
