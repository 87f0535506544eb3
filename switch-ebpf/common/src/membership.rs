//! IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710, 3810) as a snooping switch reads them, from the IP header on.
//!
//! Hosts act on these messages, and so does the switch: what is not exactly as the RFCs have it (checksums, lengths, hop limit,
//! router alert, addresses) is no message at all, so that nothing can be pruned or elected by a frame that hosts and routers
//! ignore. Sources of a group are not told apart: who wants one of them gets the group.

mod address;
mod v4;
mod v6;

pub use address::{Family, Group};

use crate::frame::ethertype;

/// A message about membership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Who is a member?
    Query(Query),
    /// Somebody is, or is no longer.
    Changes(Changes<'a>),
    /// A multicast router is here (PIM hello).
    Router,
}

/// A query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who asks; unspecified for a switch without an address.
    pub source: [u8; 16],
    /// About which group; none is about all.
    pub group: Option<Group>,
    /// Longest time to the answers, in milliseconds.
    pub max_response_ms: u32,
    /// How many messages in a row may get lost less one, by the querier; 0 where it does not say.
    pub robustness: u8,
    /// How often it asks about all groups, in seconds; 0 where it does not say.
    pub interval_s: u32,
}

/// One thing that a report says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The group.
    pub group: Group,
    /// Wants it; otherwise wants it, or a source of it, no longer.
    pub joins: bool,
}

/// What a report says: one thing, or the records of version 3 (MLD: 2), whose lengths have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<'a> {
    family: Family,
    single: Option<Change>,
    records: &'a [u8],
}

/// Types of group records (RFC 3376 section 4.2.12, RFC 3810 section 5.2.12).
mod record {
    pub(super) const IS_INCLUDE: u8 = 1;
    pub(super) const IS_EXCLUDE: u8 = 2;
    pub(super) const TO_INCLUDE: u8 = 3;
    pub(super) const TO_EXCLUDE: u8 = 4;
    pub(super) const ALLOW: u8 = 5;
    pub(super) const BLOCK: u8 = 6;
}

/// Reads a packet; none if it is no message about membership, or not a proper one.
#[must_use]
pub fn parse(ethertype: u16, packet: &[u8]) -> Option<Message<'_>> {
    match ethertype {
        ethertype::IPV4 => v4::parse(packet),
        ethertype::IPV6 => v6::parse(packet),
        _ => None,
    }
}

impl<'a> Changes<'a> {
    fn single(group: Group, joins: bool) -> Self {
        Self { family: group.family(), single: Some(Change { group, joins }), records: &[] }
    }

    /// `count` records; none unless they are all there and whole.
    fn records(family: Family, count: u16, records: &'a [u8]) -> Option<Self> {
        let mut rest = records;
        for _ in 0..count {
            rest = take_record(family, rest)?.1;
        }
        let records = records.get(..records.len() - rest.len())?;
        Some(Self { family, single: None, records })
    }

    /// Whose address family the groups are of.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }
}

impl Iterator for Changes<'_> {
    type Item = Change;

    fn next(&mut self) -> Option<Change> {
        if let Some(change) = self.single.take() {
            return Some(change);
        }
        while !self.records.is_empty() {
            let (record, rest) = take_record(self.family, self.records)?;
            self.records = rest;
            if let Some(change) = record {
                return Some(change);
            }
        }
        None
    }
}

/// The first record, as far as it changes anything, and what is behind it; none if it is not whole.
fn take_record(family: Family, bytes: &[u8]) -> Option<(Option<Change>, &[u8])> {
    let address = family.bytes();
    let (head, rest) = bytes.split_at_checked(4 + address)?;
    let (kind, auxiliary) = (*head.first()?, usize::from(*head.get(1)?) * 4);
    let sources = usize::from(u16::from_be_bytes([*head.get(2)?, *head.get(3)?]));
    let (_, rest) = rest.split_at_checked(sources * address + auxiliary)?;
    let joins = match kind {
        record::IS_EXCLUDE | record::TO_EXCLUDE => true,
        record::IS_INCLUDE | record::ALLOW if sources == 0 => return Some((None, rest)),
        record::IS_INCLUDE | record::ALLOW => true,
        record::TO_INCLUDE => sources > 0,
        record::BLOCK => false,
        // To be ignored (RFC 3376 section 4.2.12).
        _ => return Some((None, rest)),
    };
    let change = Group::new(family, head.get(4..)?).map(|group| Change { group, joins });
    Some((change, rest))
}

/// The number that an 8-bit code means (RFC 3376 section 4.1.1).
fn decode8(code: u8) -> u32 {
    let code = u32::from(code);
    if code < 0x80 { code } else { (code & 0x0f | 0x10) << ((code >> 4 & 7) + 3) }
}

/// The number that a 16-bit code means (RFC 3810 section 5.1.3).
fn decode16(code: u16) -> u32 {
    let code = u32::from(code);
    if code < 0x8000 { code } else { (code & 0x0fff | 0x1000) << ((code >> 12 & 7) + 3) }
}

/// The one's complement sum of RFC 1071, folded: all ones over what includes a right checksum.
fn sum(start: u32, bytes: &[u8]) -> u16 {
    let mut sum = u64::from(start);
    for pair in bytes.chunks(2) {
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([pair.first().copied().unwrap_or(0), low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
#[path = "membership/tests.rs"]
mod tests;
