//! Which Docker engine: the one that is installed, or another that lies in a folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of another engine.
const VARIABLE: &str = "VSWITCH_DOCKER_BIN";

/// Docker's CLI of the distribution, which is as old as its dockerd; another may have been put before it on the path.
const CLIENT: &str = "/usr/bin/docker";

/// An engine's programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Binaries(Option<PathBuf>);

impl Binaries {
    /// Those on the path.
    #[must_use]
    pub fn installed() -> Self {
        Self(None)
    }

    /// Those of the folder that `$VSWITCH_DOCKER_BIN` names: dockerd, docker, containerd, its shim, runc, docker-proxy and
    /// docker-init. Without it, those on the path.
    ///
    /// # Panics
    /// When there is no dockerd in the folder.
    #[must_use]
    pub fn chosen() -> Self {
        let folder = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        if let Some(folder) = &folder {
            assert!(folder.join("dockerd").is_file(), "{VARIABLE}={}: no dockerd there", folder.display());
        }
        Self(folder)
    }

    /// What `dockerd --version` says.
    ///
    /// # Panics
    /// When there is no dockerd.
    #[must_use]
    pub fn version(&self) -> String {
        let output = Command::new(self.place("dockerd")).arg("--version").output();
        String::from_utf8_lossy(&output.expect("dockerd is installed").stdout).trim().to_owned()
    }

    /// Docker's CLI.
    pub(super) fn client(&self) -> PathBuf {
        match &self.0 {
            None if Path::new(CLIENT).is_file() => CLIENT.into(),
            _ => self.place("docker"),
        }
    }

    /// Where a dockerd finds the programs of its own kind: containerd and so on.
    pub(super) fn search_path(&self) -> OsString {
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let folders = self.0.iter().cloned().chain(std::env::split_paths(&usual));
        std::env::join_paths(folders).expect("no folder's name has a colon")
    }

    fn place(&self, program: &str) -> PathBuf {
        self.0.as_ref().map_or_else(|| program.into(), |folder| folder.join(program))
    }
}
