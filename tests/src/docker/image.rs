//! The one image that containers are made of: busybox, imported from a folder, so that no registry is needed.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::Engine;

/// Name of the image.
pub const IMAGE: &str = "box";

/// Where Debian's busybox-static has it.
const BUSYBOX: &str = "/bin/busybox";

/// Builds the image's folder and imports it.
pub(super) fn import(engine: &Engine) {
    let root = engine.folder().join("image");
    let bin = root.join("bin");
    for folder in [&bin, &root.join("etc"), &root.join("tmp"), &root.join("www")] {
        fs::create_dir_all(folder).expect("the lab's folder is writable");
    }
    fs::copy(BUSYBOX, bin.join("busybox")).expect("busybox-static is installed: `cargo xtask setup`");
    let list = Command::new(BUSYBOX).arg("--list").output().expect("busybox runs").stdout;
    for applet in String::from_utf8_lossy(&list).lines().filter(|applet| *applet != "busybox") {
        symlink("busybox", bin.join(applet)).expect("an applet is listed once");
    }
    let mut tar = Command::new("tar").arg("-C").arg(&root).args(["-c", "."]).stdout(Stdio::piped()).spawn();
    let tar = tar.as_mut().expect("tar is installed");
    let mut import = engine.command(&["import", "-", IMAGE]);
    import.stdin(tar.stdout.take().expect("stdout is piped"));
    let output = import.output().expect("docker is installed");
    let packed = tar.wait().expect("the child can be waited for");
    assert!(
        packed.success() && output.status.success(),
        "docker import: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    fs::remove_dir_all(&root).expect("the folder was just made");
}
