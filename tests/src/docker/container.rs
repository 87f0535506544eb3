//! Containers of an engine: started, looked into, entered.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Command, Output};

use serde_json::Value;

use super::{Engine, IMAGE};
use crate::lab::{Host, HostOptions};
use crate::namespace::Namespace;
use crate::scratch::unique_name;

impl Engine {
    /// Runs a container that does nothing until it is removed; `options` are those of `docker run`. Gives its id.
    ///
    /// # Panics
    /// When Docker refuses.
    #[track_caller]
    pub fn run(&self, name: &str, options: &[&str]) -> String {
        self.ok(&Self::run_arguments(name, options, &["sleep", "86400"]))
    }

    /// The arguments of `docker run` for a container that runs `program` in the background.
    #[must_use]
    pub fn run_arguments<'a>(name: &'a str, options: &[&'a str], program: &[&'a str]) -> Vec<&'a str> {
        // As the first process of a PID namespace it would not hear SIGTERM, and dockerd would wait for ten seconds.
        let fixed = ["run", "--detach", "--stop-signal", "KILL", "--name", name];
        [&fixed, options, &[IMAGE], program].concat()
    }

    /// Removes containers, running or not.
    ///
    /// # Panics
    /// When Docker refuses.
    #[track_caller]
    pub fn remove(&self, names: &[&str]) {
        self.ok(&[&["rm", "--force"], names].concat());
    }

    /// What a command in a container prints and how it ends.
    #[must_use]
    pub fn exec(&self, container: &str, arguments: &[&str]) -> Output {
        self.docker(&[&["exec", container], arguments].concat())
    }

    /// The trimmed stdout of a command in a container that must succeed.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn exec_ok(&self, container: &str, arguments: &[&str]) -> String {
        self.ok(&[&["exec", container], arguments].concat())
    }

    /// What `docker inspect` says of a container at a network.
    ///
    /// # Panics
    /// When there is no such container.
    #[must_use]
    #[track_caller]
    pub fn endpoint(&self, container: &str, network: &str) -> Value {
        self.inspect("container", container)["NetworkSettings"]["Networks"][network].take()
    }

    /// IPv4 address of a container at a network.
    ///
    /// # Panics
    /// When it has none there.
    #[must_use]
    #[track_caller]
    pub fn ipv4(&self, container: &str, network: &str) -> Ipv4Addr {
        let endpoint = self.endpoint(container, network);
        let address = endpoint["IPAddress"].as_str().and_then(|address| address.parse().ok());
        address.unwrap_or_else(|| panic!("{container} has no address at {network}: {endpoint}"))
    }

    /// Process id of a container's first process, as the lab sees it.
    ///
    /// # Panics
    /// When the container does not run.
    #[must_use]
    #[track_caller]
    pub fn pid(&self, container: &str) -> u32 {
        let id = self.ok(&["inspect", "--format", "{{.Id}}", container]);
        let found = fs::read_dir("/proc").expect("there is a /proc").flatten().find_map(|entry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let is_in = fs::read_to_string(entry.path().join("cgroup")).ok()?.contains(&id);
            (is_in && is_first(pid)).then_some(pid)
        });
        found.unwrap_or_else(|| panic!("container {container} does not run"))
    }

    /// A container's network namespace under a name of the lab's: for traffic and sniffers of the tests. It outlives the
    /// container until it is dropped.
    ///
    /// # Panics
    /// When the container does not run.
    #[must_use]
    #[track_caller]
    pub fn container_namespace(&self, container: &str) -> Namespace {
        let name = format!("{}-{container}", unique_name());
        let pid = self.pid(container).to_string();
        let attached = Command::new("ip").args(["netns", "attach", &name, &pid]).output();
        let attached = attached.expect("iproute2 is installed");
        assert!(attached.status.success(), "{}", String::from_utf8_lossy(&attached.stderr));
        Namespace::existing(&name)
    }

    /// A container as a host of the lab. Its address at `network` must be 10.77.S.N.
    ///
    /// # Panics
    /// When it is not, or the container does not run.
    #[must_use]
    #[track_caller]
    pub fn host(&self, container: &str, network: &str) -> Host {
        let ip = self.ipv4(container, network);
        let [10, 77, subnet, number] = ip.octets() else { panic!("{container} has {ip}: not in 10.77/16") };
        let options = HostOptions::ipv4_only().subnet(subnet).number(number);
        Host::adopt(container, self.container_namespace(container), options)
    }
}

/// Whether a process is the first of its PID namespace.
fn is_first(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    ids.and_then(|ids| ids.split_whitespace().next_back()) == Some("1")
}
