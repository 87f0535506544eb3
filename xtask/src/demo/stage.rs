//! What the demo stands on: namespaces, veth pairs, a controller with folders of its own, and their end.
//!
//! Whatever exists goes when the stage is dropped, on an error and a panic too. A demo that was killed outright leaves
//! its namespaces; the next one removes those of processes that are gone.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::interrupt::Interrupts;
use super::show;
use crate::process::{read, run, shown};

/// The three hosts.
pub(super) const HOSTS: [Host; 3] = [Host { name: 'a' }, Host { name: 'b' }, Host { name: 'c' }];

const NETNS_FOLDER: &str = "/run/netns";
const PREFIX: &str = "vst-demo-";

/// How long a controller may take to serve requests, and to leave.
const CONTROLLER_LIMIT: Duration = Duration::from_secs(20);

/// A host: a namespace with one link, as a container has it.
pub(super) struct Host {
    name: char,
}

impl Host {
    /// The file by which its namespace is entered.
    pub(super) fn namespace(&self) -> PathBuf {
        Path::new(NETNS_FOLDER).join(namespace(&self.name.to_string()))
    }

    /// The end of its veth pair that lies at the switch.
    pub(super) fn port(&self) -> String {
        format!("port-{}", self.name)
    }

    pub(super) fn address(&self) -> String {
        let number = u32::from(self.name) - u32::from('a') + 1;
        format!("10.0.0.{number}")
    }

    /// A program to be run on this host. `nsenter` and not `ip netns exec`, which would hide bpffs.
    pub(super) fn command(&self, program: &str) -> Command {
        inside(&self.name.to_string(), program)
    }
}

/// The demo's part of this machine, named by our process id.
pub(super) struct Stage {
    binary: PathBuf,
    folder: PathBuf,
    controller: Option<Child>,
}

impl Stage {
    pub(super) fn new(binary: &Path) -> Result<Self> {
        remove_leftovers();
        let folder = folder(std::process::id());
        fs::create_dir_all(folder.join("bpf"))
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let stage = Self { binary: binary.to_owned(), folder, controller: None };
        run(Command::new("mount").args(["-t", "bpf", "bpf"]).arg(stage.file("bpf")))?;
        Ok(stage)
    }

    /// A file in the demo's own folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The client, with this switch's socket: add a noun and a verb.
    pub(super) fn vswitch(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg("--socket").arg(self.file("vswitch.sock"));
        command
    }

    /// The namespaces and veth pairs; nothing is prepared beyond an address.
    pub(super) fn set_up_hosts(&self) -> Result<()> {
        show(ip().args(["netns", "add", &namespace("switch")]))?;
        for host in &HOSTS {
            let name = host.name.to_string();
            let address = host.address() + "/24";
            show(ip().args(["netns", "add", &namespace(&name)]))?;
            let veth = ["type", "veth", "peer", "name", "eth0", "netns"];
            show(
                inside("switch", "ip").args(["link", "add", &host.port()]).args(veth).arg(namespace(&name)),
            )?;
            show(host.command("ip").args(["address", "add", &address, "dev", "eth0"]))?;
            show(host.command("ip").args(["link", "set", "eth0", "up"]))?;
        }
        Ok(())
    }

    /// Starts the controller and waits until it serves requests.
    pub(super) fn start_controller(&mut self, interrupts: &Interrupts) -> Result<()> {
        let mut command = inside("switch", "setpriv");
        // It must not outlive us, however we end.
        command.args(["--pdeathsig", "TERM"]).arg(&self.binary);
        command.arg("run").arg("--socket").arg(self.file("vswitch.sock"));
        command.arg("--state-dir").arg(self.file("state")).arg("--bpffs").arg(self.file("bpf"));
        command.arg("--no-docker-plugin");
        println!("$ {} &", shown(&command));
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().context("cannot start the controller")?;
        let lines = child.stdout.take().expect("the output is piped");
        self.controller = Some(child);
        self.wait_until_ready(lines, interrupts)
    }

    fn wait_until_ready(&mut self, lines: ChildStdout, interrupts: &Interrupts) -> Result<()> {
        let (sender, ready) = mpsc::channel();
        // Reads on for as long as the controller lives, so that it never blocks on a full pipe.
        thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                println!("{line}");
                if line.starts_with("ready") {
                    // Nobody listens once the wait is over.
                    let _ = sender.send(());
                }
            }
        });
        let start = Instant::now();
        while start.elapsed() < CONTROLLER_LIMIT {
            match ready.recv_timeout(Duration::from_millis(100)) {
                Ok(()) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(100)),
            }
            self.controller_lives()?;
            if interrupts.came() {
                bail!("interrupted");
            }
        }
        bail!("the controller printed no `ready` line within {} s", CONTROLLER_LIMIT.as_secs())
    }

    /// Fails when the controller has left.
    pub(super) fn controller_lives(&mut self) -> Result<()> {
        let controller = self.controller.as_mut().context("the controller was not started")?;
        match controller.try_wait().context("cannot watch the controller")? {
            None => Ok(()),
            Some(status) => bail!("the controller has left ({status}); what it said is above"),
        }
    }

    fn stop_controller(&mut self) -> Result<()> {
        let Some(mut controller) = self.controller.take() else {
            return Ok(());
        };
        let pid = Pid::from_raw(i32::try_from(controller.id()).context("a process id fits i32")?);
        if controller.try_wait()?.is_none() {
            kill(pid, Signal::SIGTERM).context("cannot end the controller")?;
        }
        let start = Instant::now();
        while controller.try_wait()?.is_none() {
            if start.elapsed() > CONTROLLER_LIMIT {
                eprintln!("demo: the controller does not leave; killing it");
                controller.kill()?;
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = self.stop_controller() {
            eprintln!("demo: {error:#}");
        }
        for error in remove(std::process::id()) {
            eprintln!("demo: left behind: {error:#}");
        }
    }
}

fn ip() -> Command {
    Command::new("ip")
}

/// A namespace's name for this process.
fn namespace(role: &str) -> String {
    format!("{PREFIX}{}-{role}", std::process::id())
}

fn folder(process: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{process}"))
}

fn inside(role: &str, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={NETNS_FOLDER}/{}", namespace(role))).arg(program);
    command
}

/// Deletes the namespaces (their links and the programs on them go with them), the bpffs and the folder of a demo.
fn remove(process: u32) -> Vec<anyhow::Error> {
    let mut errors = Vec::new();
    for name in namespaces().filter(|name| process_of(name) == Some(process)) {
        errors.extend(read(ip().args(["netns", "delete", &name])).err());
    }
    let folder = folder(process);
    let bpffs = folder.join("bpf");
    if read(Command::new("mountpoint").arg(&bpffs)).is_ok() {
        errors.extend(read(Command::new("umount").arg(&bpffs)).err());
    }
    if folder.exists() {
        let removed = fs::remove_dir_all(&folder);
        errors.extend(removed.with_context(|| format!("cannot remove {}", folder.display())).err());
    }
    errors
}

/// Removes what demos left whose process is gone. What cannot be removed is not in the way of this one.
fn remove_leftovers() {
    let mut gone: Vec<u32> = namespaces().filter_map(|name| process_of(&name)).collect();
    gone.retain(|process| !Path::new("/proc").join(process.to_string()).exists());
    gone.dedup();
    for process in gone {
        println!("Removing what demo {process} left behind");
        for error in remove(process) {
            eprintln!("demo: {error:#}");
        }
    }
}

fn namespaces() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(NETNS_FOLDER).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// The process that made a namespace of this name, if it is one of a demo.
fn process_of(namespace: &str) -> Option<u32> {
    namespace.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_namespaces_are_ever_removed() {
        assert_eq!(process_of("vst-demo-17-switch"), Some(17));
        assert_eq!(process_of("vst-lab-17-a"), None);
        assert_eq!(process_of("vst-demo-x"), None);
        assert_eq!(process_of(&namespace("a")), Some(std::process::id()));
    }

    #[test]
    fn hosts_have_an_address_each() {
        assert_eq!(HOSTS.map(|host| host.address()), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    }
}
