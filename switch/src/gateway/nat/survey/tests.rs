use serde_json::json;

use super::*;

fn chain(table: &str, name: &str, hook: &str, policy: &str) -> Value {
    json!({"family": "ip", "table": table, "name": name, "type": "filter", "hook": hook, "prio": 0, "policy": policy})
}

fn rule(chain: &str, steps: &Value) -> Value {
    json!({"family": "ip", "table": "filter", "chain": chain, "expr": steps})
}

fn from(link: &str) -> Value {
    json!({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": link}})
}

#[test]
fn a_policy_of_drop_stops_what_no_rule_accepts() {
    let docker = json!({"family": "ip", "table": "filter", "name": "DOCKER-USER"});
    let mut table = vec![chain("filter", "FORWARD", "forward", "drop"), docker];
    table.push(rule("FORWARD", &json!([from("docker0"), {"accept": null}])));
    let [obstacle] = &obstacles(&table)[..] else { panic!("one chain drops") };
    assert_eq!((obstacle.keeper, obstacle.passage), (Keeper::Docker, Passage::Forward));
    assert!(obstacle.stops("vsw2", true, false) && !obstacle.stops("docker0", true, false));
    assert!(!obstacle.stops("vsw2", false, true), "a chain of IPv4 stops nothing of IPv6");
    let message = obstacle.message("web", "vsw2", "eth0");
    assert!(message.contains("iptables -I DOCKER-USER -i vsw2 -o eth0 -j ACCEPT"), "{message}");
    table.push(rule("DOCKER-USER", &json!([from("vsw*"), {"counter": null}, {"accept": null}])));
    assert!(!obstacles(&table)[0].stops("vsw2", true, false));
}

#[test]
fn a_last_rule_that_takes_all_is_as_good_as_a_policy() {
    let base = chain("mine", "all", "forward", "accept");
    for (steps, is_obstacle) in [
        (json!([{"log": null}, {"drop": null}]), true),
        (json!([{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}]), true),
        (json!([from("eth0"), {"drop": null}]), false),
        (json!([{"xt": {"type": "match", "name": "conntrack"}}, {"drop": null}]), false),
        (json!([{"counter": null}]), false),
    ] {
        let found = obstacles(&[base.clone(), rule("all", &steps)]);
        assert_eq!(!found.is_empty(), is_obstacle, "{steps}");
        assert!(found.iter().all(|obstacle| obstacle.keeper == Keeper::Nft));
    }
}

#[test]
fn a_zone_that_accepts_in_the_end_accepts() {
    let mut table = vec![
        chain("filter", "forward", "forward", "accept"),
        rule("forward", &json!([{"jump": {"target": "zones"}}])),
        rule("forward", &json!([{"reject": {"type": "icmpx", "expr": "admin-prohibited"}}])),
        rule("zones", &json!([from("vsw1"), {"goto": {"target": "trusted"}}])),
        rule("zones", &json!([from("vsw2"), {"goto": {"target": "public"}}])),
        rule("public", &json!([{"jump": {"target": "trusted"}}])),
        rule("trusted", &json!([{"jump": {"target": "trusted-log"}}])),
    ];
    let is_stopped = |table: &[Value], link| obstacles(table)[0].stops(link, true, false);
    assert!(is_stopped(&table, "vsw1"));
    table.push(rule("trusted", &json!([{"counter": null}, {"accept": null}])));
    assert!(!is_stopped(&table, "vsw1") && is_stopped(&table, "vsw2"));
}

#[test]
fn chains_of_the_older_iptables_count_too() {
    let saved =
        "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n-A FORWARD -i vsw+ -o eth0 -j ACCEPT\nCOMMIT\n";
    let [obstacle] = &legacy_obstacles(saved, "ip6")[..] else { panic!("one chain drops") };
    assert!(!obstacle.stops("vsw1", true, true) && obstacle.stops("other", true, true));
    assert!(obstacle.message("web", "other", "eth0").contains("ip6tables-legacy -I FORWARD -i other"));
}

#[test]
fn a_rule_that_keeps_a_bridges_containers_apart_is_known() {
    let to = |link: &str| json!({"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": link}});
    let apart = rule("FORWARD", &json!([from("docker0"), to("docker0"), {"counter": null}, {"drop": null}]));
    assert!(drops_from_to(&apart, "docker0") && !drops_from_to(&apart, "br-1"));
    assert!(!drops_from_to(
        &rule("FORWARD", &json!([from("docker0"), to("docker0"), {"accept": null}])),
        "docker0"
    ));
    assert!(!drops_from_to(&rule("FORWARD", &json!([from("docker0"), {"drop": null}])), "docker0"));
}

#[test]
fn what_may_pass_is_no_obstacle() {
    assert!(obstacles(&[chain("filter", "FORWARD", "forward", "accept")]).is_empty());
    assert!(obstacles(&[chain("filter", "OUTPUT", "output", "drop")]).is_empty());
    let ufw = json!({"family": "ip", "table": "filter", "name": "ufw-user-input"});
    let found = obstacles(&[chain("filter", "INPUT", "input", "drop"), ufw]);
    assert_eq!((found[0].keeper, found[0].passage), (Keeper::Ufw, Passage::Input));
    assert!(found[0].message("web", "vsw1", "eth0").contains("ufw allow in on vsw1 to any port 53"));
}
