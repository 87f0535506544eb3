//! What is killed, and what is left of it.

use std::process::Stdio;

use super::shape::reaches;
use super::{Step, of_its_own, step};
use crate::docker::{Driver, Engine, MACHINE, OUTSIDE, World};
use crate::traffic::mirror::{Mirror, seen_by_tcp};
use crate::wait::{SOON, until};

pub(super) fn steps() -> Vec<Step> {
    vec![
        step("dockerd killed: it starts again, the same --ip works, nothing is left behind", dockerd_killed),
        step("both killed, the switch first", both_killed),
        step("power failure: containers come back with their addresses and ports", power_failure),
        step("stopped containers and removed networks leave no link, rule or address", nothing_left),
        of_its_own(
            "the switch's controller killed while ten containers start: what failed leaves nothing",
            killed_in_between,
        ),
        of_its_own(
            "the switch's controller killed: containers talk on, and it serves Docker when it is back",
            switch_killed,
        ),
    ]
}

/// Two containers, one of them published.
fn start(world: &World) {
    let always = ["--network", "net", "--restart", "always", "--ip"];
    world.engine.run("c1", &[&always[..], &["10.77.3.71", "-p", "8071:80"]].concat());
    world.engine.run("c2", &[&always[..], &["10.77.3.72"]].concat());
}

/// Both run with their addresses, reach each other, and are reached from outside.
fn check(world: &World) {
    world.engine.until_ok(&["exec", "c1", "true"], SOON * 3);
    until("c2 to be reached", SOON * 3, || {
        (world.engine.exec("c2", &["true"]).status.success() && reaches(&world.engine, "c1", "10.77.3.72"))
            .then_some(())
    });
    assert_eq!(world.engine.exec_ok("c1", &["hostname", "-i"]), "10.77.3.71");
    let inside = world.inside("c1");
    let _server = Mirror::start(&inside, 80);
    let seen = until("the published port to answer", SOON, || {
        seen_by_tcp(world.outside.namespace(), MACHINE, 8071).ok()
    });
    assert_eq!(seen, OUTSIDE);
}

/// Nothing of containers is there once they are removed.
fn check_gone(world: &World, before: &crate::docker::Left) {
    world.engine.remove(&["c1", "c2"]);
    let mut last = None;
    let gone = crate::wait::poll(SOON, || {
        let left = world.left();
        let is_same = left == *before;
        last = Some(left);
        is_same.then_some(())
    });
    assert!(gone.is_some(), "left: {last:?}, before: {before:?}");
    // And their addresses are free.
    world.engine.run("c3", &["--network", "net", "--ip", "10.77.3.71"]);
    world.engine.remove(&["c3"]);
}

fn dockerd_killed(world: &mut World) {
    let before = world.left();
    start(world);
    check(world);
    world.engine.kill9();
    world.engine.start_again();
    check(world);
    check_gone(world, &before);
}

fn both_killed(world: &mut World) {
    let before = world.left();
    start(world);
    if world.driver == Driver::Vswitch {
        world.lab.switch_mut().kill9();
    }
    world.engine.kill9();
    if world.driver == Driver::Vswitch {
        world.lab.switch_mut().start_again();
    }
    world.engine.start_again();
    check(world);
    check_gone(world, &before);
}

fn power_failure(world: &mut World) {
    let before = world.left();
    start(world);
    check(world);
    world.power_cycle();
    check(world);
    check_gone(world, &before);
}

fn nothing_left(world: &mut World) {
    let before = world.left();
    world.numbered("gone", 8, &[]);
    world.engine.run("c1", &["--network", "gone", "-p", "8072:80"]);
    world.engine.run("c2", &["--network", "gone"]);
    world.engine.remove(&["c1", "c2"]);
    world.engine.ok(&["network", "rm", "gone"]);
    until("nothing to be left", SOON, || (world.left() == before).then_some(()));
}

fn switch_killed(world: &mut World) {
    start(world);
    check(world);
    world.lab.switch_mut().kill9();
    assert!(reaches(&world.engine, "c1", "10.77.3.72"), "the data path went with its controller");
    world.lab.switch_mut().start_again();
    check(world);
    world.engine.run("c3", &["--network", "net"]);
    assert!(reaches(&world.engine, "c3", "10.77.3.71"));
}

fn killed_in_between(world: &mut World) {
    let before = world.left();
    let names: Vec<String> = (1..=10).map(|n| format!("some{n}")).collect();
    let run = |name: &String| {
        let options = ["--network", "net", "-p", "80"];
        let mut command = world.engine.command(&Engine::run_arguments(name, &options, &["sleep", "86400"]));
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("docker is installed")
    };
    let children: Vec<_> = names.iter().map(run).collect();
    until("the switch to be in the middle of it", SOON, || {
        (!world.left().held.eq(&before.held)).then_some(())
    });
    world.lab.switch_mut().kill9();
    world.lab.switch_mut().start_again();
    // Docker asks again by itself where nobody answered.
    for mut child in children {
        let _either = child.wait();
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let running = names.iter().filter(|name| world.engine.exec(name, &["true"]).status.success()).count();
    assert!(running > 0, "no container survived it");
    world.engine.remove(&names);
    until("nothing to be left of them", SOON, || (world.left() == before).then_some(()));
}
