//! Docker's chain for others: `--docker-user` says whether one jump is written there, or nothing at all.

use vswitch::api::types::{DockerUser, DockerUserChain};
use vswitch_tests::docker::{Driver, MACHINE, OUTSIDE, World};
use vswitch_tests::prelude::*;
use vswitch_tests::world::{Mirror, assert_seen, assert_unreachable};

/// The host's rules, octet for octet but for counters, times and our own table: those of nftables, and both of iptables.
fn rules(world: &World) -> [String; 3] {
    let ns = world.lab.switch_ns();
    let nft = ns.output("nft", &["--stateless", "list", "ruleset"]);
    let mut is_ours = false;
    let nft = nft.lines().filter(|line| {
        is_ours |= line.starts_with("table inet vswitch");
        let is_other = !is_ours;
        is_ours &= *line != "}";
        is_other
    });
    let saved = ["iptables-save", "ip6tables-save"].map(|program| {
        let text = ns.output(program, &[]);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        // Policies have counters.
        lines.map(|line| line.split(" [").next().unwrap_or_default().to_owned() + "\n").collect::<String>()
    });
    let [v4, v6] = saved;
    [nft.map(|line| line.to_owned() + "\n").collect(), v4, v6]
}

/// Lines that `after` has and `before` has not; nothing else may be different.
#[track_caller]
fn added<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
    let mut old = before.lines().peekable();
    let new = after.lines().filter(|line| old.next_if_eq(line).is_none()).collect();
    assert_eq!(old.next(), None, "went or moved:\n{before}\n{after}");
    new
}

fn restart(world: &mut World, choice: &str) {
    let socket = world.engine.socket().display().to_string();
    world.lab.switch_mut().restart_with(&["--docker-engine", &socket, "--docker-user", choice]);
}

/// A network with a container that is published.
fn serve(world: &World) {
    world.numbered("net", 3, &[]);
    world.engine.run("web", &["--network", "net", "-p", "8080:80", "-p", "8080:80/udp"]);
}

fn remove(world: &World) {
    world.engine.remove(&["web"]);
    world.engine.ok(&["network", "rm", "net"]);
}

#[test]
fn the_jump_into_docker_user_is_the_operators_choice() {
    let mut world = World::new("userchain", Driver::Vswitch, &[]);
    restart(&mut world, "leave");
    let before = rules(&world);
    assert!(before[1].contains(":FORWARD DROP") && before[1].contains(":DOCKER-USER"), "{}", before[1]);
    left_alone(&world, &before);
    assert_eq!(rules(&world), before, "after all was removed");

    restart(&mut world, "jump");
    let chain = jumped(&world, &before);
    // Another mind, while the network is there.
    restart(&mut world, "leave");
    assert_eq!(rules(&world), before, "the jump of before has gone");
    assert!(!world.lab.switch().status().warnings.is_empty());
    restart(&mut world, "jump");
    until("the jump to be back", SOON, || rules(&world)[1].contains(&format!("-j {chain}\n")).then_some(()));
    remove(&world);
    assert_eq!(rules(&world), before, "after all was removed");
    let docker = world.lab.switch().status().docker_user.expect("it is said");
    assert!(!docker.needed && docker.choice == DockerUser::Jump, "{docker:?}");
}

/// Nothing but our own table is written; what drops is said with what helps, and that helps.
fn left_alone(world: &World, before: &[String; 3]) {
    serve(world);
    let web = world.inside("web");
    let (_at_web, _outside) = (Mirror::start(&web, 80), Mirror::start(world.outside.namespace(), 7001));
    assert_eq!(rules(world), *before, "with a container");
    assert_unreachable(&web, OUTSIDE, 7001);
    let switch = world.lab.switch();
    let warnings = switch.status().warnings;
    let warning = warnings.iter().find(|line| line.contains("DOCKER-USER")).expect("a warning");
    assert!(switch.log().contains(warning.as_str()), "{}", switch.log());
    let docker = switch.status().docker_user.expect("it is said");
    assert!(docker.needed && docker.choice == DockerUser::Leave, "{docker:?}");
    assert!(switch.ok(&["status"]).contains("docker-user  left alone"), "{}", switch.ok(&["status"]));
    // What it says to type, and the same taken back.
    let remedy = warning.split('`').nth(1).expect("a command");
    world.lab.switch_ns().output("sh", &["-c", remedy]);
    assert_seen(&web, OUTSIDE, 7001, MACHINE);
    assert_seen(world.outside.namespace(), MACHINE, 8080, OUTSIDE);
    until("the warning to go", SOON, || switch.status().warnings.is_empty().then_some(()));
    world.lab.switch_ns().output("sh", &["-c", &remedy.replace(" -I ", " -D ")]);
    remove(world);
}

/// One jump and one chain of ours are there, and nothing else; the chain's name.
fn jumped(world: &World, before: &[String; 3]) -> String {
    serve(world);
    let web = world.inside("web");
    let (_at_web, _outside) = (Mirror::start(&web, 80), Mirror::start(world.outside.namespace(), 7001));
    assert_seen(&web, OUTSIDE, 7001, MACHINE);
    assert_seen(world.outside.namespace(), MACHINE, 8080, OUTSIDE);
    let after = rules(world);
    let new = added(&before[1], &after[1]);
    let chain =
        new.iter().find_map(|line| line.strip_prefix("-A DOCKER-USER -j ")).expect("a jump").to_owned();
    let is_ours = |line: &&str| {
        *line == format!("-A DOCKER-USER -j {chain}")
            || line.starts_with(&format!("-A {chain} "))
            || *line == format!(":{chain} -")
    };
    assert!(chain.starts_with("VSWITCH") && new.iter().all(is_ours), "{new:#?}");
    assert_eq!(new.len(), 6, "a chain of four rules, and one jump: {new:#?}");
    assert_eq!(after[2], before[2], "Docker has no such chain for IPv6");
    let docker = world.lab.switch().status().docker_user.expect("it is said");
    assert_eq!((docker.iptables, docker.ip6tables), (DockerUserChain::Jump, DockerUserChain::NoChain));
    assert!(!world.lab.switch().log().contains("drops"), "{}", world.lab.switch().log());
    let said = world.lab.switch().ok(&["status"]);
    assert!(said.contains("docker-user  iptables: jump in place, ip6tables: no such chain"), "{said}");
    // Somebody takes it away: it is said, or it is back already.
    world.lab.switch_ns().output("iptables", &["-D", "DOCKER-USER", "-j", &chain]);
    until("the jump to be back", SOON, || (rules(world)[1] == after[1]).then_some(()));
    chain
}
