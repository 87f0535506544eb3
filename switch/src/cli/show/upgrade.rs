//! An upgrade, and a build, as `key  value` lines.

use super::pairs;
use crate::api::types::{Build, Maps, Upgrade};

/// What was done, or would be.
pub(in crate::cli) fn upgrade(upgrade: &Upgrade) -> String {
    let Upgrade { check, binary, from, to, maps, ports, .. } = upgrade;
    let would = if *check { "would be " } else { "" };
    let programs = match from.programs == to.programs {
        true => format!("{would}loaded anew on {ports} ports, the same as now"),
        false => format!("{would}replaced on {ports} ports, without a frame lost"),
    };
    let maps = match maps {
        Maps::Kept => format!("{would}kept"),
        Maps::Migrated | Maps::MigratedBack => {
            format!("{would}migrated entry by entry from ABI version {} to {}", from.abi, to.abi)
        }
    };
    pairs([
        ("binary", binary.clone()),
        ("version", format!("{} (ABI {}) to {} (ABI {})", from.version, from.abi, to.version, to.abi)),
        ("programs", programs),
        ("maps", maps),
    ])
}

/// What a build is.
pub(in crate::cli) fn build(build: &Build) -> String {
    let migrates = super::list(&build.migrates);
    pairs([
        ("version", build.version.clone()),
        ("ABI", build.abi.to_string()),
        ("migrates", migrates),
        ("state", build.state.to_string()),
        ("programs", build.programs.clone()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn a_check_says_what_would_happen() {
        let text = upgrade(&samples::upgrade());
        assert!(text.contains("programs  would be replaced on 2 ports, without a frame lost"), "{text}");
        assert!(
            text.contains("maps      would be migrated entry by entry from ABI version 1 to 2"),
            "{text}"
        );
    }
}
