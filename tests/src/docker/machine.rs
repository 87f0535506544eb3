//! What stands for the machine a Docker engine runs on: private folders, and a first process that reaps.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::machine::Machine;
use crate::namespace::Namespace;
use crate::scratch::Scratch;

/// What the first process does: private folders, then reaping whatever is orphaned. `$1` is the folder of plugins.
const INIT: &str = "mount -t tmpfs run /run && mkdir -p /run/docker/plugins && \
    mount --bind \"$1\" /run/docker/plugins || exit 1
    if [ -d /etc/docker ]; then mount -t tmpfs etc /etc/docker || exit 1; fi
    echo up
    while :; do sleep 86400; done";

/// A new one, in a network namespace of the lab.
pub(super) fn start(namespace: &Namespace, scratch: &Arc<Scratch>, plugins: &Path) -> Machine {
    fs::create_dir_all(plugins).expect("the lab's folder is writable");
    let mut command = namespace.command("unshare");
    command.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command.args(["sh", "-c", INIT, "vswitch-tests-machine"]).arg(plugins);
    Machine::boot(&mut command, &scratch.path("machine.log"))
}
