//! Storm control: how many flooded frames of a kind a port may send, and that nothing else is held back with them.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Instant;

use vswitch_tests::prelude::*;

const NOBODY: MacAddr = MacAddr::from_octets([2, 0, 0, 0, 0xde, 0xad]);
const GROUP: MacAddr = MacAddr::from_octets([1, 0, 0x5e, 1, 2, 3]);

/// How long a storm blows.
const STORM: Duration = Duration::from_secs(3);

/// Limit of the tests, frames a second; a storm is some ten times as much.
const RATE: u64 = 200;

/// Sends the frame ten times the limit for [`STORM`]; returns how many were sent and for how long.
fn blow(from: &Host, frame: &[u8]) -> (u64, Duration) {
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < STORM {
        let due = start.elapsed().as_millis() as u64 * RATE / 100;
        let batch = vec![frame; usize::try_from(due.saturating_sub(sent)).expect("a few frames")];
        from.inject_all(&batch);
        sent += batch.len() as u64;
        sleep(Duration::from_millis(5));
    }
    (sent, start.elapsed())
}

/// Within a fifth of the limit.
#[track_caller]
fn assert_limited(received: usize, lasted: Duration) {
    let fair = RATE as f64 * lasted.as_secs_f64();
    let off = received as f64 / fair;
    assert!((0.8..=1.2).contains(&off), "{received} frames in {lasted:?} instead of some {fair}");
}

fn limited(kind: &str) -> PortOptions {
    PortOptions::default().with(&["--storm", &format!("{kind}={RATE}")])
}

/// A storm of one kind is held to the limit, counted, and neither other kinds nor unicast nor other ports notice.
fn holds(mut lab: Lab, kind: &str, to: MacAddr, others: &[MacAddr]) {
    let s = Stations::connect(&mut lab, vec![limited(kind), PortOptions::default(), PortOptions::default()]);
    s.expect_unchanged(1, &s.broadcast(1), &[0, 2]);
    let storm = s.frame(0, to);
    let mark = frame::mark_of(&storm).expect("it has one");
    let known = frame::marked(s.mac(1), s.mac(0), 1_000_000);
    let passing: Vec<Vec<u8>> = others.iter().map(|other| s.frame(0, *other)).collect();
    let theirs = s.frame(2, to);
    let (sent, lasted) = std::thread::scope(|scope| {
        let blowing = scope.spawn(|| blow(s.host(0), &storm));
        for _ in 0..100 {
            s.host(0).inject(&known);
            passing.iter().for_each(|frame| s.host(0).inject(frame));
            s.host(2).inject(&theirs);
            sleep(Duration::from_millis(20));
        }
        blowing.join().expect("the storm blows over")
    });
    let limited = s.heard(1).received(frame::has_mark(mark)).len();
    assert_limited(limited, lasted);
    assert_eq!(s.heard(2).received(frame::has_mark(mark)).len(), limited);
    for frame in passing.iter().chain([&known, &theirs]) {
        let mark = frame::mark_of(frame).expect("it has one");
        let came = s.heard(1).received(frame::has_mark(mark)).len();
        assert_eq!(came, 100, "{} was held back", frame::describe(frame));
    }
    let drops = lab.switch().counters(s.port(0)).drops;
    assert_eq!(drops.get(&format!("storm-{kind}")), Some(&(sent - limited as u64)), "{drops:?}");
    assert_eq!(drops.len(), 1, "{drops:?}");
    assert!(lab.switch().counters(s.port(2)).drops.is_empty());
}

each_hook!(vswitch broadcasts_are_held_to_their_limit, |lab| {
    holds(lab, "broadcast", MacAddr::BROADCAST, &[GROUP, NOBODY]);
});

each_hook!(vswitch multicasts_are_held_to_their_limit, |lab| {
    holds(lab, "multicast", GROUP, &[MacAddr::BROADCAST, NOBODY]);
});

each_hook!(vswitch unknown_unicast_is_held_to_its_limit, |lab| {
    holds(lab, "unknown", NOBODY, &[MacAddr::BROADCAST, GROUP]);
});

each_hook!(vswitch limits_come_and_go_live, |lab| {
    let s = Stations::connect(&mut lab, vec![PortOptions::default(), PortOptions::default()]);
    let set = |limit: &str| drop(lab.switch().ok(&["port", "set", s.port(0), "--storm", limit]));
    let pass = |count: usize| {
        let frame = s.broadcast(0);
        s.host(0).inject_all(&vec![&frame; count]);
        let mark = frame::mark_of(&frame).expect("it has one");
        sleep(Duration::from_millis(300));
        s.heard(1).received(frame::has_mark(mark)).len()
    };
    assert_eq!(pass(200), 200);
    set("broadcast=10");
    let few = pass(200);
    assert!((1..=20).contains(&few), "{few} of 200 with a limit of 10 a second");
    assert_eq!(lab.switch().port_show(s.port(0)).storm.values().copied().collect::<Vec<_>>(), [10]);
    set("broadcast=0");
    assert_eq!(pass(200), 200);
    assert!(lab.switch().port_show(s.port(0)).storm.is_empty());
});

each_hook!(vswitch a_quiet_port_may_send_a_burst_of_a_tenth_of_a_second, |lab| {
    let options = PortOptions::default().with(&["--storm", "broadcast=1000"]);
    let s = Stations::connect(&mut lab, vec![options, PortOptions::default()]);
    for _ in 0..2 {
        let burst = s.broadcast(0);
        let mark = frame::mark_of(&burst).expect("it has one");
        let start = Instant::now();
        s.host(0).inject_all(&[&burst; 250]);
        let lasted = start.elapsed().as_millis() as usize;
        sleep(Duration::from_millis(300));
        let passed = s.heard(1).received(frame::has_mark(mark)).len();
        // A frame a millisecond goes on top of the burst, while it lasts.
        assert!((100..=105 + lasted).contains(&passed), "{passed} of 250 passed in {lasted} ms");
    }
});

each_hook!(vswitch a_burst_may_be_said_with_the_rate, |lab| {
    let options = PortOptions::default().with(&["--storm", "broadcast=10:40"]);
    let s = Stations::connect(&mut lab, vec![options, PortOptions::default()]);
    assert_eq!(lab.switch().port_show(s.port(0)).storm_burst.values().copied().collect::<Vec<_>>(), [40]);
    let passed = |count: usize| {
        let burst = s.broadcast(0);
        s.host(0).inject_all(&vec![&burst; count]);
        sleep(Duration::from_millis(300));
        let mark = frame::mark_of(&burst).expect("it has one");
        s.heard(1).received(frame::has_mark(mark)).len()
    };
    let all = passed(100);
    assert!((40..=50).contains(&all), "{all} of 100 passed");
    // Another rate without a burst leaves it to the rate again; a burst needs its rate, and both have bounds.
    lab.switch().ok(&["port", "set", s.port(0), "--storm", "broadcast=10"]);
    assert!(lab.switch().port_show(s.port(0)).storm_burst.is_empty());
    for wrong in ["broadcast=0:5", "broadcast=5:0", "broadcast=5:10000001"] {
        let refused = lab.switch().cli(&["port", "set", s.port(0), "--storm", wrong, "--json"]);
        let said = String::from_utf8_lossy(&refused.stdout).into_owned();
        assert!(refused.status.code() == Some(1) && said.contains("invalid-argument"), "{wrong}: {said}");
    }
});

each_hook!(vswitch questions_for_nobody_count_as_broadcasts, |lab| {
    let options = PortOptions::default().with(&["--storm", "broadcast=10"]);
    let s = Stations::connect(&mut lab, vec![options, PortOptions::default()]);
    let asker = (s.mac(0), Ipv4Addr::new(10, 77, 0, 1));
    let questions: Vec<_> =
        (0..200).map(|n| frame::arp_request(asker, Ipv4Addr::new(10, 77, 9, n))).collect();
    s.host(0).inject_all(&questions);
    sleep(Duration::from_millis(500));
    let heard = s.heard(1).received(|frame| frame::arp_of(frame).is_some()).len();
    assert!((1..=20).contains(&heard), "{heard} of 200 with a limit of 10 a second");
});
