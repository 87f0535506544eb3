//! VLAN options of a port, and the text that lists the VLANs of a trunk.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use vswitch_common::vlan::VlanId;

/// What lists every VLAN.
const ALL: &str = "all";

/// VLAN options of a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortVlan {
    /// Access: untagged member of one VLAN. Trunk: tagged member of several.
    pub mode: VlanMode,
    /// VLAN of untagged frames; for an access port its VLAN.
    pub pvid: Option<VlanId>,
    /// Tagged VLANs of a trunk: `10,20,100-200` or `all`.
    #[serde(default)]
    pub allowed: String,
}

/// How a port treats VLAN tags.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VlanMode {
    /// VLAN-unaware: tags pass untouched.
    #[default]
    None,
    /// Untagged member of one VLAN.
    Access,
    /// Tagged member of several.
    Trunk,
}

impl PortVlan {
    /// The tagged VLANs as ranges, in the order written; overlaps are kept. Empty for an empty text.
    ///
    /// # Errors
    /// When `allowed` is neither `all` nor a list of VLAN IDs and ranges.
    pub fn allowed_ranges(&self) -> Result<Vec<RangeInclusive<VlanId>>, VlanListError> {
        if self.allowed.is_empty() { Ok(Vec::new()) } else { vlan_ranges(&self.allowed) }
    }
}

/// Reads `10,20,100-200` or `all`.
///
/// # Errors
/// When the text is empty, names a VLAN outside 1 to 4094, or a range that runs backwards.
pub fn vlan_ranges(text: &str) -> Result<Vec<RangeInclusive<VlanId>>, VlanListError> {
    let bad = || VlanListError(text.to_string());
    if text == ALL {
        let (Some(first), Some(last)) = (VlanId::new(1), VlanId::new(4094)) else {
            return Err(bad());
        };
        return Ok(vec![first..=last]);
    }
    text.split(',')
        .map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: VlanId = first.parse().map_err(|_| bad())?;
            let last: VlanId = last.parse().map_err(|_| bad())?;
            if first > last { Err(bad()) } else { Ok(first..=last) }
        })
        .collect()
}

/// A text that lists no VLANs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} lists no VLANs: write IDs from 1 to 4094 and ranges as 10,20,100-200, or all")]
pub struct VlanListError(String);

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<(u16, u16)> {
        let ranges = vlan_ranges(text).expect("a list");
        ranges.iter().map(|range| (range.start().get(), range.end().get())).collect()
    }

    #[test]
    fn a_list_reads_as_ranges() {
        assert_eq!(numbers("10,20,100-200"), [(10, 10), (20, 20), (100, 200)]);
        assert_eq!(numbers("all"), [(1, 4094)]);
    }

    #[test]
    fn what_lists_no_vlans_is_refused() {
        for text in ["", "0", "4095", "20-10", "10,", ",10", "10-", "10 ,20", "ALL", "1-2-3"] {
            assert!(vlan_ranges(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_port_without_tagged_vlans_has_no_ranges() {
        assert_eq!(PortVlan::default().allowed_ranges(), Ok(Vec::new()));
    }
}
