//! What stands for a machine of its own: a first process in a PID namespace, and whatever runs below it.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::process::Process;
use crate::wait::{SOON, until};

/// The namespaces; every process in them ends when this is dropped.
#[derive(Debug)]
pub struct Machine {
    // Its child is the first process, and is killed with it.
    holder: Process,
    first: u32,
}

impl Machine {
    /// Runs `boot`, which ends in an `unshare --pid --fork --kill-child`, and waits for the line `up` of its child.
    ///
    /// # Panics
    /// When the line does not come; with what was said instead.
    #[must_use]
    pub fn boot(boot: &mut Command, log: &Path) -> Self {
        let _first_time = fs::remove_file(log);
        let mut holder = Process::start(boot, log);
        let pid = holder.pid();
        let first = until("a machine to be up", SOON, || {
            assert!(holder.status().is_none(), "the machine did not come up: {}", holder.output());
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            let is_up = holder.output().lines().any(|line| line == "up");
            children.split_whitespace().next().and_then(|child| child.parse().ok()).filter(|_| is_up)
        });
        Self { holder, first }
    }

    /// The first process, as it is known outside.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// What was said while it came up.
    #[must_use]
    pub fn output(&self) -> String {
        self.holder.output()
    }

    /// A command that will run there. It and the program have different process ids.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args([
            "--target",
            &self.first.to_string(),
            "--mount",
            "--pid",
            "--net",
            "--uts",
            "--",
            program,
        ]);
        command.stdin(Stdio::null());
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
        until("a machine to go", SOON * 3, || {
            (!Path::new("/proc").join(first.to_string()).exists()).then_some(())
        });
    }
}
