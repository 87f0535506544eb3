//! `upgrade`: handing over to the binary that lies where the running one was started from.
//!
//! The running controller decides, because only it knows what there is: it has the other binary say what it is and try
//! its programs on this kernel, compares, and refuses before anything has changed. Then the loop ends, and the process
//! becomes the other binary under the same number. Programs on links are replaced by that one as at any start.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use vswitch_common::abi::ABI_VERSION;

use super::state::STATE_VERSION;
use super::{Controller, datapath_failed};
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Build, Maps, Reply, Upgrade, UpgradeSpec};
use crate::datapath;

/// What the kernel adds to the path of a binary that was replaced (proc_pid_exe(5)).
const REPLACED: &str = " (deleted)";

/// How long a binary may take to say what it is, the verifier's look at its programs included.
const TRIAL_LIMIT: Duration = Duration::from_secs(30);

impl Controller {
    pub(super) async fn upgrade(&mut self, spec: &UpgradeSpec) -> Result<Reply, ApiError> {
        let binary = binary_in_place()?;
        check_owner(&binary)?;
        let (from, to) = (build(), ask(&binary).await?);
        let maps = fate_of_maps(&from, &to)
            .map_err(|why| refused(&binary, &format!("{why}: nothing was changed")))?;
        let reply = Upgrade {
            check: spec.check,
            binary: binary.display().to_string(),
            from,
            to,
            maps,
            ports: self.state.ports.len() as u64,
            started_ns: self.started_ns,
        };
        if !spec.check {
            self.save()?;
            if maps == Maps::MigratedBack {
                self.datapath.migrate_back().map_err(|e| datapath_failed(&e))?;
            }
            self.successor = Some(binary);
        }
        Ok(Reply::Upgrade(Box::new(reply)))
    }
}

/// This build, as others see it.
#[must_use]
pub fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: ABI_VERSION,
        migrates: datapath::MIGRATES.to_vec(),
        state: STATE_VERSION,
        programs: datapath::programs(),
    }
}

/// What `to` would do about the maps that `from` uses.
///
/// # Errors
/// Why it cannot take over.
pub fn fate_of_maps(from: &Build, to: &Build) -> Result<Maps, String> {
    if to.state < from.state {
        return Err(format!(
            "it reads state files up to version {}, and the one in force is of version {}: install a later vswitch",
            to.state, from.state
        ));
    }
    if to.abi == from.abi {
        return Ok(Maps::Kept);
    }
    if to.migrates.contains(&from.abi) {
        return Ok(Maps::Migrated);
    }
    if from.migrates.contains(&to.abi) {
        return Ok(Maps::MigratedBack);
    }
    Err(format!(
        "its maps are of ABI version {}, those in force of version {}, and it cannot migrate them: install a version in \
         between first, or `vswitch teardown` and start anew",
        to.abi, from.abi
    ))
}

/// Where the running binary was started from; what lies there now may be another.
fn binary_in_place() -> Result<PathBuf, ApiError> {
    let failed = |error: &std::io::Error| {
        ApiError::new(
            ErrorCode::UpgradeRefused,
            format!("cannot find out where this binary lies: {error}: restart the controller instead"),
        )
    };
    let path = std::env::current_exe().map_err(|e| failed(&e))?;
    let text = path.to_string_lossy();
    Ok(PathBuf::from(text.strip_suffix(REPLACED).unwrap_or(&text)))
}

/// The controller becomes that binary: nobody but root, or who runs the controller, may be able to write it.
fn check_owner(binary: &Path) -> Result<(), ApiError> {
    let own = nix::unistd::geteuid().as_raw();
    for path in [Some(binary), binary.parent()].into_iter().flatten() {
        let file = std::fs::metadata(path).map_err(|e| refused(binary, &format!("{e}: install it again")))?;
        let (is_sticky, is_open) = (file.is_dir() && file.mode() & 0o1000 != 0, file.mode() & 0o022 != 0);
        if ![0, own].contains(&file.uid()) || is_open && !is_sticky {
            let path = path.display();
            return Err(refused(
                binary,
                &format!("{path} can be written by others than root: `chown root {path}; chmod go-w {path}`"),
            ));
        }
    }
    Ok(())
}

/// Has the binary say what it is, and try its programs.
async fn ask(binary: &Path) -> Result<Build, ApiError> {
    let mut command = Command::new(binary);
    command.args(["about", "--try", "--json"]).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(TRIAL_LIMIT, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            return Err(refused(binary, &format!("it does not run: {error}: install it again")));
        }
        Err(_) => return Err(refused(binary, "it does not say what it is: install it again")),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(refused(binary, &format!("it would not start here ({said}): nothing was changed")));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| {
        refused(binary, &format!("it is no vswitch that can take over ({error}): stop and start instead"))
    })
}

fn refused(binary: &Path, why: &str) -> ApiError {
    ApiError::new(ErrorCode::UpgradeRefused, format!("upgrade to {}: {why}", binary.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(abi: u32, migrates: &[u32], state: u32) -> Build {
        let (version, programs) = ("0.1.0".to_owned(), "0".to_owned());
        Build { version, abi, migrates: migrates.to_vec(), state, programs }
    }

    #[test]
    fn maps_are_kept_migrated_either_way_or_refused() {
        let now = of(2, &[], 1);
        assert_eq!(fate_of_maps(&now, &of(2, &[], 1)), Ok(Maps::Kept));
        let next = of(3, &[2], 1);
        assert_eq!(fate_of_maps(&now, &next), Ok(Maps::Migrated));
        assert_eq!(fate_of_maps(&next, &now), Ok(Maps::MigratedBack));
        let foreign = fate_of_maps(&now, &of(7, &[6], 1)).expect_err("too far");
        assert!(foreign.contains("ABI version 7") && foreign.contains("in between"), "{foreign}");
        let old = fate_of_maps(&of(2, &[], 2), &of(2, &[], 1)).expect_err("its state file is later");
        assert!(old.contains("state files up to version 1"), "{old}");
    }
}
