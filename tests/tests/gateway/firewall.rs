//! Firewalls of others: vswitch changes nothing of theirs, says when they cut a network off and what to do, and what it
//! says helps.

use vswitch::api::types::Network;
use vswitch_tests::prelude::*;

use crate::names::dig;
use vswitch_tests::world::{
    HOST, Mirror, OUTSIDE, assert_seen, assert_unreachable, gateways, guest, network, world,
};

/// The warnings of a network.
fn warnings(lab: &Lab, name: &str) -> Vec<String> {
    let network =
        lab.switch().json::<Vec<Network>>(&["network", "inspect", name]).pop().expect("the network");
    network.gateway.expect("a gateway").warnings
}

/// A network behind a firewall that lets nothing through but answers is cut off and says so, `word` among it; once `run` has done
/// what it says is to be done, it is reached.
#[track_caller]
pub(crate) fn heeded(lab: &mut Lab, outside: &Host, whose: &str, word: &str, run: impl Fn(&Lab, &str)) {
    network(lab, "web", 0, &[]);
    let a = guest(lab, "ann", "web", 0);
    let (_at_a, _at_outside) = (Mirror::start(a.namespace(), 80), Mirror::start(outside.namespace(), 7000));
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    assert_unreachable(a.namespace(), OUTSIDE, 7000);
    let said = warnings(lab, "web");
    assert!(said.iter().any(|line| line.contains(word) && line.contains("network web")), "{whose}: {said:?}");
    assert_eq!(lab.switch().status().warnings, said);
    assert!(lab.switch().log().contains(&said[0]), "{whose}: not in the log");
    for warning in &said {
        run(lab, warning.split('`').nth(1).expect("a warning says what to do"));
    }
    until("the warnings to go", SOON, || warnings(lab, "web").is_empty().then_some(()));
    assert_seen(a.namespace(), OUTSIDE, 7000, HOST);
    let seen = vswitch_tests::world::seen_by_tcp(outside.namespace(), HOST, 8080);
    assert_eq!(seen.ok(), Some(OUTSIDE), "{whose}");
    let [gateway, _] = gateways(0);
    assert_eq!(dig(&a, gateway, &["ann"]), [a.ipv4().to_string()], "{whose}");
}

/// What a firewall leaves behind that lets nothing through but answers, by the commands of its tool.
const FIREWALLS: [(&str, &str, &str); 4] = [
    (
        "dockerd's",
        "DOCKER-USER",
        "iptables -N DOCKER-USER; iptables -A DOCKER-USER -j RETURN; iptables -A FORWARD -j DOCKER-USER
         iptables -A FORWARD -o docker0 -j ACCEPT; iptables -P FORWARD DROP",
    ),
    (
        "one of nft",
        "nft insert rule inet strict every",
        "nft 'table inet strict { chain every { type filter hook forward priority 10; ct state established accept; drop; }; }'",
    ),
    (
        "one of iptables, for what is the host's too",
        "--dport 53",
        "iptables -P FORWARD DROP; iptables -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT
         iptables -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT; iptables -P INPUT DROP",
    ),
    ("one of the older iptables", "iptables-legacy", "iptables-legacy -P FORWARD DROP"),
];

#[test]
fn a_firewall_that_cuts_a_network_off_is_reported_with_what_helps() {
    for (whose, word, commands) in FIREWALLS {
        let (mut lab, outside) = world(whose);
        let run = |lab: &Lab, commands: &str| drop(lab.switch_ns().output("sh", &["-ec", commands]));
        run(&lab, commands);
        heeded(&mut lab, &outside, whose, word, run);
    }
}

#[test]
fn a_network_that_nobody_cuts_off_has_no_warnings() {
    let (lab, _outside) = world("firewall");
    let commands = "iptables -P OUTPUT DROP; iptables -A FORWARD -i docker0 -j DROP
                    iptables -N DOCKER-USER; iptables -A DOCKER-USER -i vsw+ -j ACCEPT
                    ip6tables -P FORWARD DROP; ip6tables -A FORWARD -i vsw+ -j ACCEPT";
    lab.switch_ns().output("sh", &["-ec", commands]);
    network(&lab, "web", 0, &[]);
    assert!(warnings(&lab, "web").is_empty(), "{:?}", warnings(&lab, "web"));
    // What an internal network does not do cannot be stopped.
    lab.switch_ns().output("sh", &["-ec", "iptables -F; iptables -P FORWARD DROP"]);
    network(&lab, "dark", 1, &["--internal"]);
    assert!(warnings(&lab, "dark").is_empty());
    assert!(!warnings(&lab, "web").is_empty());
    lab.switch().ok(&["network", "rm", "web"]);
    lab.switch().ok(&["network", "rm", "dark"]);
    until("the warnings to go", SOON, || lab.switch().status().warnings.is_empty().then_some(()));
}

#[test]
fn rules_that_somebody_flushes_come_back() {
    let (mut lab, outside) = world("flush");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let _at_a = Mirror::start(a.namespace(), 80);
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    // As a restart of nftables.service does.
    lab.switch_ns().output("nft", &["flush", "ruleset"]);
    until("the rules to come back", SOON, || {
        lab.switch_ns().output("nft", &["list", "tables"]).contains("vswitch").then_some(())
    });
    assert_eq!(vswitch_tests::world::seen_by_tcp(outside.namespace(), HOST, 8080).ok(), Some(OUTSIDE));
    traffic::ping_address(&a, OUTSIDE, 56, 2);
}

#[test]
fn chains_of_iptables_are_left_as_they_are() {
    let (mut lab, _outside) = world("iptables");
    let ns = lab.switch_ns().clone();
    let commands = "iptables -N DOCKER; iptables -t nat -N DOCKER; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER
         iptables -A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp --dport 80 -j ACCEPT
         iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
         iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
         iptables -N ufw-before-input; iptables -A INPUT -j ufw-before-input; ip6tables -N ufw6-before-forward
         ip6tables -A FORWARD -j ufw6-before-forward; iptables-legacy -t nat -N OLD";
    ns.output("sh", &["-ec", commands]);
    let look = || {
        let save = |program: &str| {
            let text = ns.output(program, &[]);
            // Comments have the time, policies their counters.
            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.split(" [").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
        };
        ["iptables-save", "ip6tables-save", "iptables-legacy-save"].map(save)
    };
    let before = look();
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    traffic::ping_address(&a, OUTSIDE, 56, 2);
    assert_eq!(look(), before);
    lab.switch_mut().teardown();
    assert_eq!(look(), before);
}
