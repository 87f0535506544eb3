//! Why the kernel's data path is not as the controller wants it: one variant for each thing that can be at fault.

use std::path::PathBuf;

/// What can go wrong between the controller and the kernel's data path.
#[derive(Debug, thiserror::Error)]
pub enum DatapathError {
    /// The object does not load; the message has the verifier's last words.
    #[error("the eBPF object does not load: {0}")]
    Load(#[source] aya::EbpfError),
    /// The object lacks a map or program, so it is not of this build.
    #[error("the eBPF object has no {0}: rebuild with `cargo xtask build`")]
    Missing(&'static str),
    /// A map call failed.
    #[error("map {map}: {source}")]
    Map {
        /// Map name.
        map: &'static str,
        /// Why.
        source: aya::maps::MapError,
    },
    /// A program does not load, or an attachment failed.
    #[error("{program} on {link}: {source}")]
    Program {
        /// Program name.
        program: &'static str,
        /// Link name.
        link: String,
        /// Why.
        source: aya::programs::ProgramError,
    },
    /// A trace program did not get to its end.
    #[error("{program} on {link}: did not write down what it found: restart the controller")]
    NotTraced {
        /// Program name.
        program: &'static str,
        /// Link name.
        link: String,
    },
    /// The kernel gave no link that can be pinned, so the attachment would die with the controller.
    #[error("{program} on {link}: the kernel has no BPF link for this hook")]
    NotPinnable {
        /// Program name.
        program: &'static str,
        /// Link name.
        link: String,
    },
    /// A pin cannot be made, opened or removed.
    #[error("pin {path}: {source}")]
    Pin {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The pins are of another ABI version.
    #[error(
        "the pins under {path} are of ABI version {found}, this vswitch has {wanted} and cannot migrate them: use the vswitch \
         that made them or one in between, or its `vswitch teardown`, or give another --bpffs"
    )]
    ForeignAbi {
        /// The pin folder.
        path: PathBuf,
        /// Version found.
        found: u32,
        /// Version of this build.
        wanted: u32,
    },
    /// The fake data path was told to fail here.
    #[error("call {0} fails on purpose")]
    OnPurpose(usize),
}

impl DatapathError {
    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        let mut error: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(e) = error {
            if let Some(io) = e.downcast_ref::<std::io::Error>() {
                return io.raw_os_error();
            }
            error = e.source();
        }
        None
    }
}
