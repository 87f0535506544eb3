//! A real Docker engine in a namespace of the lab: dockerd with folders of its own, driven by nothing but its CLI.
//!
//! It lives in the network namespace it is given and in PID and mount namespaces of its own, whose first process stands
//! for the machine: when that goes, dockerd, containerd and every container go with it, as in a power failure. `/run` is
//! private, so that several engines never meet, and `/run/docker/plugins` is a folder of the lab's.

mod binaries;
mod container;
mod image;
mod machine;
pub mod script;
pub mod table;
mod world;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

pub use binaries::Binaries;
pub use image::IMAGE;
pub use world::{Driver, Left, MACHINE, MACHINE6, OUTSIDE, OUTSIDE6, World};

use crate::machine::Machine;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::{poll, until};

/// How long dockerd may take to serve, or to leave: with many containers on a busy machine.
const START_TIME: Duration = Duration::from_secs(60);

/// A Docker engine and its CLI; containers, networks and processes go away on drop.
pub struct Engine {
    dockerd: Option<Process>,
    machine: Option<Machine>,
    starts: u32,
    extra: Vec<String>,
    binaries: Binaries,
    namespace: Arc<Namespace>,
    scratch: Arc<Scratch>,
}

impl Engine {
    /// Starts dockerd in a network namespace, with further arguments (`--bip …`, `--bridge none`, `--live-restore`), and
    /// imports the image [`IMAGE`]. One engine per scratch folder.
    ///
    /// # Panics
    /// When there is no dockerd, or it does not serve in time; then with its log.
    #[must_use]
    pub fn start(namespace: &Arc<Namespace>, scratch: &Arc<Scratch>, extra: &[&str]) -> Self {
        Self::start_as(Binaries::chosen(), namespace, scratch, extra)
    }

    /// The same with an engine of one's own choice.
    ///
    /// # Panics
    /// As [`Engine::start`].
    #[must_use]
    pub fn start_as(
        binaries: Binaries,
        namespace: &Arc<Namespace>,
        scratch: &Arc<Scratch>,
        extra: &[&str],
    ) -> Self {
        let extra = extra.iter().map(ToString::to_string).collect();
        let (namespace, scratch) = (namespace.clone(), scratch.clone());
        let mut engine =
            Self { dockerd: None, machine: None, starts: 0, extra, binaries, namespace, scratch };
        engine.start_again();
        image::import(&engine);
        engine
    }

    /// Starts dockerd after [`Engine::stop`], [`Engine::kill9`] or [`Engine::power_off`], with the same folders.
    ///
    /// # Panics
    /// As [`Engine::start`].
    pub fn start_again(&mut self) {
        self.try_start_again().unwrap_or_else(|said| panic!("dockerd does not serve:\n{said}"));
    }

    /// As [`Engine::start_again`].
    ///
    /// # Errors
    /// What dockerd logged instead of serving.
    pub fn try_start_again(&mut self) -> Result<(), String> {
        assert!(self.dockerd.is_none(), "dockerd is running");
        self.starts += 1;
        let log = self.log_path();
        let plugins = self.plugins();
        let machine =
            self.machine.get_or_insert_with(|| machine::start(&self.namespace, &self.scratch, &plugins));
        let mut command = machine.command("dockerd");
        // Of its own kind are also containerd, runc and the rest, which it looks for there.
        command.env("PATH", self.binaries.search_path());
        let mut dockerd = Process::start(command.args(self.arguments()), &log);
        let ready = poll(START_TIME, || {
            let is_ready = self.docker(&["version"]).status.success();
            (is_ready || dockerd.status().is_some()).then_some(is_ready)
        });
        if ready != Some(true) {
            return Err(dockerd.output());
        }
        self.dockerd = Some(dockerd);
        Ok(())
    }

    /// Process id of dockerd, as the lab sees it.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn daemon_pid(&self) -> u32 {
        let entered = self.dockerd.as_ref().expect("dockerd is running").pid();
        let children = std::fs::read_to_string(format!("/proc/{entered}/task/{entered}/children"));
        let children = children.expect("dockerd is running");
        children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("a child of nsenter")
    }

    /// The folder of dockerd's files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    fn arguments(&self) -> Vec<String> {
        let place = |name: &str| self.folder().join(name).display().to_string();
        let config = self.folder().join("daemon.json");
        std::fs::write(&config, "{}").expect("the lab's folder is writable");
        let pairs = [
            ("--data-root", place("data")),
            ("--exec-root", place("exec")),
            ("--pidfile", place("pid")),
            ("--config-file", config.display().to_string()),
            ("--host", self.host_url()),
            // Control groups can be told by their name whose they are, and swept.
            ("--cgroup-parent", self.scratch.cgroup()),
        ];
        let pairs = pairs.into_iter().flat_map(|(key, value)| [key.to_owned(), value]);
        pairs.chain(self.extra.iter().cloned()).collect()
    }

    /// The network namespace it runs in.
    #[must_use]
    pub fn namespace(&self) -> &Arc<Namespace> {
        &self.namespace
    }

    /// The folder whose sockets dockerd finds in `/run/docker/plugins`.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.scratch.path("plugins")
    }

    /// The engine's own socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder().join("docker.sock")
    }

    /// What a command of Docker's CLI prints and how it ends.
    ///
    /// # Panics
    /// Only when there is no CLI.
    #[must_use]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("docker is installed: `cargo xtask setup`")
    }

    /// Such a command, to be run.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binaries.client());
        command.arg("--host").arg(self.host_url()).args(arguments).stdin(Stdio::null());
        // What the user's own client is configured to is no part of the test.
        command.env("DOCKER_CONFIG", self.folder().join("client"));
        command
    }

    /// The trimmed stdout of a command that must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "docker {} ended with {}: {stdout}{}",
            arguments.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        stdout
    }

    /// The trimmed stderr of a command that must fail.
    ///
    /// # Panics
    /// When it succeeds.
    #[track_caller]
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.docker(arguments);
        assert!(!output.status.success(), "docker {} was done", arguments.join(" "));
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    }

    /// What `docker inspect` says of one object.
    ///
    /// # Panics
    /// When there is no such object.
    #[must_use]
    #[track_caller]
    pub fn inspect(&self, kind: &str, name: &str) -> Value {
        let text = self.ok(&["inspect", "--type", kind, name]);
        let mut all: Vec<Value> = serde_json::from_str(&text).expect("docker inspect prints JSON");
        all.pop().expect("docker inspect shows what it was asked for")
    }

    /// Kills dockerd without warning; its containers run on until the next start, unless it is told to keep them.
    pub fn kill9(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Asks dockerd to leave: it stops its containers, unless it is told to keep them.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    fn end(&mut self, signal: Signal) {
        let mut dockerd = self.dockerd.take().expect("dockerd is running");
        let pid = std::fs::read_to_string(self.folder().join("pid")).expect("dockerd wrote its pid file");
        let number = (signal as i32).to_string();
        let machine = self.machine.as_ref().expect("dockerd runs in it");
        let _gone_already = machine.command("kill").args(["-s", &number, pid.trim()]).status();
        let ended = dockerd.wait(START_TIME);
        assert!(ended.is_some(), "dockerd did not end on {signal}:\n{}", dockerd.output());
    }

    /// The power fails: dockerd, containerd and every container are gone at once, and their namespaces with them.
    pub fn power_off(&mut self) {
        drop(self.machine.take());
        drop(self.dockerd.take());
        self.scratch.remove_cgroup();
        // What is under /run on a machine.
        let _none = std::fs::remove_file(self.folder().join("pid"));
        let _none = std::fs::remove_dir_all(self.folder().join("exec"));
    }

    /// What dockerd logged since its last start, also after its end.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.scratch.path(&format!("dockerd-{}.log", self.starts))
    }

    fn host_url(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn folder(&self) -> PathBuf {
        let folder = self.scratch.path("docker");
        std::fs::create_dir_all(&folder).expect("the lab's folder is writable");
        folder
    }

    /// Waits until a command of Docker's CLI succeeds.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn until_ok(&self, arguments: &[&str], within: Duration) -> String {
        until(&format!("docker {}", arguments.join(" ")), within, || {
            let output = self.docker(arguments);
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.starts > 0 {
            eprintln!("--- dockerd said (start {}):\n{}", self.starts, self.log());
        }
        self.power_off();
    }
}
