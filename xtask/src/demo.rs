//! `cargo xtask run --demo`: three hosts, one switch, traffic between all of them, the switch's own tables.
//!
//! It uses the binary as a user would and shows each command. The switch has a network namespace, socket, state and
//! bpffs of its own, so the machine's own network (and a vswitch that serves it) is not touched, and taking the demo
//! down is deleting those (`stage`).

mod interrupt;
mod stage;
mod traffic;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{run as run_command, shown};
use interrupt::Interrupts;
use stage::{HOSTS, Stage};

/// Plays the demo with the given `vswitch` binary. With `once` it ends by itself.
pub(crate) fn run(binary: &Path, once: bool) -> Result<()> {
    let interrupts = Interrupts::catch()?;
    let mut stage = Stage::new(binary)?;
    play(&mut stage, &interrupts)?;
    println!("\nThe demo worked: every host reaches every other one.");
    if once {
        return Ok(());
    }
    println!("Look around: {}", shown(stage.vswitch().args(["port", "show"])));
    println!("A shell on host a: nsenter --net={} bash", HOSTS[0].namespace().display());
    println!("Ctrl-C takes it all down.");
    while !interrupts.wait() {
        stage.controller_lives()?;
    }
    println!("\nTaking the demo down.");
    Ok(())
}

fn play(stage: &mut Stage, interrupts: &Interrupts) -> Result<()> {
    let go_on = || {
        if interrupts.came() { bail!("interrupted") } else { Ok(()) }
    };
    say("Three hosts, each with an ordinary veth pair: one end in the host, one at the switch");
    stage.set_up_hosts()?;
    go_on()?;
    say("A switch");
    stage.start_controller(interrupts)?;
    say("The hosts' links become its ports");
    for host in &HOSTS {
        show(stage.vswitch().args(["port", "add", &host.port()]))?;
    }
    say("Every host pings every other one");
    for (from, to) in pairs() {
        go_on()?;
        show(&mut traffic::ping(&HOSTS[from], &HOSTS[to]))?;
    }
    say("Every host sends a file to the next");
    let file = stage.file("sent");
    traffic::make_file(&file)?;
    for (from, to) in HOSTS.iter().zip(HOSTS.iter().cycle().skip(1)) {
        go_on()?;
        traffic::send_file(from, to, &file, &stage.file("received"))?;
    }
    say("What the switch says of it");
    show(stage.vswitch().args(["port", "show"]))?;
    show(stage.vswitch().args(["fdb", "show"]))?;
    stage.controller_lives()
}

/// All ordered pairs of two different hosts.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let hosts = 0..HOSTS.len();
    hosts
        .clone()
        .flat_map(move |from| hosts.clone().map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}

fn say(what: &str) {
    println!("\n# {what}");
}

/// Shows the command, then runs it.
fn show(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    run_command(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_hosts_make_six_pairs() {
        assert_eq!(pairs().collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
    }
}
