//! Running other programs: what is typed is shown, what fails says what was typed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The project's root folder; every verb works from there.
pub(crate) fn root_dir() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("xtask lies in the project's root").to_owned()
}

/// A cargo of the toolchain that runs this, so that `cargo +other xtask` keeps its meaning.
pub(crate) fn cargo(verb: &str) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(verb);
    command
}

/// Runs to the end with our own standard streams.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs to the end without input and gives what it printed; a failure carries its complaint.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}: {}", shown(command), output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Fails unless we are root; `verb` is what the user typed after `cargo xtask`.
pub(crate) fn need_root(verb: &str, why: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`cargo xtask {verb}` needs root: {why}. Run `sudo -E env \"PATH=$PATH\" cargo xtask {verb}`");
    }
    Ok(())
}
