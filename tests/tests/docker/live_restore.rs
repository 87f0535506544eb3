//! `dockerd --live-restore`: the engine goes and comes while its containers run at networks of vswitch, and nobody notices.

use vswitch_tests::docker::{Driver, MACHINE, OUTSIDE, World};
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{Probe, ProbeReport};
use vswitch_tests::wait::poll;
use vswitch_tests::world::{Mirror, seen_by_tcp};

/// Probes a second.
const RATE: u32 = 1_000;

/// How the engine goes.
#[derive(Debug, Clone, Copy)]
enum End {
    Stopped,
    Killed,
}

#[test]
fn containers_of_a_live_restored_engine_go_on_and_are_its_own_again() {
    let mut world = World::new("liverestore", Driver::Vswitch, &["--live-restore"]);
    // Where probes to the outside go, behind the machine's way out.
    world.outside.namespace().ip(&[format!("addr add {}/32 dev eth0", world.outside.ipv4())]);
    world.numbered("net", 3, &[]);
    let before = world.left();
    let run = |name: &str, ip: &str, port: &str| {
        world.engine.run(name, &["--network", "net", "--ip", ip, "-p", port]);
    };
    run("c1", "10.77.3.71", "8071:80");
    run("c2", "10.77.3.72", "8072:80");
    let endpoints = |world: &World| ["c1", "c2"].map(|name| world.engine.endpoint(name, "net"));
    let at_first = endpoints(&world);
    for end in [End::Stopped, End::Killed] {
        goes_and_comes(&mut world, end);
        assert_eq!(endpoints(&world), at_first, "{end:?}: what docker inspect says of them");
    }
    uses(&world);
    let mut left = None;
    let gone = poll(SOON, || {
        left = Some(world.left());
        (left.as_ref() == Some(&before)).then_some(())
    });
    assert!(gone.is_some(), "left: {left:#?}, before: {before:#?}");
    assert!(!world.lab.switch().log().contains("panicked"));
}

/// The engine ends, and starts again, under traffic that goes on all the time.
fn goes_and_comes(world: &mut World, end: End) {
    let [c1, c2] = ["c1", "c2"].map(|name| world.engine.host(name, "net"));
    let _server = Mirror::start(c1.namespace(), 80);
    let probes = [Probe::start(&c1, &c2, RATE), Probe::start(&c1, &world.outside, RATE)];
    match end {
        End::Stopped => world.engine.stop(),
        End::Killed => world.engine.kill9(),
    }
    // Longer than the switch waits for a link that has gone.
    probes[0].cover(u64::from(RATE) * 5 / 2);
    let seen = seen_by_tcp(world.outside.namespace(), MACHINE, 8071);
    assert_eq!(seen.expect("a published port, without an engine"), OUTSIDE);
    world.engine.start_again();
    probes[0].cover(u64::from(RATE));
    let seen = seen_by_tcp(world.outside.namespace(), MACHINE, 8071);
    assert_eq!(seen.expect("a published port, with the engine again"), OUTSIDE);
    let reports: Vec<ProbeReport> = probes.into_iter().map(Probe::finish).collect();
    eprintln!(
        "{end:?}: {:?}",
        reports.iter().map(|r| (r.sent, r.lost.len(), r.longest_gap)).collect::<Vec<_>>()
    );
    reports.iter().for_each(ProbeReport::assert_no_loss);
}

/// All that people do with containers, with those that outlived their engine; removes everything.
fn uses(world: &World) {
    let engine = &world.engine;
    engine.exec_ok("c1", &["ping", "-c1", "-W5", "c2"]);
    // Addresses are still theirs.
    let options = ["--network", "net", "--ip", "10.77.3.72"];
    let refusal = engine.refused(&vswitch_tests::docker::Engine::run_arguments("late", &options, &["true"]));
    assert!(refusal.contains("in use"), "{refusal}");
    engine.ok(&["rm", "--force", "late"]);
    engine.run("c3", &["--network", "net", "-p", "8073:80"]);
    engine.exec_ok("c3", &["ping", "-c1", "-W5", "c1"]);
    engine.ok(&["network", "disconnect", "net", "c2"]);
    let links = engine.exec_ok("c2", &["ls", "/sys/class/net"]);
    assert_eq!(links, "lo", "c2 is at no network any more");
    engine.ok(&["network", "connect", "--ip", "10.77.3.72", "net", "c2"]);
    engine.exec_ok("c2", &["ping", "-c1", "-W5", "c1"]);
    engine.ok(&["restart", "c1"]);
    engine.exec_ok("c1", &["ping", "-c1", "-W5", "c2"]);
    engine.remove(&["c1", "c2", "c3"]);
}
