//! `vswitch upgrade`: another binary takes over under traffic, with the same maps, with the next ABI version's and back, and
//! not at all when it cannot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use vswitch::api::types::{Maps, Upgrade};
use vswitch_common::abi::ABI_VERSION;
use vswitch_tests::prelude::*;
use vswitch_tests::traffic::{LongTransfer, Probe, try_ping};

use crate::docker0;
use crate::row::{Row, count};

const RATE: u32 = 1_000;

/// The binary of the made-up next ABI version: `$VSWITCH_NEXT_BIN`, else built now, which takes a minute the first time.
fn next_abi_binary() -> PathBuf {
    if let Some(named) = std::env::var_os("VSWITCH_NEXT_BIN") {
        return named.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--package", "vswitch", "--bin", "vswitch-next-abi", "--features", "next-abi"]);
    let output = build.current_dir(workspace).output().expect("cargo is there");
    assert!(output.status.success(), "{build:?}: {}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("debug/vswitch-next-abi")
}

/// Puts a binary where the switch's lies, as an installation does: by one rename.
fn install(lab: &Lab, binary: &Path) {
    let (place, draft) = (lab.scratch().path("vswitch"), lab.scratch().path("vswitch.new"));
    std::fs::copy(binary, &draft).expect("room for a binary");
    std::fs::rename(draft, place).expect("installed");
}

/// A lab whose switch runs from a binary of its own, and its controller started from there.
fn lab_with_own_binary(title: &str) -> Option<Lab> {
    let mut lab = Hooks::Mixed.vswitch_lab(title)?;
    install(&lab, &vswitch_tests::switch::binary());
    let place = lab.scratch().path("vswitch");
    lab.switch_mut().options_mut().binary = Some(place);
    lab.switch_mut().restart();
    Some(lab)
}

fn stations(lab: &Lab) -> BTreeSet<(MacAddr, String, String)> {
    lab.switch()
        .fdb_show(&[])
        .into_iter()
        .map(|entry| (entry.mac, entry.port, format!("{:?}", entry.kind)))
        .collect()
}

/// Bytes of an FDB entry in the kernel.
fn entry_bytes(lab: &Lab) -> u64 {
    let pin = lab.switch().bpffs().join("maps/FDB");
    let show = Command::new("bpftool").args(["-j", "map", "show", "pinned"]).arg(pin).output();
    let json: serde_json::Value =
        serde_json::from_slice(&show.expect("bpftool is installed").stdout).expect("bpftool -j prints JSON");
    json["bytes_value"].as_u64().expect("a map has values")
}

fn reach(from: &Host, to: &Host) {
    until("one host to reach another", SOON, || try_ping(from, to.ipv4().into(), 56, 1).ok());
}

fn check(lab: &Lab) -> Upgrade {
    lab.switch().json(&["upgrade", "--check"])
}

#[test]
fn an_upgrade_to_the_next_abi_version_and_back_loses_nothing() {
    let next = next_abi_binary();
    let Some(mut lab) = lab_with_own_binary("upgrade") else { return };
    let hosts = lab.hosts("h", 3, &HostOptions::ipv4_only());
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    lab.switch().ok(&["fdb", "add", "02:77:00:00:05:05", "h30", "--sticky"]);
    reach(&hosts[2], &hosts[0]);
    let probe = Probe::start(&hosts[0], &hosts[1], RATE);
    let stream = LongTransfer::start(&hosts[1], &hosts[2]);
    probe.cover(count("VSWITCH_PROBES", 6_000) / 4);
    let (known, pid) = (stations(&lab), lab.switch().pid());
    let now = ABI_VERSION;
    let steps = [
        (vswitch_tests::switch::binary(), now, Maps::Kept, 16),
        (next.clone(), now + 1, Maps::Migrated, 24),
        (next, now + 1, Maps::Kept, 24),
        (vswitch_tests::switch::binary(), now, Maps::MigratedBack, 16),
    ];
    for (binary, abi, maps, bytes) in steps {
        install(&lab, &binary);
        let before = lab.switch().status();
        let told = check(&lab);
        assert_eq!((told.check, told.from.abi, told.to.abi, told.maps), (true, before.abi, abi, maps));
        assert_eq!(lab.switch().status().started_ns, before.started_ns, "a check changed something");
        let said = lab.switch().ok(&["upgrade"]);
        let status = lab.switch().status();
        assert!(
            status.adopted && status.abi == abi && status.started_ns != before.started_ns,
            "{said}{status:?}"
        );
        assert_eq!(entry_bytes(&lab), bytes, "{said}");
        assert!(known.is_subset(&stations(&lab)), "{said}: {known:?} became {:?}", stations(&lab));
        assert_eq!(lab.switch().pid(), pid, "systemd would take it for another process");
        probe.cover(RATE.into());
    }
    while probe.sent() < count("VSWITCH_PROBES", 6_000) {
        probe.cover(200);
    }
    let report = probe.finish();
    report.assert_no_loss();
    let octets = stream.finish();
    reach(&hosts[2], &hosts[1]);
    Row {
        fault: "four upgrades under load: same build, next ABI version, the same again, back",
        did: "programs replaced link by link; FDB kept, migrated entry by entry, kept, migrated back; same process number",
        lost: format!("0 of {} probes; one TCP stream unbroken ({} MB)", report.sent, octets >> 20),
        bridge: &docker0::upgrade(),
    }
    .say();
}

/// What an upgrade is refused with, and that nothing came of it.
fn refusal(lab: &Lab, what: &str) -> String {
    let started = lab.switch().status().started_ns;
    let output = lab.switch().cli(&["upgrade", "--json"]);
    assert!(!output.status.success(), "{what} took over");
    let error: serde_json::Value = serde_json::from_slice(&output.stdout).expect("an error in JSON");
    assert_eq!(error["error"]["code"], "upgrade-refused", "{what}: {error}");
    assert_eq!(lab.switch().status().started_ns, started, "{what} changed something");
    error["error"]["message"].as_str().expect("a message").to_owned()
}

#[test]
fn what_cannot_take_over_is_refused_and_changes_nothing() {
    let Some(mut lab) = lab_with_own_binary("refused upgrades") else { return };
    let hosts = lab.hosts("h", 2, &HostOptions::ipv4_only());
    hosts.iter().for_each(|host| drop(lab.connect(host, PortOptions::default())));
    let probe = Probe::start(&hosts[0], &hosts[1], 500);
    let own = lab.switch_mut().options_mut().binary.replace(vswitch_tests::switch::binary());
    let foreign = r#"{"version":"9.0.0","abi":99,"migrates":[98],"state":9,"programs":"0"}"#;
    let cases = [
        (format!("#!/bin/sh\necho '{foreign}'\n"), "ABI version 99"),
        (
            foreign.replace("99", &ABI_VERSION.to_string()).replace(r#""state":9"#, r#""state":0"#),
            "state files up to",
        ),
        ("#!/bin/sh\necho no such kernel >&2; exit 1\n".to_owned(), "no such kernel"),
        ("#!/bin/sh\necho hello\n".to_owned(), "no vswitch that can take over"),
    ];
    for (text, part) in cases {
        let text = if text.starts_with('#') { text } else { format!("#!/bin/sh\necho '{text}'\n") };
        let script = lab.scratch().script("other", &text);
        install(&lab, &script);
        let said = refusal(&lab, part);
        assert!(said.contains(part), "{said}");
        std::fs::remove_file(script).expect("it was just made");
    }
    install(&lab, &vswitch_tests::switch::binary());
    let folder = lab.scratch().path("");
    let mode = |bits| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(bits)).expect("our own folder");
    };
    mode(0o777);
    let said = refusal(&lab, "what anybody may write");
    assert!(said.contains("can be written by others than root"), "{said}");
    mode(0o755);
    // Maps of a version that nobody knows are refused at a start, too.
    lab.switch_mut().kill9();
    let pin = lab.switch().bpffs().join("maps/CONFIG");
    let set_abi = |abi: u8| {
        let mut update = Command::new("bpftool");
        update.args(["map", "update", "pinned"]).arg(&pin).args([
            "key",
            "0",
            "0",
            "0",
            "0",
            "value",
            &abi.to_string(),
        ]);
        // Then the most entries, the most moves and padding of `SwitchConfig`.
        let rest = "0 0 0  0 0 1 0  64 0 0 0  0 0 0 0";
        let done = update.args(rest.split_whitespace()).output().expect("bpftool is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    set_abi(77);
    let paths = [lab.switch().state_dir(), lab.switch().bpffs()].map(|path| path.display().to_string());
    let output =
        lab.switch().cli(&["run", "--state-dir", &paths[0], "--bpffs", &paths[1], "--no-docker-plugin"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && said.contains("ABI version 77") && said.contains("--bpffs"),
        "{said}"
    );
    set_abi(u8::try_from(ABI_VERSION).expect("a small number"));
    lab.switch_mut().options_mut().binary = own;
    lab.switch_mut().start_again();
    probe.cover(100);
    let report = probe.finish();
    report.assert_no_loss();
    Row {
        fault: "an upgrade to a foreign ABI version, an older state file, a binary that fails or that others can write",
        did: "refused with the reason and what to do; the running controller goes on",
        lost: format!("0 of {} probes", report.sent),
        bridge: "none: a new dockerd is started and either serves or does not",
    }
    .say();
}
