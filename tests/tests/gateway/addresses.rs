//! Who gets which address, and who does not.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use vswitch_tests::world::{guest, network, refusal, world};

use vswitch::api::types::Network;
use vswitch_tests::prelude::Lab;

#[test]
fn subnets_that_are_taken_or_wrong_are_refused_by_name() {
    let (lab, _outside) = world("addresses");
    network(&lab, "web", 0, &[]);
    let links = lab.switch_ns().ip_json(&["link", "show"]);
    for (subnet, gateway, code, names) in [
        ("10.77.0.0/16", None, "subnet-overlaps", "10.77.0.0/24 of network web"),
        ("fd77::/48", None, "subnet-overlaps", "network web"),
        ("192.0.2.128/25", None, "subnet-overlaps", "192.0.2.0/24 of the host's link out0"),
        ("10.5.0.9/24", None, "invalid-argument", "10.5.0.0/24"),
        ("10.5.0.0/24", Some("10.6.0.1"), "invalid-argument", "10.6.0.1"),
        ("10.5.0.0/24", Some("10.5.0.255"), "invalid-argument", "10.5.0.255"),
        ("224.0.0.0/24", None, "invalid-argument", "224.0.0.0/24"),
        ("nonsense", None, "invalid-argument", "nonsense"),
    ] {
        let mut arguments = vec!["network", "create", "other", "--subnet", subnet];
        arguments.extend(gateway.iter().flat_map(|gateway| ["--gateway", *gateway]));
        let (got, message) = refusal(&lab, &arguments);
        assert!(got == code && message.contains(names), "{subnet}: {got}: {message}");
    }
    let names: Vec<_> =
        lab.switch().json::<Vec<Network>>(&["network", "ls"]).into_iter().map(|n| n.name).collect();
    assert_eq!(names, ["default", "web"], "nothing is left of a refused network");
    assert_eq!(links, lab.switch_ns().ip_json(&["link", "show"]));
}

#[test]
fn an_address_is_one_hosts_and_never_the_gateways() {
    let (mut lab, _outside) = world("addresses");
    network(&lab, "web", 0, &[]);
    let a = guest(&mut lab, "a", "web", 0);
    let b = lab.host("b");
    let port = lab.wire(&b).port;
    for (ip, code, names) in [
        (a.ipv4().to_string(), "address-in-use", "port a0"),
        (a.ipv6().to_string(), "address-in-use", "port a0"),
        ("10.77.0.254".to_owned(), "address-in-use", "gateway of network web"),
        ("10.77.0.255".to_owned(), "invalid-argument", "10.77.0.0/24"),
        ("10.78.0.1".to_owned(), "invalid-argument", "10.77.0.0/24"),
    ] {
        let (got, message) = refusal(&lab, &["port", "add", &port, "--network", "web", "--ip", &ip]);
        assert!(got == code && message.contains(names), "{ip}: {got}: {message}");
    }
    for name in ["a", "A", "gateway"] {
        let (got, message) = refusal(&lab, &["port", "add", &port, "--network", "web", "--name", name]);
        assert!(got == "name-in-use" && message.contains(name), "{name}: {got}: {message}");
    }
    let ip = b.ipv4().to_string();
    lab.switch().ok(&["port", "add", &port, "--network", "web", "--ip", &ip]);
    let (got, _) = refusal(&lab, &["port", "set", &port, "--ip", &a.ipv4().to_string()]);
    assert_eq!(got, "address-in-use");
    // What a deleted port had is free again, also after a restart.
    lab.switch().ok(&["port", "del", "a0"]);
    lab.switch_mut().restart();
    lab.switch().ok(&["port", "set", &port, "--ip", &a.ipv4().to_string()]);
}

/// One request to the control socket, as the Docker driver's IPAM part makes it: the reply's JSON.
fn ask(lab: &Lab, method: &str, path: &str, body: &str) -> serde_json::Value {
    let mut stream = UnixStream::connect(lab.switch().socket()).expect("the controller listens");
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("the controller reads");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the controller answers");
    serde_json::from_str(reply.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

#[test]
fn reservations_are_given_in_turn_kept_over_restarts_and_run_out() {
    let (mut lab, _outside) = world("addresses");
    lab.switch().ok(&["network", "create", "tiny", "--subnet", "10.77.9.0/29", "--subnet", "fd77:9::/64"]);
    let path = "/v1/networks/tiny/addresses";
    let reserve = |lab: &Lab, body: &str| {
        let reply = ask(lab, "POST", path, body);
        reply[0]["ip"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
    };
    assert_eq!(reserve(&lab, "{}"), "10.77.9.2");
    assert_eq!(reserve(&lab, r#"{"subnet":"fd77:9::/64"}"#), "fd77:9::2");
    assert_eq!(reserve(&lab, r#"{"ip":"10.77.9.4"}"#), "10.77.9.4");
    for (ip, code) in
        [("10.77.9.4", "address-in-use"), ("10.77.9.1", "address-in-use"), ("10.77.9.7", "invalid-argument")]
    {
        let refused = ask(&lab, "POST", path, &format!(r#"{{"ip":"{ip}"}}"#));
        assert_eq!(refused["error"]["code"], code, "{ip}");
    }
    lab.switch_mut().kill9();
    lab.switch_mut().start_again();
    assert_eq!(ask(&lab, "DELETE", &format!("{path}/10.77.9.2"), "")["changed"], 1);
    assert_eq!(ask(&lab, "DELETE", &format!("{path}/10.77.9.2"), "")["error"]["code"], "no-such-address");
    let rest: Vec<String> = (0..4).map(|_| reserve(&lab, "{}")).collect();
    assert_eq!(rest, ["10.77.9.3", "10.77.9.5", "10.77.9.6", "10.77.9.2"], "the released one comes last");
    assert_eq!(ask(&lab, "POST", path, "{}")["error"]["code"], "limit-reached");
    // A port takes what was reserved for it.
    let host = lab.host("a");
    let port = lab.wire(&host).port;
    lab.switch().ok(&["port", "add", &port, "--network", "tiny", "--ip", "10.77.9.3"]);
    let held = ask(&lab, "GET", path, "");
    let holder = |ip: &str| {
        held.as_array().and_then(|all| all.iter().find(|a| a["ip"] == ip)).map(|a| a["holder"].clone())
    };
    assert_eq!(holder("10.77.9.3"), Some("a0".into()));
    assert_eq!(holder("10.77.9.1"), Some("gateway".into()));
    assert_eq!(holder("fd77:9::2"), Some("reserved".into()));
}
