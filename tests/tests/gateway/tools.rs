//! The firewalls that Debian's hosts have, ufw and firewalld themselves, with settings of their own: their rules stay octet for
//! octet as they were, and what vswitch says is to be done works when it is typed.

use std::cell::Cell;
use std::process::Command;

use vswitch_tests::prelude::*;
use vswitch_tests::process::Process;
use vswitch_tests::wait::poll;
use vswitch_tests::world::world;

use crate::firewall::heeded;

/// A bus for one daemon and its client.
const BUS: &str = r#"<busconfig><type>system</type><listen>unix:path=@/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>"#;

/// A firewall's tool in front of the path, and what runs for it.
struct Tool {
    path: String,
    _daemons: Vec<Process>,
}

/// Makes `name`, a script in a folder of the lab's own, what the shell finds by that name.
fn tool(lab: &Lab, name: &str, script: &str, daemons: Vec<Process>) -> Tool {
    let folder = lab.scratch().path("tools");
    std::fs::create_dir_all(&folder).expect("the lab's folder is writable");
    let _its_path = lab.scratch().script(&format!("tools/{name}"), script);
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("there is a path"));
    Tool { path, _daemons: daemons }
}

/// ufw, switched on, its settings a copy of what the package brings.
fn ufw(lab: &Lab) -> Tool {
    let settings = lab.scratch().path("ufw-settings");
    let copied = Command::new("cp").arg("-a").arg("/etc/ufw").arg(&settings).status();
    assert!(copied.is_ok_and(|status| status.success()), "ufw is installed");
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -ec 'mount --bind {} /etc/ufw; exec /usr/sbin/ufw \"$@\"' ufw \"$@\"\n",
        settings.display()
    );
    let tool = tool(lab, "ufw", &script, Vec::new());
    lab.switch_ns().output("sh", &["-ec", &format!("PATH='{}'; ufw --force enable", tool.path)]);
    tool
}

/// firewalld with the package's zones, on a bus of its own.
fn firewalld(lab: &Lab) -> Tool {
    let file = |name: &str| lab.scratch().path(name);
    let folder = file("firewalld");
    std::fs::create_dir_all(&folder).expect("the lab's folder is writable");
    let configuration = folder.join("bus.conf");
    std::fs::write(&configuration, BUS.replace('@', &folder.display().to_string())).expect("as above");
    let mut bus = lab.switch_ns().command("dbus-daemon");
    bus.arg("--config-file").arg(&configuration).args(["--nofork", "--nopidfile"]);
    let bus = Process::start(&mut bus, &file("bus.log"));
    until("the bus to listen", SOON, || folder.join("bus").exists().then_some(()));
    let address = format!("unix:path={}", folder.join("bus").display());
    let mut daemon = lab.switch_ns().command("firewalld");
    daemon.args(["--nofork", "--nopid", "--system-config"]).arg(&folder);
    daemon.arg("--log-file").arg(folder.join("log")).env("DBUS_SYSTEM_BUS_ADDRESS", &address);
    let daemon = Process::start(&mut daemon, &file("firewalld.log"));
    let script =
        format!("#!/bin/sh\nDBUS_SYSTEM_BUS_ADDRESS='{address}' exec /usr/bin/firewall-cmd \"$@\"\n");
    let tool = tool(lab, "firewall-cmd", &script, vec![daemon, bus]);
    let state = format!("PATH='{}'; firewall-cmd --state", tool.path);
    let mut said = None;
    let is_running = poll(Duration::from_secs(30), || {
        said = lab.switch_ns().command("sh").args(["-ec", &state]).output().ok();
        said.as_ref().is_some_and(|output| output.status.success()).then_some(())
    });
    let log = || std::fs::read_to_string(lab.scratch().path("firewalld.log"));
    assert!(is_running.is_some(), "firewalld does not run: {said:?} {:?}", log());
    tool
}

/// All rules but vswitch's own, without counters.
fn rules_of_others(lab: &Lab) -> String {
    let tables = lab.switch_ns().output("nft", &["list", "tables"]);
    let others = tables.lines().filter(|line| !line.contains("vswitch"));
    let rules = others.map(|table| {
        let words = [&["--stateless", "list"], &table.split_whitespace().collect::<Vec<_>>()[..]].concat();
        lab.switch_ns().output("nft", &words)
    });
    rules.collect()
}

#[track_caller]
fn obeyed(whose: &str, start: fn(&Lab) -> Tool, word: &str) {
    let (mut lab, outside) = world(whose);
    let tool = start(&lab);
    let before = rules_of_others(&lab);
    assert!(before.contains("hook forward"), "{whose} has no rules: {before}");
    let is_told = Cell::new(false);
    let run = |lab: &Lab, remedy: &str| {
        if !is_told.replace(true) {
            assert_eq!(rules_of_others(lab), before, "{whose}: not as they were");
        }
        lab.switch_ns().output("sh", &["-ec", &format!("PATH='{}'; {remedy}", tool.path)]);
    };
    heeded(&mut lab, &outside, whose, word, run);
    let helped = rules_of_others(&lab);
    lab.switch_mut().teardown();
    assert_eq!(rules_of_others(&lab), helped, "{whose}: not as they were after the teardown");
}

#[test]
fn ufw_is_obeyed_and_left_as_it_is() {
    obeyed("ufw", ufw, "ufw route allow");
}

#[test]
fn firewalld_is_obeyed_and_left_as_it_is() {
    obeyed("firewalld", firewalld, "firewall-cmd --zone=trusted");
}
