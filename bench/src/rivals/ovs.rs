//! Open vSwitch in user space, in a namespace and folder of its own: database, daemon and one bridge.
//!
//! Its polling threads never sleep, so between its turns the daemon is stopped by SIGSTOP.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;
use vswitch_tests::namespace::Namespace;
use vswitch_tests::process::Process;
use vswitch_tests::scratch::Scratch;
use vswitch_tests::wait::{SOON, poll};

/// The description of its database that its package brings.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Its bridge.
const BRIDGE: &str = "ovs0";

/// A running Open vSwitch.
pub(super) struct Ovs {
    // The daemon leaves before its database.
    daemon: Process,
    _database: Process,
}

impl Ovs {
    /// Starts it and makes links of the namespace its ports.
    pub(super) fn start(
        namespace: &Arc<Namespace>,
        scratch: &Arc<Scratch>,
        ports: &[&str],
        afxdp: bool,
    ) -> Result<Self> {
        if !Path::new(SCHEMA).exists() {
            bail!("Open vSwitch is not installed: `apt-get install openvswitch-switch`");
        }
        let (file, socket) = (scratch.path("ovs.db"), scratch.path("ovs.sock"));
        let mut tool = Command::new("ovsdb-tool");
        tool.arg("create").arg(&file).arg(SCHEMA);
        done(&mut tool)?;
        let mut command = namespace.command("ovsdb-server");
        command.arg(&file).arg(format!("--remote=punix:{}", socket.display()));
        command.arg(format!("--unixctl={}", scratch.path("ovsdb.ctl").display()));
        let database = Process::start(&mut command, &scratch.path("ovsdb.log"));
        poll(SOON, || socket.exists().then_some(())).context("ovsdb-server makes no socket")?;

        let database_at = format!("unix:{}", socket.display());
        let ctl = || {
            let mut command = namespace.command("ovs-vsctl");
            command.arg(format!("--db={database_at}"));
            command
        };
        done(ctl().args(["--no-wait", "init"]))?;
        let mut command = namespace.command("ovs-vswitchd");
        command.arg(&database_at).arg(format!("--unixctl={}", scratch.path("ovs.ctl").display()));
        let daemon = Process::start(&mut command, &scratch.path("ovs.log"));

        let mut add = ctl();
        add.args(["--timeout=20", "add-br", BRIDGE]);
        add.args(["--", "set", "bridge", BRIDGE, "datapath_type=netdev", "fail_mode=standalone"]);
        for port in ports {
            add.args(["--", "add-port", BRIDGE, port]);
            if afxdp {
                add.args(["--", "set", "interface", port, "type=afxdp", "options:n_rxq=1"]);
            }
        }
        done(&mut add).with_context(|| format!("ovs-vswitchd said: {}", daemon.output()))?;
        let mut show = ctl();
        show.args(["--bare", "--columns=name,error", "find", "interface", "error!=[]"]);
        let errors = done(&mut show)?;
        if !errors.trim().is_empty() {
            bail!("it refuses a port: {}", errors.trim());
        }
        Ok(Self { daemon, _database: database })
    }

    /// Stops it where it is.
    pub(super) fn pause(&self) {
        self.daemon.signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) {
        self.daemon.signal(Signal::SIGCONT);
    }
}

/// Runs a command to its end and gives what it printed.
fn done(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
