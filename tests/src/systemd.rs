//! A real systemd as the first process of a machine of its own, with vswitch installed in it as `cargo xtask install` does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use crate::hooks::skip;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::scratch::Scratch;
use crate::wait::{SOON, until};

const BOOT: &str = include_str!("systemd/boot.sh");

/// Where further settings of the unit are.
const DROP_INS: &str = "/run/systemd/system/vswitch.service.d";

/// The machine; it goes away on drop, with all that ran in it.
pub struct Systemd {
    machine: Option<Machine>,
    scratch: Arc<Scratch>,
}

impl Systemd {
    /// Boots one in the namespace of the lab's switch, which should not run, and installs vswitch. Hosts that the lab gets
    /// later are not seen by it. `None`, said aloud, where the kernel has not the namespaces for that.
    ///
    /// # Panics
    /// When it does not come up; then with what it said.
    #[must_use]
    pub fn boot(lab: &Lab, title: &str) -> Option<Self> {
        if let Err(reason) = can_boot() {
            skip(title, &reason);
            return None;
        }
        let scratch = lab.scratch().clone();
        let mut boot = lab.switch_ns().command("unshare");
        boot.args(["--mount", "--propagation", "private", "--uts", "--ipc", "sh"]);
        boot.arg(scratch.script("boot.sh", BOOT)).arg("outer").arg(scratch.path("machine"));
        boot.arg(&scratch.cgroup()[1..]).arg(xtask()).arg(crate::switch::binary());
        let machine = Machine::boot(&mut boot, &scratch.path("boot.log"));
        let systemd = Self { machine: Some(machine), scratch };
        until("systemd to be up", SOON, || {
            let said = systemd.run("systemctl", &["is-system-running"]).stdout;
            [&b"running\n"[..], b"degraded\n"].contains(&&said[..]).then_some(())
        });
        systemd.ok("/run/lab/xtask", &["install", "--built", "/run/lab/vswitch"]);
        systemd.ok("systemctl", &["daemon-reload"]);
        Some(systemd)
    }

    fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("it is there until it is dropped")
    }

    /// What a command does inside.
    ///
    /// # Panics
    /// When there is no such program.
    #[must_use]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.machine().command(program).args(arguments).output().expect("nsenter is installed")
    }

    /// The stdout of a command that must succeed inside.
    ///
    /// # Panics
    /// When it does not; with the journal.
    #[track_caller]
    pub fn ok(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "{program} {}: {}{}\n{}\n{}",
            arguments.join(" "),
            text(&output.stdout),
            text(&output.stderr),
            self.machine().output(),
            self.journal()
        );
        text(&output.stdout)
    }

    /// What unit `vswitch` logged.
    #[must_use]
    pub fn journal(&self) -> String {
        let output = self.run("journalctl", &["--no-pager", "--unit", "vswitch"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What `systemctl show` says of the unit: `MainPID`, `ActiveState`, …
    #[must_use]
    #[track_caller]
    pub fn property(&self, name: &str) -> String {
        self.ok("systemctl", &["show", "vswitch", "--value", "--property", name]).trim().to_owned()
    }

    /// Sets something of the unit's section `[Service]` from its next start on.
    ///
    /// # Panics
    /// When there is no such setting.
    #[track_caller]
    pub fn set(&self, setting: &str) {
        let folder = PathBuf::from(format!("/proc/{}/root{DROP_INS}", self.machine().first()));
        fs::create_dir_all(&folder).expect("the machine's /run is in memory");
        fs::write(folder.join("test.conf"), format!("[Service]\n{setting}\n")).expect("as above");
        self.ok("systemctl", &["daemon-reload"]);
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        self.machine = None;
        self.scratch.remove_cgroup();
    }
}

/// Whether there is what systemd needs of the kernel.
fn can_boot() -> Result<(), String> {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    for wanted in ["overlay", "cgroup2", "bpf"] {
        if !known.lines().any(|line| line.split_whitespace().last() == Some(wanted)) {
            // A module that was not needed yet is not in the list.
            let _none = Command::new("modprobe").arg(wanted).stderr(Stdio::null()).status();
        }
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.lines().any(|line| line.split_whitespace().last() == Some(wanted)) {
            return Err(format!("the kernel has no {wanted}"));
        }
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--cgroup", "--uts", "--ipc", "--fork", "true"]);
    let output = unshare.output().expect("util-linux is installed");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("the kernel forbids the namespaces: {said}")) }
}

/// The program of `cargo xtask`: `$VSWITCH_XTASK`, else built now.
fn xtask() -> PathBuf {
    if let Some(named) = std::env::var_os("VSWITCH_XTASK") {
        return named.into();
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let output =
        build.args(["build", "--package", "xtask"]).current_dir(workspace).output().expect("cargo is there");
    assert!(output.status.success(), "{build:?}: {}", String::from_utf8_lossy(&output.stderr));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    target.join("debug/xtask")
}
