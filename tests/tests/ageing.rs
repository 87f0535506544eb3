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
