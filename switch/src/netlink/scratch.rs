//! For tests: network namespaces that last as long as the test, and a runtime inside one.

use std::fmt::Write as _;
use std::future::Future;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{LinkIndex, Namespace, Netlink};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A named namespace, deleted when dropped.
pub(crate) struct Scratch {
    pub(crate) name: String,
}

impl Scratch {
    /// None, said aloud, where a namespace cannot be made.
    pub(crate) fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: making network namespaces takes root");
            return None;
        }
        let name = format!("vsn-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        run("ip", &["netns", "add", &name]);
        Some(Self { name })
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    pub(crate) fn inode(&self) -> u64 {
        Namespace::open(&self.path()).expect("it exists").inode()
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        self.exec(&format!("ip {arguments}"))
    }

    /// Runs a command in it.
    pub(crate) fn exec(&self, command: &str) -> String {
        let net = format!("--net={}", self.path().display());
        let arguments: Vec<&str> = std::iter::once(&*net).chain(command.split_whitespace()).collect();
        run("nsenter", &arguments)
    }

    /// A process that stays in it, or in a new namespace of its own.
    pub(crate) fn process(&self, command: &str) -> Process {
        let net = format!("--net={}", self.path().display());
        let child =
            Command::new("nsenter").arg(net).args(command.split_whitespace()).spawn().expect("nsenter runs");
        Process(child)
    }

    /// What a test can see of a link: all that `ip`, `ethtool` and the sysctl say.
    pub(crate) fn portrait(&self, link: &str) -> String {
        let mut portrait = String::new();
        for command in [
            format!("ip -d -o link show dev {link}"),
            format!("ip addr show dev {link}"),
            format!("ethtool -k {link}"),
            format!("find /proc/sys/net/ipv6/conf/ -path */{link}/disable_ipv6 -execdir cat {{}} ;"),
        ] {
            let _ = writeln!(portrait, "# {command}\n{}", self.exec(&command));
        }
        portrait
    }

    /// Runs the future on a thread and runtime inside the namespace, with a connection opened there.
    pub(crate) fn block_on<F: Future<Output = ()>>(&self, test: impl FnOnce(Netlink) -> F + Send) {
        let work = || {
            let namespace = std::fs::File::open(self.path()).expect("it exists");
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).expect("root may enter");
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { test(Netlink::open().expect("a connection")).await });
        };
        let result = std::thread::scope(|scope| scope.spawn(work).join());
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// A process, killed when dropped.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a link of the calling thread's namespace has any IPv6 address.
pub(crate) async fn has_ipv6(netlink: &Netlink, link: &str) -> bool {
    let link = link.to_owned();
    let look = move || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    netlink
        .namespace()
        .run(look)
        .await
        .expect("the namespace is there")
        .lines()
        .any(|line| line.ends_with(&link))
}

/// The index of a link that must exist.
pub(crate) async fn index(netlink: &Netlink, name: &str) -> LinkIndex {
    netlink.by_name(name).await.expect("the test made this link").index
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
