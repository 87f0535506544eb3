//! `cargo xtask install`: the binary to where the path finds it, its man pages and completions, and a systemd unit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::build;
use crate::process::{read, run as run_command};

/// The unit; `@PREFIX@` stands for the folder.
const UNIT: &str = include_str!("install/vswitch.service");

/// What `install` put below the prefix besides binary and unit, for `uninstall`: one path a line.
pub(crate) const LIST: &str = "share/vswitch/installed";

/// Build optimised and install vswitch below PREFIX: binary, man pages, completions, systemd unit
#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder whose `bin`, `share` and `lib/systemd/system` get them
    #[arg(long, default_value = "/usr/local")]
    prefix: PathBuf,
    /// Install this binary instead of building one
    #[arg(long, value_name = "BINARY", hide = true)]
    pub(crate) built: Option<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let prefix = &arguments.prefix;
    let built = match &arguments.built {
        Some(built) => built.clone(),
        None => build::binary(true)?,
    };
    let target = installed(prefix);
    place(&built, &target).with_context(|| {
        format!("cannot install {0}; run `sudo install -D -m 755 {1} {0}`", target.display(), built.display())
    })?;
    let share = prefix.join("share");
    let mut generate = Command::new(&target);
    let generated = read(generate.arg("generate").arg(&share)).context("man pages and completions")?;
    let unit = unit(prefix);
    write(&unit, &UNIT.replace("@PREFIX@", &prefix.display().to_string()))?;
    write(&prefix.join(LIST), &format!("{}\n{generated}", unit.display()))?;
    verify(&unit)?;
    println!(
        "installed {} and its man pages, completions and unit; `cargo xtask uninstall` removes them",
        target.display()
    );
    println!(
        "start it by `systemctl daemon-reload && systemctl enable --now vswitch`; members of a group vswitch may use it"
    );
    Ok(())
}

/// Where `install` puts the binary.
pub(crate) fn installed(prefix: &Path) -> PathBuf {
    prefix.join("bin/vswitch")
}

/// Where systemd looks for units of what is not a distribution's.
fn unit(prefix: &Path) -> PathBuf {
    prefix.join("lib/systemd/system/vswitch.service")
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .with_context(|| format!("cannot write {}; run with sudo, or give another --prefix", path.display()))
}

/// Has systemd look at the unit, where systemd is.
fn verify(unit: &Path) -> Result<()> {
    match Command::new("systemd-analyze").arg("--version").output() {
        Ok(_) => run_command(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit)),
        Err(_) => {
            println!("the unit is not verified: there is no systemd-analyze here");
            Ok(())
        }
    }
}

/// By way of a second name: a controller that runs from the old file goes on, and nobody finds half a file.
fn place(built: &Path, target: &Path) -> std::io::Result<()> {
    fs::create_dir_all(target.parent().expect("the target lies in a folder bin"))?;
    let draft = target.with_extension("new");
    fs::copy(built, &draft)?;
    fs::rename(&draft, target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_makes_no_mount_namespace_and_names_the_prefix() {
        let directives: Vec<&str> = UNIT.lines().filter(|line| !line.starts_with('#')).collect();
        for directive in
            ["ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateMounts", "ReadOnlyPaths", "PrivateDevices"]
        {
            assert!(!directives.iter().any(|line| line.starts_with(directive)), "{directive}");
        }
        assert!(directives.contains(&"ExecReload=@PREFIX@/bin/vswitch upgrade"));
        assert!(directives.contains(&"Type=notify"));
    }
}
