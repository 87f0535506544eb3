//! Conformance: what a switch should do, a row for each behaviour with the standard that asks for it, and which of the
//! switches we can run does it. The table is measured, never typed: `cargo xtask conformance`.
//!
//! A row is a small function that sets ports up, sends frames and says what differed. It runs against each [`Candidate`]
//! alike, in an [`Arena`] that lasts for a whole column; each row gets a network of its own.

mod entries;
mod forwarding;
mod groups;
mod guards;
mod neighbours;
mod ports;
mod sizes;
mod table;
mod trial;
mod vlans;

pub use table::{Table, versions};
pub use trial::{Arena, Trial};

use crate::hooks::Hooks;
use crate::switch::Rival;

/// A switch to be looked at: a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// vswitch, all ports at XDP.
    Xdp,
    /// vswitch, all ports at tc.
    Tc,
    /// The Linux bridge.
    Bridge,
    /// Open vSwitch's userspace data path.
    Ovs,
}

impl Candidate {
    /// All of them, in the order of the columns.
    pub const ALL: [Self; 4] = [Self::Xdp, Self::Tc, Self::Bridge, Self::Ovs];

    /// What its column is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Xdp => "vswitch xdp",
            Self::Tc => "vswitch tc",
            Self::Bridge => "Linux bridge",
            Self::Ovs => "OVS",
        }
    }

    /// Whether it is ours, and so must do as every row says.
    #[must_use]
    pub const fn is_vswitch(self) -> bool {
        matches!(self, Self::Xdp | Self::Tc)
    }

    const fn rival(self) -> Rival {
        match self {
            Self::Xdp | Self::Tc => Rival::Vswitch,
            Self::Bridge => Rival::LinuxBridge,
            Self::Ovs => Rival::OpenVswitch,
        }
    }

    const fn hooks(self) -> Hooks {
        match self {
            Self::Xdp => Hooks::Xdp,
            Self::Tc => Hooks::Tc,
            Self::Bridge | Self::Ovs => Hooks::Auto,
        }
    }
}

/// Why a cell is no plain yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It does something else.
    Differs(String),
    /// It cannot be asked to: it has no such option here.
    Lacks(String),
}

/// What a row found; nothing if the candidate does as the row says.
pub type Answer = Result<(), Finding>;

/// One behaviour.
#[derive(Clone, Copy)]
pub struct Row {
    /// What a switch should do.
    pub behaviour: &'static str,
    /// Who says so.
    pub source: &'static str,
    /// Finds out.
    pub run: fn(&mut Trial) -> Answer,
}

/// All rows, by subject.
pub const SUBJECTS: [(&str, &[Row]); 8] = [
    ("Forwarding and learning", forwarding::ROWS),
    ("Ageing, entries, flushing", entries::ROWS),
    ("Ports", ports::ROWS),
    ("VLANs", vlans::ROWS),
    ("ARP, neighbour discovery and groups that all must hear", neighbours::ROWS),
    ("Multicast groups (IGMP and MLD snooping)", groups::ROWS),
    ("Anti-spoofing", guards::ROWS),
    ("Sizes", sizes::ROWS),
];

/// Runs every row against a candidate, in order.
///
/// # Panics
/// When the candidate cannot be started, or breaks down.
#[must_use]
pub fn measure(candidate: Candidate) -> Vec<Answer> {
    let mut arena = Arena::open(candidate);
    let rows = SUBJECTS.iter().flat_map(|(_, rows)| rows.iter());
    rows.map(|row| {
        let answer = (row.run)(&mut arena.trial());
        eprintln!("{}: {}: {answer:?}", candidate.title(), row.behaviour);
        answer
    })
    .collect()
}

/// Passes if the candidate did as it should.
fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Answer {
    if is_so { Ok(()) } else { Err(Finding::Differs(otherwise())) }
}
