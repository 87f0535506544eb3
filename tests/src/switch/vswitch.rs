//! The real vswitch as a child process in the switch's namespace, driven by nothing but its CLI.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Output};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use vswitch::api::types::{Counters, FdbEntry, Port, PortState, PortStats, Status};

use crate::lab::PortOptions;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::{SOON, poll, until};

/// How long the controller may take to be ready: loading and verifying programs on a busy machine included.
const START_TIME: Duration = Duration::from_secs(30);

/// How to run the controller, beyond paths.
#[derive(Debug, Clone, Default)]
pub struct SwitchOptions {
    /// Further arguments of `vswitch run`.
    pub extra: Vec<String>,
    /// A program and its arguments that becomes the controller: `env PATH=…`, `unshare …`; none if empty.
    pub launcher: Vec<String>,
    /// Where it serves Docker engines; none is nowhere.
    pub docker_plugin: Option<PathBuf>,
    /// The binary, where it is not [`binary`].
    pub binary: Option<PathBuf>,
}

/// A controller and its CLI.
pub struct Switch {
    controller: Option<Process>,
    starts: u32,
    options: SwitchOptions,
    namespace: Arc<Namespace>,
    scratch: Arc<Scratch>,
}

impl Switch {
    /// Starts the controller in a namespace and waits for its `ready` line.
    ///
    /// # Panics
    /// When there is no binary, or it is not ready in time; then with its log.
    #[must_use]
    pub fn start(namespace: &Arc<Namespace>, scratch: &Arc<Scratch>, options: &SwitchOptions) -> Self {
        let (namespace, scratch) = (namespace.clone(), scratch.clone());
        let mut switch = Self { controller: None, starts: 0, options: options.clone(), namespace, scratch };
        switch.start_again();
        switch
    }

    /// Starts the controller after [`Switch::kill9`] or [`Switch::stop`], with the same paths.
    ///
    /// # Panics
    /// As [`Switch::start`].
    pub fn start_again(&mut self) {
        assert!(self.controller.is_none(), "the controller is running");
        self.starts += 1;
        let log = self.log_path();
        let mut words =
            self.options.launcher.iter().map(OsString::from).chain([self.binary().into_os_string()]);
        let mut command = self.namespace.command(words.next().expect("the binary at least"));
        command
            .args(words)
            .arg("run")
            .arg("--socket")
            .arg(self.socket())
            .arg("--state-dir")
            .arg(self.state_dir());
        command.arg("--bpffs").arg(self.bpffs());
        match &self.options.docker_plugin {
            Some(path) => command.arg("--docker-plugin").arg(path),
            None => command.arg("--no-docker-plugin"),
        };
        command.args(&self.options.extra);
        let mut controller = Process::start(&mut command, &log);
        let ready = poll(START_TIME, || {
            let is_ready = controller.output().lines().any(|line| line.starts_with("ready"));
            (is_ready || controller.status().is_some()).then_some(is_ready)
        });
        let log = controller.output();
        match ready {
            Some(true) => self.controller = Some(controller),
            Some(false) => {
                panic!("vswitch ended with {:?} instead of being ready:\n{log}", controller.status())
            }
            None => panic!("vswitch was not ready within {START_TIME:?}:\n{log}"),
        }
    }

    /// How it is run from the next start on.
    pub fn options_mut(&mut self) -> &mut SwitchOptions {
        &mut self.options
    }

    fn binary(&self) -> PathBuf {
        self.options.binary.clone().unwrap_or_else(binary)
    }

    /// Path of the control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.scratch.path("vswitch.sock")
    }

    /// The folder of its durable state.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.scratch.path("state")
    }

    /// Its durable state: the document, with the ports and networks that the journal behind it says have changed since.
    ///
    /// # Panics
    /// When there is none, or it is not whole.
    #[must_use]
    #[track_caller]
    pub fn durable_state(&self) -> serde_json::Value {
        let json =
            |text: &[u8]| -> serde_json::Value { serde_json::from_slice(text).expect("the state is JSON") };
        let folder = self.state_dir();
        let mut state =
            json(&std::fs::read(folder.join("state.json")).expect("the switch has saved its state"));
        let journal = folder.join(format!("state.journal.{}", state["journal"]));
        let lines = std::fs::read_to_string(journal).unwrap_or_default();
        for line in lines.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let change = json(line.as_bytes());
            let (table, key, what) = match &change["name"] {
                serde_json::Value::String(name) => ("networks", name.clone(), &change["network"]),
                _ => ("ports", change["slot"].to_string(), &change["port"]),
            };
            let table = state[table].as_object_mut().expect("the state has ports and networks");
            match what {
                serde_json::Value::Null => drop(table.remove(&key)),
                what => drop(table.insert(key, what.clone())),
            }
        }
        // Its number is of no account, and another with each start.
        let _number = state.as_object_mut().and_then(|state| state.remove("journal"));
        state
    }

    /// The folder of its pins, in the lab's private bpffs.
    #[must_use]
    pub fn bpffs(&self) -> PathBuf {
        self.scratch.bpffs().join("vswitch")
    }

    /// The namespace it runs in.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// Process id of the controller while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.controller.as_ref().map(Process::pid)
    }

    /// What a CLI command prints and how it ends.
    ///
    /// # Panics
    /// Only when the binary cannot be run.
    #[must_use]
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.namespace.command(self.binary());
        command.arg("--socket").arg(self.socket()).args(arguments).output().expect("nsenter is installed")
    }

    /// A client that writes down events, from when it is returned on.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn monitor(&self) -> Process {
        let mut command = self.namespace.command(self.binary());
        command.arg("--socket").arg(self.socket()).args(["--json", "monitor"]);
        let monitor = Process::start(&mut command, &self.scratch.path("monitor.log"));
        // Its connection stands a moment later.
        std::thread::sleep(Duration::from_millis(500));
        monitor
    }

    /// The stdout of a CLI command that must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.cli(arguments);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "vswitch {} ended with {}: {stdout}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        stdout
    }

    /// What a CLI command prints with `--json`.
    ///
    /// # Panics
    /// When it fails or prints another shape.
    #[must_use]
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> T {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("vswitch {}: {error}: {text}", arguments.join(" ")))
    }

    /// `port add`, then waits until the port forwards.
    ///
    /// # Panics
    /// When it is refused, or stays down.
    #[track_caller]
    pub fn port_add(&self, link: &str, options: &PortOptions) {
        let extra = options.arguments();
        let arguments: Vec<&str> =
            ["port", "add", link].into_iter().chain(extra.iter().map(String::as_str)).collect();
        self.ok(&arguments);
        self.wait_for_state(link, PortState::Forwarding);
    }

    /// Waits for a port's state.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn wait_for_state(&self, link: &str, state: PortState) {
        until(&format!("port {link} to be {state:?}"), SOON, || {
            (self.port_show(link).state == state).then_some(())
        });
    }

    /// One port.
    ///
    /// # Panics
    /// When it is no port.
    #[must_use]
    #[track_caller]
    pub fn port_show(&self, link: &str) -> Port {
        self.json::<Vec<Port>>(&["port", "show", link]).pop().expect("port show LINK shows the one port")
    }

    /// All ports.
    #[must_use]
    #[track_caller]
    pub fn ports(&self) -> Vec<Port> {
        self.json(&["port", "show"])
    }

    /// FDB entries; `filter` is `--port a0` and the like.
    #[must_use]
    #[track_caller]
    pub fn fdb_show(&self, filter: &[&str]) -> Vec<FdbEntry> {
        self.json(&[&["fdb", "show"], filter].concat())
    }

    /// Counters of all ports.
    #[must_use]
    #[track_caller]
    pub fn stats(&self) -> Vec<PortStats> {
        self.json(&["stats"])
    }

    /// Counters of one port.
    ///
    /// # Panics
    /// When it is no port.
    #[must_use]
    #[track_caller]
    pub fn counters(&self, port: &str) -> Counters {
        self.json::<Vec<PortStats>>(&["stats", port]).pop().expect("stats LINK shows the one port").counters
    }

    /// What `status` says.
    #[must_use]
    #[track_caller]
    pub fn status(&self) -> Status {
        self.json(&["status"])
    }

    /// Kills the controller without warning; the data path stays.
    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Asks the controller to leave and returns how it ended; the data path stays.
    pub fn stop(&mut self) -> ExitStatus {
        self.end(Signal::SIGTERM)
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        let mut controller = self.controller.take().expect("the controller is running");
        controller.signal(signal);
        controller
            .wait(SOON)
            .unwrap_or_else(|| panic!("vswitch did not end on {signal}:\n{}", controller.output()))
    }

    /// Stops the controller and starts it anew with further arguments of `vswitch run`.
    ///
    /// # Panics
    /// As [`Switch::start`].
    pub fn restart_with(&mut self, extra: &[&str]) {
        self.options.extra = extra.iter().map(ToString::to_string).collect();
        self.restart();
    }

    /// Stops and starts the controller.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// `vswitch teardown --yes`; the controller, if it runs, ends with it.
    ///
    /// # Panics
    /// When it fails, or the controller stays.
    #[track_caller]
    pub fn teardown(&mut self) {
        let (state, pins) = (self.state_dir().display().to_string(), self.bpffs().display().to_string());
        // The paths count when no controller is there to ask.
        self.ok(&["teardown", "--yes", "--state-dir", &state, "--bpffs", &pins]);
        if let Some(mut controller) = self.controller.take() {
            let ended = controller.wait(SOON);
            assert!(ended.is_some(), "the controller outlived its teardown:\n{}", controller.output());
        }
    }

    /// What the controller logged since its last start, also after its end.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path(&format!("vswitch-{}.log", self.starts))
    }

    /// Prints the log and the ports, for a test that failed.
    pub fn explain(&self) {
        eprintln!("--- vswitch said (start {}):\n{}", self.starts, self.log());
        if self.controller.is_some() {
            for command in [["port", "show", "--json"], ["fdb", "show", "--json"]] {
                eprintln!(
                    "--- {}:\n{}",
                    command.join(" "),
                    String::from_utf8_lossy(&self.cli(&command).stdout)
                );
            }
        }
    }
}

/// The binary under test: `$VSWITCH_BIN`, else the newer of the workspace's two builds.
///
/// # Panics
/// When there is none; the message says how to get one.
#[must_use]
pub fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("VSWITCH_BIN") {
        let path = PathBuf::from(named);
        assert!(path.is_file(), "VSWITCH_BIN={}: no such file", path.display());
        return path;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in a workspace");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let built = |profile: &str| {
        let path = target.join(profile).join("vswitch");
        let at = path.metadata().and_then(|data| data.modified()).ok()?;
        Some((at, path))
    };
    ["release", "debug"].into_iter().filter_map(built).max().map_or_else(
        || {
            panic!(
                "no vswitch in {}: build it with `cargo build -p vswitch`, or set VSWITCH_BIN",
                target.display()
            )
        },
        |(_, path)| path,
    )
}
