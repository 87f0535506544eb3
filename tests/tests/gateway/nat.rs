//! Who reaches whom through the host's stack, and that vswitch leaves the host as it found it.

use vswitch_tests::prelude::*;

use vswitch_tests::world::{
    HOST, Mirror, OUTSIDE, OUTSIDE6, assert_seen, assert_unreachable, gateways, guest, network, refusal,
    world,
};

/// What somebody else has on the host: a table of his own, and Docker's kind of chains.
fn other_peoples_rules(lab: &Lab) {
    let rules = lab.scratch().path("others.nft");
    let text = "table ip mine {
            set s { type ipv4_addr; elements = { 10.77.0.7 }; }
            chain forward { type filter hook forward priority 0; policy accept; counter; }
            chain nat { type nat hook postrouting priority 100; }
        }
        table inet firewalld {
            chain input { type filter hook input priority 10; tcp dport 22 accept; }
        }
        ";
    std::fs::write(&rules, text).expect("the lab's folder is writable");
    lab.switch_ns().output("nft", &["-f", &rules.display().to_string()]);
}

/// All rules but ours, byte for byte, counters aside.
fn others(lab: &Lab) -> String {
    let text = lab.switch_ns().output("nft", &["-j", "-s", "list", "ruleset"]);
    let all: serde_json::Value = serde_json::from_str(&text).expect("nft prints JSON");
    let is_other = |object: &&serde_json::Value| !object.to_string().contains("\"vswitch-");
    let kept: Vec<String> = all["nftables"]
        .as_array()
        .expect("objects")
        .iter()
        .filter(is_other)
        .map(ToString::to_string)
        .collect();
    kept.join("\n")
}

#[test]
fn who_goes_out_has_the_hosts_address_and_nobody_comes_in() {
    let (mut lab, outside) = world("nat");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let _at_outside = Mirror::start(outside.namespace(), 7000);
    let _at_a = Mirror::start(a.namespace(), 7000);
    traffic::ping_address(&a, OUTSIDE, 56, 3);
    traffic::ping_address(&a, OUTSIDE6, 56, 3);
    assert_seen(a.namespace(), OUTSIDE, 7000, HOST);
    assert_seen(a.namespace(), OUTSIDE6, 7000, vswitch_tests::world::HOST6);
    // Not even who knows the way.
    outside.namespace().ip(&["route add 10.77.0.0/24 via 192.0.2.1", "route add fd77::/64 via 2001:db8::1"]);
    assert_unreachable(outside.namespace(), a.ipv4().into(), 7000);
    assert_unreachable(outside.namespace(), a.ipv6().into(), 7000);
    traffic::assert_no_checksum_errors(&[&a]);
}

#[test]
fn networks_are_isolated_from_each_other() {
    let (mut lab, _outside) = world("nat");
    network(&lab, "web", 0, &[]);
    network(&lab, "back", 1, &[]);
    let (a, b) = (guest(&mut lab, "a", "web", 0), guest(&mut lab, "b", "back", 1));
    let _at_b = Mirror::start(b.namespace(), 7000);
    for to in [b.ipv4().into(), b.ipv6().into()] {
        assert_unreachable(a.namespace(), to, 7000);
    }
    assert_seen(lab.switch_ns(), b.ipv4().into(), 7000, gateways(1)[0]);
}

#[test]
fn an_internal_network_has_a_gateway_and_no_way_out() {
    let (mut lab, outside) = world("nat");
    network(&lab, "dark", 0, &["--internal"]);
    assert_eq!(
        lab.switch_ns().read("/proc/sys/net/ipv4/ip_forward").trim(),
        "0",
        "not for an internal network"
    );
    network(&lab, "web", 1, &[]);
    let (a, b) = (guest(&mut lab, "a", "dark", 0), guest(&mut lab, "b", "dark", 0));
    let c = guest(&mut lab, "c", "web", 1);
    let _at_outside = Mirror::start(outside.namespace(), 7000);
    let _at_c = Mirror::start(c.namespace(), 7000);
    for protocol in ["tcp", "udp"] {
        lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:7000/{protocol}", c.ipv4())]);
    }
    ping(&a, &b, 56, 3);
    traffic::ping_address(&a, gateways(0)[0], 56, 3);
    for (to, port) in [(OUTSIDE, 7000), (OUTSIDE6, 7000), (c.ipv4().into(), 7000), (HOST, 8080)] {
        assert_unreachable(a.namespace(), to, port);
    }
    assert_seen(outside.namespace(), HOST, 8080, OUTSIDE);
}

#[test]
fn the_host_is_left_as_it_was_found() {
    let (mut lab, _outside) = world("nat");
    other_peoples_rules(&lab);
    let ns = lab.switch_ns().clone();
    let look = || Footprint::of_namespace(&ns);
    let (before, before_others) = (look(), others(&lab));
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    assert_eq!(others(&lab), before_others);
    assert_eq!(ns.read("/proc/sys/net/ipv4/ip_forward").trim(), "1");
    lab.switch_mut().restart();
    lab.switch().ok(&["network", "rm", "web", "--force"]);
    assert_eq!(ns.read("/proc/sys/net/ipv4/ip_forward").trim(), "0");
    assert_eq!(others(&lab), before_others);
    // Once more, and all at once.
    network(&lab, "web", 0, &[]);
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    lab.switch_mut().kill9();
    lab.switch_mut().teardown();
    ns.ip(&["link del dev a0"]);
    before.assert_restored(look);
    assert_eq!(others(&lab), before_others);
}

#[test]
fn a_restart_leaves_no_moment_without_rules() {
    let (mut lab, outside) = world("nat");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let _at_a = Mirror::start(a.namespace(), 80);
    lab.switch().ok(&["publish", "add", "web", &format!("8080:{}:80", a.ipv4())]);
    let ended = std::sync::atomic::AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut asked = 0;
            while !ended.load(std::sync::atomic::Ordering::Relaxed) {
                let seen = vswitch_tests::world::seen_by_tcp(outside.namespace(), HOST, 8080);
                assert_eq!(seen.expect("published all the time"), OUTSIDE, "connection {asked}");
                asked += 1;
            }
            asked
        });
        for _ in 0..3 {
            lab.switch_mut().kill9();
            lab.switch_mut().start_again();
        }
        ended.store(true, std::sync::atomic::Ordering::Relaxed);
        client.join().expect("no connection failed")
    });
    assert!(asked > 20, "only {asked} connections");
}

#[test]
fn a_small_way_out_does_not_swallow_large_transfers() {
    let (mut lab, outside) = world("nat");
    lab.switch_ns().ip(&["link set dev out0 mtu 1300"]);
    outside.namespace().ip(&["link set dev eth0 mtu 1300"]);
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    // The container still thinks that its link takes 1500.
    for to in [OUTSIDE, OUTSIDE6] {
        traffic::tcp_send(&a, &outside, to, 2_000_000);
    }
    // Pings may not be fragmented on the way: the first is lost to finding out what fits, the gateway says so, then all pass.
    until("the gateway to have said what fits", SOON, || {
        traffic::try_ping(&a, OUTSIDE, 1400, 3).is_ok().then_some(())
    });
}

#[test]
fn without_nft_a_network_with_a_subnet_is_refused_and_nothing_is_left() {
    let (mut lab, _outside) = world("nat");
    let ns = lab.switch_ns().clone();
    let look = || Footprint::of_namespace(&ns);
    let before = look();
    lab.switch_mut().stop();
    let empty = lab.scratch().path("no-programs");
    std::fs::create_dir_all(&empty).expect("the lab's folder is writable");
    lab.switch_mut().options_mut().launcher = vec!["env".to_owned(), format!("PATH={}", empty.display())];
    lab.switch_mut().start_again();
    let (code, message) = refusal(&lab, &["network", "create", "web", "--subnet", "10.77.0.0/24"]);
    assert!(code == "unsupported" && message.contains("nft"), "{code}: {message}");
    before.assert_restored(look);
    let names: Vec<serde_json::Value> = lab.switch().json(&["network", "ls"]);
    assert_eq!(names.len(), 1, "{names:?}");
}
