//! FDB entries: a line each.

use super::{or_nothing, table};
use crate::api::types::{FdbEntry, FdbKind};

/// A line an entry.
pub(in crate::cli) fn entries(entries: &[FdbEntry]) -> String {
    let rows = entries.iter().map(|entry| {
        [
            entry.mac.to_string(),
            entry.port.clone(),
            entry.network.clone(),
            or_nothing(entry.vlan),
            kind(entry.kind).to_string(),
            age(entry),
        ]
    });
    table(["MAC", "PORT", "NETWORK", "VLAN", "KIND", "AGE"], rows)
}

fn kind(kind: FdbKind) -> &'static str {
    match kind {
        FdbKind::Dynamic => "dynamic",
        FdbKind::Static => "static",
        FdbKind::Sticky => "sticky",
        FdbKind::Local => "local",
    }
}

/// Only dynamic entries age.
fn age(entry: &FdbEntry) -> String {
    or_nothing((entry.kind == FdbKind::Dynamic).then(|| format!("{:.1}s", entry.age_seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::samples;

    #[test]
    fn only_dynamic_entries_show_an_age() {
        let sticky = FdbEntry { kind: FdbKind::Sticky, vlan: "10".parse().ok(), ..samples::entry() };
        assert_eq!(
            entries(&[samples::entry(), sticky]),
            "MAC                PORT   NETWORK  VLAN  KIND     AGE\n\
             02:42:ac:11:00:02  veth0  default  -     dynamic  1.5s\n\
             02:42:ac:11:00:02  veth0  default  10    sticky   -\n"
        );
    }
}
