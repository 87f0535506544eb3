//! Which BPF objects of the machine belong to one switch, so that "nothing is left" can be said while others run.
//!
//! BPF objects know no namespace. A switch's are those it pinned, those its controller holds open, those on its
//! namespace's links, and the maps of all these programs.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::switch::Switch;
use crate::wait::poll;

/// How long the kernel may take to free an object: it waits for RCU, on a busy machine for long.
const FREEING_TIME: Duration = Duration::from_secs(20);

/// One object of the machine: kind (`prog`, `map`, `link`) and id. Ids are not used twice.
pub type BpfObject = (&'static str, u64);

/// Objects of one switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BpfObjects(BTreeSet<BpfObject>);

impl BpfObjects {
    /// Those of a running switch.
    #[must_use]
    #[track_caller]
    pub fn of(switch: &Switch) -> Self {
        let folder = switch.bpffs().display().to_string();
        let is_ours = |object: &Value| {
            let pins = object["pinned"].as_array();
            pins.is_some_and(|pins| {
                pins.iter().any(|pin| pin.as_str().is_some_and(|path| path.starts_with(&folder)))
            })
        };
        let mut found = BTreeSet::new();
        for kind in ["prog", "map", "link"] {
            let pinned = listed(kind);
            found.extend(
                pinned
                    .iter()
                    .filter(|object| is_ours(object))
                    .filter_map(|object| Some((kind, object["id"].as_u64()?))),
            );
        }
        found.extend(switch.pid().map(held_by).unwrap_or_default());
        found.extend(
            super::attachments(switch.namespace())
                .iter()
                .map(|attached| ("prog", u64::from(attached.program))),
        );
        let maps = listed("prog")
            .into_iter()
            .filter(|program| found.contains(&("prog", program["id"].as_u64().unwrap_or(0))));
        let ids: Vec<u64> = maps
            .flat_map(|program| program["map_ids"].as_array().cloned().unwrap_or_default())
            .filter_map(|id| id.as_u64())
            .collect();
        found.extend(ids.into_iter().map(|id| ("map", id)));
        Self(found)
    }

    /// How many objects of a kind there are.
    #[must_use]
    pub fn count(&self, kind: &str) -> usize {
        self.0.iter().filter(|(of, _)| *of == kind).count()
    }

    /// Those of `self` that are not in `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self(self.0.difference(&earlier.0).copied().collect())
    }

    /// Checks that none of them is left in the kernel.
    ///
    /// # Panics
    /// With those that are.
    #[track_caller]
    pub fn assert_gone(&self) {
        let left = || {
            let present: BTreeSet<BpfObject> = ["prog", "map", "link"]
                .into_iter()
                .flat_map(|kind| {
                    listed(kind).into_iter().filter_map(move |object| Some((kind, object["id"].as_u64()?)))
                })
                .collect();
            self.0.intersection(&present).copied().collect::<Vec<_>>()
        };
        let gone = poll(FREEING_TIME, || left().is_empty().then_some(()));
        assert!(gone.is_some(), "BPF objects left behind: {:?}", left());
    }
}

/// All objects of a kind with their pins.
fn listed(kind: &str) -> Vec<Value> {
    // bpftool walks every bpffs and all ids; it fails when another test takes one away meanwhile.
    let read = || {
        let output =
            Command::new("bpftool").args(["-j", "-f", kind, "show"]).output().expect("bpftool is installed");
        let json: Value = serde_json::from_slice(&output.stdout).ok().filter(|_| output.status.success())?;
        json.as_array().cloned()
    };
    poll(FREEING_TIME, read).unwrap_or_else(|| panic!("bpftool {kind} show fails"))
}

/// What a process holds open, by `/proc/PID/fdinfo`.
fn held_by(pid: u32) -> Vec<BpfObject> {
    let entries = fs::read_dir(format!("/proc/{pid}/fdinfo")).into_iter().flatten().flatten();
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let read = |line: &str| {
        let (key, value) = line.split_once(':')?;
        let kind = match key {
            "prog_id" => "prog",
            "map_id" => "map",
            "link_id" => "link",
            _ => return None,
        };
        Some((kind, value.trim().parse().ok()?))
    };
    texts.flat_map(|text| text.lines().filter_map(read).collect::<Vec<_>>()).collect()
}
