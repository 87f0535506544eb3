//! The command line as a user meets it: what parses, what it asks for, how it exits.

mod printed;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::CommandFactory as _;
use serde_json::{Value, json};

use super::*;
use crate::api::types::Request;

/// What one command line did.
struct Done {
    exit: ExitCode,
    out: String,
    err: String,
}

fn vswitch(line: &str) -> Done {
    let arguments: Vec<OsString> =
        std::iter::once("vswitch").chain(line.split(' ')).map(OsString::from).collect();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = execute(arguments, &mut out, &mut err);
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Done { exit, out: text(out), err: text(err) }
}

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

/// The request that a command line stands for; none for verbs that are more than one request.
fn request(line: &str) -> Result<Option<Request>, String> {
    match parse(line).map_err(|error| error.to_string())?.command {
        Command::Port(command) => command.request().map(Some).map_err(|error| error.to_string()),
        Command::Fdb(command) => Ok(Some(command.request())),
        Command::Mdb(command) => Ok(Some(command.request())),
        Command::Network(command) => command.request().map(Some).map_err(|error| error.to_string()),
        Command::Publish(command) => command.request().map(Some).map_err(|error| error.to_string()),
        Command::Takeover(options) => Ok(Some(options.request())),
        Command::Release(options) => Ok(Some(options.request())),
        Command::Trace(options) => Ok(Some(options.request())),
        Command::Upgrade(options) => Ok(Some(options.request())),
        Command::About(_)
        | Command::Generate(_)
        | Command::Run(_)
        | Command::Status(_)
        | Command::Show(_)
        | Command::Stats(_)
        | Command::Monitor(_)
        | Command::Teardown(_) => Ok(None),
    }
}

fn request_json(line: &str) -> Value {
    let request = request(line).unwrap_or_else(|e| panic!("{line}: {e}")).expect("one request");
    serde_json::to_value(request).expect("JSON")
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// Calls `look` with every verb, nouns included.
fn for_each_verb(command: &clap::Command, look: &mut impl FnMut(&clap::Command)) {
    look(command);
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        for_each_verb(verb, look);
    }
}

#[test]
fn every_verb_has_examples_and_each_of_them_is_accepted() {
    for_each_verb(&Cli::command(), &mut |verb| {
        let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
        let is_noun = verb.get_subcommands().next().is_some();
        assert!(is_noun || !examples.is_empty(), "{} has no examples", verb.get_name());
        for example in examples {
            assert!(request(example).is_ok(), "{example}: {:?}", request(example).err());
        }
    });
}

#[test]
fn arguments_become_the_requests_they_stand_for() {
    let unsaid = json!({"link": "v", "network": null, "hook": null, "vlan": null, "isolated": null, "hairpin": null,
        "learning": null, "flood": null, "mac_limit": null, "name": null, "ips": null, "mac": null, "trusted": null,
        "storm": {}, "storm_burst": {}, "end_quarantine": false});
    for (options, said) in [
        ("--network blue --hook xdp", json!({"network": "blue", "hook": "xdp"})),
        ("--access 10", json!({"vlan": {"mode": "access", "pvid": 10, "allowed": ""}})),
        ("--trunk 10,20-30", json!({"vlan": {"mode": "trunk", "pvid": null, "allowed": "10,20-30"}})),
        ("--trunk all --native 5", json!({"vlan": {"mode": "trunk", "pvid": 5, "allowed": "all"}})),
        ("--isolated --hairpin --trusted", json!({"isolated": true, "hairpin": true, "trusted": true})),
        ("--no-learning --no-flood", json!({"learning": false, "flood": false})),
        ("--mac-limit 4 --name web", json!({"mac_limit": 4, "name": "web"})),
        ("--ip 10.0.0.1 --ip fd00::1", json!({"ips": ["10.0.0.1", "fd00::1"]})),
        ("--mac 02-42-AC-11-00-02", json!({"mac": "02:42:ac:11:00:02"})),
        ("--storm broadcast=10 --storm unknown=0", json!({"storm": {"broadcast": 10, "unknown": 0}})),
        ("--storm multicast=10:25", json!({"storm": {"multicast": 10}, "storm_burst": {"multicast": 25}})),
    ] {
        let mut expected = unsaid.clone();
        let fields = expected.as_object_mut().expect("an object");
        fields.extend(said.as_object().expect("an object").clone());
        assert_eq!(request_json(&format!("vswitch port add v {options}")), json!({"port_add": expected}));
        assert_eq!(request_json(&format!("vswitch port set v {options}")), json!({"port_set": expected}));
    }
}

#[test]
fn port_set_turns_every_option_back() {
    let line = "vswitch port set v --no-vlan --no-isolated --no-hairpin --learning --flood --no-mac-limit --no-name \
                --no-ip --no-mac --no-trusted --no-storm";
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = json!({"port_set": {"link": "v", "network": null, "hook": null,
        "vlan": {"mode": "none", "pvid": null, "allowed": ""}, "isolated": false, "hairpin": false, "learning": true,
        "flood": true, "mac_limit": 0, "name": "", "ips": [], "mac": "00:00:00:00:00:00", "trusted": false,
        "storm": {"broadcast": 0, "multicast": 0, "unknown": 0}, "storm_burst": {}, "end_quarantine": false}});
    assert_eq!(request_json(&line), expected);
}

#[test]
fn the_other_nouns_map_as_well() {
    let mac = "02:42:ac:11:00:02";
    for (line, expected) in [
        ("port del v".to_string(), json!({"port_del": {"link": "v"}})),
        ("port show".to_string(), json!({"port_show": {"link": null, "network": null}})),
        ("port show v --network n".to_string(), json!({"port_show": {"link": "v", "network": "n"}})),
        (
            format!("fdb show --port v --vlan 7 --mac {mac}"),
            json!({"fdb_show": {"network": null, "port": "v", "mac": mac, "vlan": 7}}),
        ),
        (
            format!("fdb add {mac} v --sticky"),
            json!({"fdb_add": {"mac": mac, "port": "v", "vlan": null, "sticky": true}}),
        ),
        (format!("fdb del {mac} --vlan 7"), json!({"fdb_del": {"mac": mac, "network": null, "vlan": 7}})),
        (
            "fdb flush --static --network n".to_string(),
            json!({"fdb_flush": {"network": "n", "port": null, "vlan": null, "static": true}}),
        ),
        (
            "network create n --vlan-aware --label a=b=c --label d --subnet 10.0.0.0/8 --ageing 0"
                .to_string(),
            json!({"network_create": {"name": "n", "subnets": ["10.0.0.0/8"], "gateways": [], "internal": false,
                "mtu": null, "ageing": 0, "vlan_aware": true, "labels": {"a": "b=c", "d": ""}}}),
        ),
        (
            "network set n --mtu 9000".to_string(),
            json!({"network_set": {"name": "n", "ageing": null, "mtu": 9000}}),
        ),
        (
            "network set n --no-multicast-querier --multicast-snooping on --multicast-query-interval 60"
                .to_string(),
            json!({"network_set": {"name": "n", "ageing": null, "mtu": null, "multicast": {"snooping": "on",
                "querier": false, "query_interval": 60, "response_time": null}}}),
        ),
        ("mdb show --network n".to_string(), json!({"mdb_show": {"network": "n"}})),
        ("network rm n --force".to_string(), json!({"network_remove": {"name": "n", "force": true}})),
        ("network ls".to_string(), json!("network_list")),
        (
            "publish add n 192.0.2.1:8000-8010:10.0.0.2:80-90/udp".to_string(),
            json!({"publish_add": {"network": "n", "host_ip": "192.0.2.1", "host_ports": "8000-8010",
                "target_ip": "10.0.0.2", "target_ports": "80-90", "protocol": "udp"}}),
        ),
        ("publish show --network n".to_string(), json!({"publish_show": {"network": "n"}})),
        ("network inspect n".to_string(), json!({"network_inspect": {"name": "n"}})),
    ] {
        assert_eq!(request_json(&format!("vswitch {line}")), expected, "{line}");
    }
}

#[test]
fn verbs_have_the_aliases_people_type() {
    let mac = "02:42:ac:11:00:02";
    for (noun, verb, aliases, argument) in [
        ("port", "show", ["list", "ls"].as_slice(), ""),
        ("port", "del", &["delete", "remove", "rm"], " v"),
        ("fdb", "show", &["list", "ls"], ""),
        ("fdb", "del", &["delete", "remove", "rm"], &format!(" {mac}")),
        ("publish", "show", &["list", "ls"], ""),
        ("publish", "del", &["delete", "remove", "rm"], " n 80:10.0.0.2:80"),
        ("network", "ls", &["list", "show"], ""),
        ("network", "rm", &["del", "delete", "remove"], " n"),
    ] {
        let expected = request_json(&format!("vswitch {noun} {verb}{argument}"));
        for alias in aliases {
            assert_eq!(
                request_json(&format!("vswitch {noun} {alias}{argument}")),
                expected,
                "{noun} {alias}"
            );
        }
    }
}

#[test]
fn socket_and_json_may_stand_before_or_after_the_verb() {
    for line in [
        "vswitch --socket /s --json port show",
        "vswitch port --json --socket /s show",
        "vswitch port show --socket /s --json",
        "vswitch --json port show --socket=/s",
    ] {
        let global = parse(line).expect(line).global;
        assert_eq!((global.socket, global.json), (Some("/s".into()), true), "{line}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_so_in_json_too() {
    for line in [
        "port",
        "port add",
        "port show --colour",
        "port add v --access 4095",
        "port add v --access 10 --trunk 20",
        "port add v --native 5",
        "port add v --trunk 20-10",
        "port add v --mac 02:42",
        "port add v --storm broadcast",
        "port add v --storm unicast=1",
        "port add v --storm broadcast=1:",
        "port add v --learning",
        "port set v",
        "port set v --isolated --no-isolated",
        "port set v --mac-limit 1 --no-mac-limit",
        "port set v --storm broadcast=1 --no-storm",
        "port set v --access 10 --no-vlan",
        "port set v --learning --no-learning",
        "network set n",
        "network create n --label =v",
        "publish add n 80",
        "publish add n 80:10.0.0.2:80/sctp",
        "publish add n 80:fd00::2:80",
        "stats --watch 0",
        "run --docker-plugin /p --no-docker-plugin",
        "frobnicate",
    ] {
        let done = vswitch(line);
        assert_eq!(done.exit, ExitCode::from(2), "{line}: {}", done.err);
        assert!(!done.err.is_empty() && done.out.is_empty(), "{line}: {}", done.out);
        let with_json = vswitch(&format!("{line} --json"));
        assert_eq!(with_json.exit, ExitCode::from(2), "{line}");
        let body: Value = serde_json::from_str(&with_json.out).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(body["error"]["code"], "usage", "{line}");
        assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
    }
}

#[test]
fn help_and_version_are_no_failures() {
    for line in ["--help", "--version", "port add --help", "help network create", "--json --help"] {
        let done = vswitch(line);
        assert_eq!(done.exit, ExitCode::SUCCESS, "{line}");
        assert!(!done.out.is_empty() && done.err.is_empty(), "{line}: {}", done.err);
    }
}

#[test]
fn without_a_controller_every_client_verb_exits_with_1_and_one_line() {
    let mac = "02:42:ac:11:00:02";
    for verb in [
        "status",
        "show",
        "stats",
        "monitor",
        "port show",
        "port add v",
        "port set v --flood",
        "port del v",
        "fdb show",
        &format!("fdb add {mac} v"),
        &format!("fdb del {mac}"),
        "fdb flush",
        "mdb show",
        "network ls",
        "network create n",
        "network rm n",
        "network set n --ageing 1",
        "network inspect n",
        "publish add n 80:10.0.0.2:80",
        "publish del n 80:10.0.0.2:80",
        "publish show",
    ] {
        let done = vswitch(&format!("--socket /nowhere/vswitch.sock {verb} --json"));
        assert_eq!(done.exit, ExitCode::from(1), "{verb}");
        assert_eq!(done.err.lines().count(), 1, "{verb}: {}", done.err);
        assert!(
            done.err.contains("/nowhere/vswitch.sock") && done.err.contains("vswitch run"),
            "{}",
            done.err
        );
        let body: Value = serde_json::from_str(&done.out).expect("one JSON value");
        assert_eq!(body["error"]["code"], "not-running", "{verb}");
    }
}

#[test]
fn teardown_with_no_controller_and_nothing_left_behind_says_so() {
    // Paths that are not there: with the default ones this test would tear down the machine's own switch.
    let done = vswitch(
        "teardown --yes --json --socket /nowhere/vswitch.sock --state-dir /nowhere/state --bpffs /nowhere/pins",
    );
    assert_eq!(done.exit, ExitCode::from(1), "{}", done.err);
    assert_eq!(done.err.lines().count(), 1, "{}", done.err);
    assert!(done.err.contains("/nowhere/state") && done.err.contains("/nowhere/pins"), "{}", done.err);
    let body: Value = serde_json::from_str(&done.out).expect("one JSON value");
    assert_eq!(body["error"]["code"], "not-running");
}
