//! One network namespace: made by name, entered by closures and by commands, deleted on drop.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::scratch::NAMESPACES;

/// A named network namespace.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one with its loopback up.
    ///
    /// # Panics
    /// When it cannot be made: not root, or the name is taken.
    #[must_use]
    pub fn create(name: &str) -> Self {
        let made = Command::new("ip").args(["netns", "add", name]).output().expect("iproute2 is installed");
        assert!(made.status.success(), "ip netns add {name}: {}", String::from_utf8_lossy(&made.stderr));
        let namespace = Self { name: name.to_owned() };
        namespace.ip(&["link set dev lo up"]);
        namespace
    }

    /// One that is there under this name; deleted on drop all the same.
    #[must_use]
    pub fn existing(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// The power fails: the processes inside are killed, and an empty namespace takes its place under the same name.
    ///
    /// # Panics
    /// When it cannot be made again.
    pub fn remake(&self) {
        crate::scratch::end_processes(&self.name);
        let deleted = Command::new("ip").args(["netns", "del", &self.name]).output();
        assert!(deleted.is_ok_and(|done| done.status.success()), "cannot delete namespace {}", self.name);
        std::mem::forget(Self::create(&self.name));
    }

    /// The name iproute2 knows.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for the namespace.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new(NAMESPACES).join(&self.name)
    }

    /// What `work` returns when run on a thread inside; its panic goes on in the caller.
    ///
    /// Inside, `/proc/sys/net` and `/proc/thread-self/net` are the namespace's; `/proc/net` is not.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            self.enter();
            work()
        };
        thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Moves the calling thread in, for good: for threads that the lab starts.
    ///
    /// # Panics
    /// When the namespace is gone.
    pub fn enter(&self) {
        let file = File::open(self.path())
            .unwrap_or_else(|error| panic!("namespace {} is gone: {error}", self.name));
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter a network namespace");
    }

    /// A command that will run inside. `ip netns exec` would hide bpffs, so it is nsenter.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program).stdin(Stdio::null());
        command
    }

    /// Output of a command run inside.
    ///
    /// # Panics
    /// When it fails; the panic shows its stderr.
    #[track_caller]
    pub fn output(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.command(program).args(arguments).output().expect("nsenter is installed");
        assert!(
            output.status.success(),
            "{program} {} in {}: {}{}",
            arguments.join(" "),
            self.name,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs iproute2 commands, one a line, without the leading `ip`.
    ///
    /// # Panics
    /// When one fails.
    #[track_caller]
    pub fn ip(&self, lines: &[impl AsRef<str>]) {
        let mut batch = Command::new("ip")
            .args(["-n", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("iproute2 is installed");
        let text: String = lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect();
        batch.stdin.take().expect("stdin is piped").write_all(text.as_bytes()).expect("ip reads its batch");
        let output = batch.wait_with_output().expect("the child can be waited for");
        assert!(
            output.status.success(),
            "in {}: {}\n{text}",
            self.name,
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What `ip -j` says inside.
    ///
    /// # Panics
    /// When it fails or prints no JSON.
    #[must_use]
    #[track_caller]
    pub fn ip_json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = Command::new("ip")
            .args(["-n", &self.name, "-d", "-j"])
            .args(arguments)
            .output()
            .expect("iproute2 is installed");
        assert!(
            output.status.success(),
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        if output.stdout.iter().all(u8::is_ascii_whitespace) {
            return serde_json::Value::Array(Vec::new());
        }
        serde_json::from_slice(&output.stdout).expect("ip -j prints JSON")
    }

    /// Text of a file as it reads inside.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        self.run(|| {
            fs::read_to_string(path).unwrap_or_else(|error| panic!("{path} in {}: {error}", self.name))
        })
    }

    /// Sets `/proc/sys/net/KEY`.
    ///
    /// # Panics
    /// When there is no such key.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        self.run(|| {
            fs::write(&path, value).unwrap_or_else(|error| panic!("{path} in {}: {error}", self.name));
        });
    }

    /// Whether a link of this name is there.
    #[must_use]
    pub fn has_link(&self, link: &str) -> bool {
        self.link_index(link).is_some()
    }

    /// Index of a link.
    #[must_use]
    pub fn link_index(&self, link: &str) -> Option<u32> {
        self.run(|| nix::net::if_::if_nametoindex(link).ok())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).output();
    }
}
