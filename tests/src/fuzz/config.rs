//! The configuration file: read or refused by the line, and never a limit out of its range.

use std::fs;

use vswitch::config::{Config, Overrides};

use super::{Check, gist, outcome};

/// What the file understands.
pub(super) const WORDS: &[&str] = &[
    "socket = \"/run/v.sock\"\n",
    "state_dir = ",
    "bpffs = ",
    "log = \"debug\"\n",
    "tc_attach = \"clsact\"\n",
    "docker_plugin = \"none\"\n",
    "docker_user = \"leave\"\n",
    "[limits]\n",
    "fdb_entries = 64\n",
    "ports = 8191\n",
    "networks = 0\n",
    "= ",
    "\"\"\"",
    "'''",
    "[[",
    "]]",
    "{ a = 1 }",
    "\\u0000",
    "1979-05-27",
    "inf",
    "0x",
    "_",
    "#",
    "\n",
    "fdb_entries = 16777217\n",
    "99999999999999999999",
];

/// Makes a place for the file.
pub(super) fn prepare(work: impl FnOnce(Check<'_>)) {
    // In memory, where there is such a place: a disk would be the slowest part.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("a temporary folder");
    let file = folder.path().join("vswitch.toml");
    work(&mut |input| {
        fs::write(&file, input).expect("the folder is writable");
        let said = Overrides { file: Some(file.clone()), ..Overrides::default() };
        match Config::load(said) {
            Ok(config) => {
                let limits = config.limits;
                assert!((64..=16_777_216).contains(&limits.fdb_entries), "{limits:?}");
                assert!((1..=8_191).contains(&limits.ports) && (1..=4_095).contains(&limits.networks));
                assert!(config.paths.socket.is_absolute() || config.paths.socket.as_os_str().is_empty());
                outcome(&(
                    config.log,
                    config.tc_attach,
                    config.docker_plugin.is_some(),
                    limits == Config::default().limits,
                ))
            }
            Err(error) => {
                let said = error.to_string();
                assert!(said.starts_with("configuration file "), "{said}");
                let cause = said.split_once(": ").map_or("", |(_, cause)| cause);
                outcome(&gist(cause))
            }
        }
    });
}
