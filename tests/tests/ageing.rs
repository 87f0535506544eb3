//! Ageing: who has been silent for too long is unknown again, and only what a station itself says keeps it known.

use std::thread::sleep;
use std::time::Instant;

use vswitch_tests::prelude::*;

/// Ageing time of the tests.
const AGE: Duration = Duration::from_secs(3);

/// The switch writes last-seen at most once a second, and its clock ticks every few milliseconds.
const SLACK: Duration = Duration::from_millis(1100);

/// Three stations in a network that forgets after [`AGE`].
fn forgetful(lab: &mut Lab) -> Stations {
    lab.switch().ok(&["network", "create", "forgetful", "--ageing", "3"]);
    Stations::connect(lab, vec![PortOptions::network("forgetful"); 3])
}

fn knows(lab: &Lab, mac: MacAddr) -> bool {
    lab.switch().fdb_show(&[]).iter().any(|entry| entry.mac == mac)
}

/// Waits until `time` after `start`.
fn wait_until(start: Instant, time: Duration) {
    sleep(time.saturating_sub(start.elapsed()));
}

each_hook!(vswitch a_silent_station_is_unknown_after_the_ageing_time, |lab| {
    let s = forgetful(&mut lab);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    let spoke = Instant::now();
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    wait_until(spoke, AGE / 2);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    assert!(knows(&lab, s.mac(0)));
    // Traffic to it has not kept it.
    wait_until(spoke, AGE + Duration::from_millis(100));
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0, 2]);
    assert!(!knows(&lab, s.mac(0)));
});

each_hook!(vswitch a_station_that_speaks_stays_known, |lab| {
    let s = forgetful(&mut lab);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    s.expect_unchanged(1, &s.broadcast(1), &[0, 2]);
    let start = Instant::now();
    while start.elapsed() < AGE * 2 {
        s.expect_unchanged(0, &s.frame(0, s.mac(1)), &[1]);
        s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
        sleep(AGE / 10);
    }
    sleep(AGE / 5);
    s.expect_unchanged(2, &s.frame(2, s.mac(0)), &[0]);
});

each_hook!(vswitch nobody_is_forgotten_without_ageing, |lab| {
    let s = forgetful(&mut lab);
    lab.switch().ok(&["network", "set", "forgetful", "--ageing", "0"]);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    sleep(AGE + SLACK);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    assert!(knows(&lab, s.mac(0)));
});

each_hook!(vswitch another_ageing_time_counts_at_once, |lab| {
    let s = forgetful(&mut lab);
    lab.switch().ok(&["network", "set", "forgetful", "--ageing", "300"]);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    sleep(Duration::from_millis(1200));
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    lab.switch().ok(&["network", "set", "forgetful", "--ageing", "1"]);
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0, 2]);
});

each_hook!(vswitch a_configured_station_does_not_age, |lab| {
    let s = forgetful(&mut lab);
    let (fixed, sticky) = (MacAddr::from_octets([2, 0, 0, 0, 1, 1]), MacAddr::from_octets([2, 0, 0, 0, 1, 2]));
    lab.switch().ok(&["fdb", "add", &fixed.to_string(), s.port(0)]);
    lab.switch().ok(&["fdb", "add", &sticky.to_string(), s.port(2), "--sticky"]);
    sleep(AGE + SLACK);
    s.expect_unchanged(1, &s.frame(1, fixed), &[0]);
    s.expect_unchanged(1, &s.frame(1, sticky), &[2]);
});

#[test]
fn a_network_forgets_after_five_minutes_if_nothing_is_said() {
    let Some(lab) = Hooks::Tc.vswitch_lab("the default ageing time") else { return };
    lab.switch().ok(&["network", "create", "plain"]);
    let networks = lab.switch().json::<Vec<vswitch::api::types::Network>>(&["network", "ls"]);
    assert!(networks.iter().all(|network| network.ageing == 300), "{networks:?}");
    assert_eq!(networks.len(), 2);
}

/// Entries that the sweep looks at in a tick of a second.
const A_TICK: u64 = 16_384;

/// More entries than three ticks sweep.
const CROWD: u32 = 52_000;

each_hook!(vswitch a_sweep_is_done_in_parts_and_holds_up_nothing, |lab| {
    let s = forgetful(&mut lab);
    let numbers: Vec<u32> = (0..CROWD).collect();
    let from = |number: &u32| {
        let [a, b, c, d] = number.to_be_bytes();
        frame::marked(s.mac(0), MacAddr::from_octets([6, 1, a, b, c, d]), u64::from(*number) + 1_000_000)
    };
    lab.switch().ok(&["network", "set", "forgetful", "--ageing", "300"]);
    for batch in numbers.chunks(1000) {
        s.host(0).inject_all(&batch.iter().map(from).collect::<Vec<_>>());
    }
    let entries = || lab.switch().status().fdb.entries;
    let most = entries();
    assert!(most > u64::from(CROWD) * 9 / 10, "{most} entries");
    sleep(SLACK);
    lab.switch().ok(&["network", "set", "forgetful", "--ageing", "1"]);
    // All are unknown at once, and in the table for as long as the sweep takes.
    s.expect_unchanged(1, &s.frame(1, MacAddr::from_octets([6, 1, 0, 0, 0, 5])), &[0, 2]);
    let (start, mut before) = (Instant::now(), (Instant::now(), most));
    while before.1 >= 10 {
        assert!(start.elapsed() < Duration::from_secs(30), "{} of {most} entries are left", before.1);
        let (asked, left) = (Instant::now(), entries());
        // Ticks are a second apart: what lies closer together has seen one of them at most.
        let gone = before.1.saturating_sub(left);
        let is_close = before.0.elapsed() < Duration::from_millis(900);
        assert!(!is_close || gone <= A_TICK, "{gone} of {most} entries went in one tick");
        before = (asked, left);
    }
});

#[test]
fn forgetting_goes_on_without_a_controller() {
    let Some(mut lab) = Hooks::Mixed.vswitch_lab("ageing without a controller") else { return };
    let s = forgetful(&mut lab);
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    lab.switch_mut().kill9();
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0]);
    sleep(AGE + Duration::from_millis(100));
    s.expect_unchanged(1, &s.frame(1, s.mac(0)), &[0, 2]);
}

#[test]
fn a_forgotten_station_is_an_event() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("ageing events") else { return };
    let s = forgetful(&mut lab);
    let log = lab.log_path("monitor");
    let socket = lab.switch().socket().display().to_string();
    let mut command = lab.switch_ns().command(vswitch_tests::switch::binary());
    let monitor = vswitch_tests::process::Process::start(
        command.args(["--socket", &socket, "--json", "monitor"]),
        &log,
    );
    sleep(Duration::from_millis(500));
    s.expect_unchanged(0, &s.broadcast(0), &[1, 2]);
    let of = |event: &str| {
        let text = monitor.output();
        text.lines()
            .any(|line| line.contains(&format!("\"{event}\"")) && line.contains(&s.mac(0).to_string()))
    };
    until("the station to be learned", SOON, || of("learned").then_some(()));
    until("the station to age", SOON, || of("aged").then_some(()));
    monitor.signal(nix::sys::signal::Signal::SIGTERM);
}
