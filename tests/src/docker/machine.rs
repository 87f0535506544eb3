//! What stands for the machine a Docker engine runs on: PID and mount namespaces, and their first process.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::namespace::Namespace;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::wait::{SOON, until};

/// What the first process does: private folders, then reaping whatever is orphaned. `$1` is the folder of plugins.
const INIT: &str = "mount -t tmpfs run /run && mkdir -p /run/docker/plugins && \
    mount --bind \"$1\" /run/docker/plugins || exit 1
    if [ -d /etc/docker ]; then mount -t tmpfs etc /etc/docker || exit 1; fi
    echo up
    while :; do sleep 86400; done";

/// The namespaces; every process in them ends when this is dropped.
pub(super) struct Machine {
    // Its child is the first process, and is killed with it.
    _holder: Process,
    first: u32,
}

impl Machine {
    /// New ones, in a network namespace of the lab.
    pub(super) fn start(namespace: &Namespace, scratch: &Arc<Scratch>, plugins: &Path) -> Self {
        fs::create_dir_all(plugins).expect("the lab's folder is writable");
        let log = scratch.path("machine.log");
        let _first_time = fs::remove_file(&log);
        let mut command = namespace.command("unshare");
        command.args([
            "--mount",
            "--propagation",
            "private",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]);
        command.args(["sh", "-c", INIT, "vswitch-tests-machine"]).arg(plugins);
        let mut holder = Process::start(&mut command, &log);
        let pid = holder.pid();
        let first = until("the machine of a Docker engine to be up", SOON, || {
            assert!(holder.status().is_none(), "the machine did not come up: {}", holder.output());
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            let is_up = holder.output().lines().any(|line| line == "up");
            children.split_whitespace().next().and_then(|child| child.parse().ok()).filter(|_| is_up)
        });
        Self { _holder: holder, first }
    }

    /// A command that will run there. It and the program have different process ids.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.first.to_string(), "--mount", "--pid", "--net", "--", program]);
        command.stdin(std::process::Stdio::null());
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        use nix::sys::signal::{Signal, kill};
        use nix::unistd::Pid;
        // The end of a PID namespace's first process ends all others, and is over when they have gone.
        let _gone = kill(Pid::from_raw(self.first.cast_signed()), Signal::SIGKILL);
        let first = self.first;
        until("the machine of a Docker engine to go", SOON * 3, || {
            (!Path::new("/proc").join(first.to_string()).exists()).then_some(())
        });
    }
}
