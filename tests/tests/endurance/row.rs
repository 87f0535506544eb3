//! What a test found out about one fault: a line for people, and a row of `tests/LIFECYCLE.md` where that is being made.

use std::fs::File;
use std::io::Write as _;

/// Where rows go; without it they are only printed.
pub(crate) const FILE: &str = "VSWITCH_LIFECYCLE_ROWS";

/// One fault and what came of it.
pub(crate) struct Row<'a> {
    /// What happened.
    pub(crate) fault: &'a str,
    /// What vswitch did about it.
    pub(crate) did: &'a str,
    /// What was lost, in figures.
    pub(crate) lost: String,
    /// The same with a Linux bridge, or docker0; `–` where it has no such thing or nobody measured it.
    pub(crate) bridge: &'a str,
}

impl Row<'_> {
    /// Says it.
    pub(crate) fn say(&self) {
        let Self { fault, did, lost, bridge } = self;
        eprintln!("lifecycle: {fault}: {did}; lost: {lost}; bridge: {bridge}");
        if let Some(path) = std::env::var_os(FILE) {
            let file = File::options().append(true).create(true).open(path);
            // In one write: other tests write theirs meanwhile.
            let row = format!("| {fault} | {did} | {lost} | {bridge} |\n");
            file.and_then(|mut file| file.write_all(row.as_bytes())).expect("the file of rows is writable");
        }
    }
}

/// A count that a variable can raise.
pub(crate) fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Numbers that look random, the same for the same seed (Marsaglia's xorshift).
pub(crate) struct Random(u64);

impl Random {
    /// From `VSWITCH_LAB_SEED`, or the clock; printed.
    pub(crate) fn new() -> Self {
        let clock = || {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            u64::from(now.expect("it is after 1970").subsec_nanos()) | 1
        };
        let seed = std::env::var("VSWITCH_LAB_SEED").map_or_else(|_| clock(), |s| s.parse().expect("a seed"));
        eprintln!("VSWITCH_LAB_SEED={seed}");
        Self(seed.max(1))
    }

    /// From a number of choice.
    pub(crate) fn of_number(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    /// Below `most`.
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// One of these.
    pub(crate) fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len() as u64) as usize]
    }
}
