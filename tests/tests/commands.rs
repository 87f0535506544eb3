//! Bad input to every command: a right exit status, one line for people, a code for programs, and nothing changed.

use std::process::Output;

use vswitch_tests::prelude::*;
use vswitch_tests::proof::{Attachment, attachments};
use vswitch_tests::switch::binary;

/// All that a refused command must leave as it was.
#[derive(Debug, PartialEq)]
struct State {
    ports: serde_json::Value,
    networks: serde_json::Value,
    stations: Vec<(MacAddr, String, FdbKind)>,
    attached: Vec<Attachment>,
    free_link: Footprint,
}

/// A switch with a port `a0`, a network `used` with a port `b0`, and links that are no ports: `free0`, `busy0`.
struct Scene {
    lab: Lab,
    free: (Host, Wire),
}

impl Scene {
    fn set() -> Option<Self> {
        let mut lab = Hooks::Tc.vswitch_lab("commands")?;
        lab.subject().create_network("used");
        for (name, network) in [("a", "default"), ("b", "used")] {
            let host = lab.host_with(name, HostOptions::bare());
            lab.connect(&host, PortOptions::network(network));
        }
        let (free, busy) =
            (lab.host_with("free", HostOptions::bare()), lab.host_with("busy", HostOptions::bare()));
        let wire = lab.wire(&free);
        lab.wire(&busy);
        lab.switch_ns().ip(&["addr add 10.200.0.1/24 dev busy0", "link set dev busy0 up"]);
        Some(Self { lab, free: (free, wire) })
    }

    fn state(&self) -> State {
        let switch = self.lab.switch();
        let entries = switch.fdb_show(&[]).into_iter();
        State {
            ports: switch.json(&["port", "show"]),
            networks: switch.json(&["network", "ls"]),
            stations: entries.map(|entry| (entry.mac, entry.port, entry.kind)).collect(),
            attached: attachments(self.lab.switch_ns()),
            free_link: Footprint::of(self.lab.switch_ns(), &self.free.0, &self.free.1),
        }
    }

    /// Refused with status 1 and one of `codes`, with and without `--json`, and nothing changed.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], codes: &[&str]) {
        let (before, title) = (self.state(), arguments.join(" "));
        let plain = self.lab.switch().cli(arguments);
        assert_eq!(plain.status.code(), Some(1), "{title}: {plain:?}");
        let said = String::from_utf8_lossy(&plain.stderr).into_owned();
        assert!(
            said.lines().count() == 1 && plain.stdout.is_empty(),
            "{title}: not one line on stderr: {plain:?}"
        );
        assert!(!said.contains("panicked"), "{title}: {said}");
        let json = self.lab.switch().cli(&[&["--json"], arguments].concat());
        assert_eq!(json.status.code(), Some(1), "{title}: {json:?}");
        let code = error_code(&json);
        assert!(codes.contains(&code.as_str()), "{title}: {code} instead of {codes:?}: {said}");
        assert_eq!(self.state(), before, "{title}: refused, yet something changed");
    }

    /// Not understood: status 2, and nothing changed.
    #[track_caller]
    fn misunderstands(&self, arguments: &[&str]) {
        let (before, title) = (self.state(), arguments.join(" "));
        let output = self.lab.switch().cli(&[arguments, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(2), "{title}: {output:?}");
        assert_eq!(error_code(&output), "usage", "{title}");
        assert!(!output.stderr.is_empty(), "{title}: says nothing");
        assert_eq!(self.state(), before, "{title}: not understood, yet something changed");
    }
}

#[track_caller]
fn error_code(output: &Output) -> String {
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("no error object ({error}): {output:?}"));
    assert!(json["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{json}");
    json["error"]["code"].as_str().unwrap_or_else(|| panic!("no code in {json}")).to_owned()
}

#[test]
fn bad_ports_are_refused() {
    let Some(scene) = Scene::set() else { return };
    scene.refuses(&["port", "add", "nosuch0"], &["no-such-link"]);
    scene.refuses(&["port", "add", "a-name-too-long-for-any-link"], &["no-such-link", "invalid-argument"]);
    scene.refuses(&["port", "add", ""], &["no-such-link", "invalid-argument", "bad-request"]);
    scene.refuses(&["port", "add", "../../etc/passwd"], &["no-such-link", "invalid-argument"]);
    scene.refuses(&["port", "add", "a0"], &["port-exists"]);
    scene.refuses(&["port", "add", "b0"], &["port-exists"]);
    scene.refuses(&["port", "add", "free0", "--network", "nosuch"], &["no-such-network"]);
    scene.refuses(&["port", "add", "free0", "--mac", "ff:ff:ff:ff:ff:ff"], &["invalid-mac"]);
    scene.refuses(&["port", "add", "free0", "--mac", "01:00:5e:00:00:01"], &["invalid-mac"]);
    scene.refuses(&["port", "add", "free0", "--access", "10"], &["invalid-vlan"]);
    scene.refuses(&["port", "add", "lo"], &["link-unsuitable", "link-has-address"]);
    scene.refuses(&["port", "add", "busy0"], &["link-has-address"]);
    scene.refuses(&["port", "del", "nosuch0"], &["no-such-port"]);
    scene.refuses(&["port", "del", "free0"], &["no-such-port"]);
    scene.refuses(&["port", "set", "free0", "--isolated"], &["no-such-port"]);
    scene.refuses(&["port", "set", "a0", "--network", "nosuch"], &["no-such-network"]);
    scene.refuses(&["port", "show", "nosuch0"], &["no-such-port"]);
    scene.refuses(&["port", "show", "--network", "nosuch"], &["no-such-network"]);
    scene.refuses(&["stats", "nosuch0"], &["no-such-port"]);
}

#[test]
fn bad_entries_are_refused() {
    let Some(scene) = Scene::set() else { return };
    let station = "02:00:00:00:00:99";
    scene.lab.switch().ok(&["fdb", "add", "02:00:00:00:00:01", "a0", "--sticky"]);
    scene.refuses(&["fdb", "add", station, "nosuch0"], &["no-such-port"]);
    scene.refuses(&["fdb", "add", station, "free0"], &["no-such-port"]);
    for mac in ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "00:00:00:00:00:00"] {
        scene.refuses(&["fdb", "add", mac, "a0"], &["invalid-mac"]);
    }
    scene.refuses(&["fdb", "add", station, "a0", "--vlan", "10"], &["invalid-vlan"]);
    scene.refuses(&["fdb", "del", station], &["no-such-entry"]);
    scene.refuses(&["fdb", "del", "02:00:00:00:00:01", "--network", "used"], &["no-such-entry"]);
    scene.refuses(&["fdb", "del", station, "--network", "nosuch"], &["no-such-network"]);
    scene.refuses(&["fdb", "show", "--port", "nosuch0"], &["no-such-port"]);
    scene.refuses(&["fdb", "show", "--network", "nosuch"], &["no-such-network"]);
    scene.refuses(&["fdb", "flush", "--port", "nosuch0"], &["no-such-port"]);
    scene.refuses(&["fdb", "flush", "--network", "nosuch"], &["no-such-network"]);
}

#[test]
fn bad_networks_are_refused() {
    let Some(scene) = Scene::set() else { return };
    scene.refuses(&["network", "create", "default"], &["network-exists"]);
    scene.refuses(&["network", "create", "used"], &["network-exists"]);
    for name in ["", "a b", "-a", "a/b", &"n".repeat(64)] {
        scene.refuses(&["network", "create", "--", name], &["invalid-argument", "bad-request"]);
    }
    scene.refuses(&["network", "create", "new", "--mtu", "10"], &["invalid-argument"]);
    scene.refuses(&["network", "create", "new", "--mtu", "70000"], &["invalid-argument"]);
    scene.refuses(&["network", "set", "nosuch", "--ageing", "5"], &["no-such-network"]);
    scene.refuses(&["network", "set", "used", "--mtu", "10"], &["invalid-argument"]);
    scene.refuses(&["network", "rm", "nosuch"], &["no-such-network"]);
    scene.refuses(&["network", "rm", "default"], &["network-default", "network-in-use"]);
    scene.refuses(&["network", "rm", "used"], &["network-in-use"]);
    scene.refuses(&["network", "inspect", "nosuch"], &["no-such-network"]);
    scene.refuses(&["teardown"], &["not-confirmed"]);
}

#[test]
fn what_is_no_command_is_wrong_usage() {
    let Some(scene) = Scene::set() else { return };
    for arguments in [
        &["nonsense"][..],
        &[],
        &["port"],
        &["port", "add"],
        &["port", "add", "free0", "free1"],
        &["port", "add", "free0", "--mac", "zz"],
        &["port", "add", "free0", "--ip", "banana"],
        &["port", "add", "free0", "--hook", "ebpf"],
        &["port", "add", "free0", "--access", "0"],
        &["port", "add", "free0", "--access", "4095"],
        &["port", "add", "free0", "--access", "10", "--trunk", "20"],
        &["port", "add", "free0", "--trunk", "20-10"],
        &["port", "add", "free0", "--storm", "broadcast=lots"],
        &["port", "set", "a0"],
        &["port", "set", "a0", "--isolated", "--no-isolated"],
        &["fdb", "add", "zz", "a0"],
        &["fdb", "add", "02:00:00:00:00:01"],
        &["fdb", "del"],
        &["network", "create"],
        &["network", "create", "new", "--ageing", "-1"],
        &["network", "set", "used", "--ageing", "soon"],
        &["stats", "--watch", "never"],
    ] {
        scene.misunderstands(arguments);
    }
}

#[test]
fn who_is_not_root_may_change_nothing() {
    let Some(scene) = Scene::set() else { return };
    // Where nobody may look: the build folder may be closed to others.
    let copy = scene.lab.scratch().path("vswitch");
    std::fs::copy(binary(), &copy).expect("there is room");
    let as_nobody = |arguments: &[&str]| {
        let mut command = scene.lab.switch_ns().command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
        command
            .arg("--socket")
            .arg(scene.lab.switch().socket())
            .args(arguments)
            .output()
            .expect("util-linux is there")
    };
    let before = scene.state();
    for arguments in [
        &["port", "add", "free0", "--json"][..],
        &["port", "del", "a0", "--json"],
        &["network", "create", "new", "--json"],
        &["fdb", "flush", "--json"],
        &["teardown", "--yes", "--json"],
    ] {
        let output = as_nobody(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        assert_eq!(error_code(&output), "permission-denied", "{arguments:?}");
    }
    let folder = scene.lab.scratch().path("nobody").display().to_string();
    let output =
        as_nobody(&["run", "--json", "--state-dir", &folder, "--bpffs", &folder, "--no-docker-plugin"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("root") && said.lines().count() == 1, "it does not say that it needs root: {said}");
    assert_eq!(scene.state(), before);
}

#[test]
fn without_a_controller_every_command_says_so() {
    let Some(mut lab) = Hooks::Tc.vswitch_lab("no controller") else { return };
    let socket = lab.switch().socket();
    lab.switch_mut().kill9();
    let missing = lab.scratch().path("no-such-folder").join("vswitch.sock");
    let file = lab.scratch().path("a-file");
    std::fs::write(&file, "no socket").expect("the lab's folder is writable");
    for path in [&socket, &missing, &file] {
        for arguments in
            [&["port", "show"][..], &["port", "add", "x0"], &["status"], &["network", "ls"], &["stats"]]
        {
            let mut command = lab.switch_ns().command(binary());
            let output =
                command.arg("--json").arg("--socket").arg(path).args(arguments).output().expect("it runs");
            assert_eq!(output.status.code(), Some(1), "{}: {output:?}", path.display());
            assert_eq!(error_code(&output), "not-running", "{}: {output:?}", path.display());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains(&path.display().to_string()), "it does not name the socket: {said}");
        }
    }
}

#[test]
fn the_same_command_twice_is_refused_once() {
    let Some(scene) = Scene::set() else { return };
    let switch = scene.lab.switch();
    switch.ok(&["port", "add", "free0"]);
    scene.refuses(&["port", "add", "free0"], &["port-exists"]);
    switch.ok(&["port", "del", "free0"]);
    scene.refuses(&["port", "del", "free0"], &["no-such-port"]);
    switch.ok(&["network", "create", "new"]);
    scene.refuses(&["network", "create", "new"], &["network-exists"]);
    switch.ok(&["network", "rm", "new"]);
    scene.refuses(&["network", "rm", "new"], &["no-such-network"]);
    let entry = ["fdb", "add", "02:00:00:00:00:01", "a0"];
    switch.ok(&entry);
    switch.ok(&["fdb", "del", "02:00:00:00:00:01"]);
    scene.refuses(&["fdb", "del", "02:00:00:00:00:01"], &["no-such-entry"]);
}
