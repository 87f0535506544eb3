//! Queries as vswitch sends them: IGMPv3 (RFC 3376 section 4.1) and MLDv2 (RFC 3810 section 5.1), which hosts of older versions
//! understand as their own.

use vswitch_common::frame::ethertype;
use vswitch_common::mac::MacAddr;
use vswitch_common::membership::{Family, Group};
use vswitch_common::multicast::{IGMP, igmp, mld};
use vswitch_common::nd::ICMPV6;

use super::Settings;

/// Messages in a row that may get lost, and one (RFC 3376 section 8.1, the default).
pub(super) const ROBUSTNESS: u8 = 2;
/// Longest time to the answers of a query about one group, in milliseconds (RFC 3376 section 8.8, the default).
pub(super) const LAST_MEMBER_MS: u32 = 1_000;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    mac: MacAddr,
}

impl Asker {
    /// The querier of a network: locally administered, the same for the same switch and network at every start, and another for
    /// another switch, whose ports may meet ours on one wire.
    #[must_use]
    pub fn new(switch: u32, network: u16) -> Self {
        let ([a, b, c, _], [d, e]) = (switch.to_be_bytes(), network.to_be_bytes());
        Self { mac: MacAddr::from_octets([0x06, a, b, c, d, e]) }
    }

    /// Its link-local address (RFC 4291 appendix A).
    #[must_use]
    pub fn link_local(self) -> [u8; 16] {
        let [a, b, c, d, e, f] = self.mac.octets();
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]
    }
}

/// The query about a group, or about all, as a frame.
#[must_use]
pub fn frame(asker: Asker, family: Family, about: Option<Group>, settings: &Settings) -> Vec<u8> {
    let wait_ms = if about.is_some() { LAST_MEMBER_MS } else { settings.response_s * 1_000 };
    match family {
        Family::V4 => v4(asker, about, wait_ms, settings.interval_s),
        Family::V6 => v6(asker, about, wait_ms, settings.interval_s),
    }
}

fn v4(asker: Asker, about: Option<Group>, wait_ms: u32, interval_s: u32) -> Vec<u8> {
    let group = about.map_or([0; 4], |group| first(group.ip()));
    let to = if about.is_some() { group } else { [224, 0, 0, 1] };
    let mut igmp = vec![igmp::QUERY, code(wait_ms / 100, 7, 4) as u8, 0, 0];
    igmp.extend(group);
    igmp.extend([ROBUSTNESS, code(interval_s, 7, 4) as u8, 0, 0]);
    put_sum(&mut igmp, 2, &[]);
    // Internetwork control, as long as header and message, not to be fragmented, TTL 1; router alert behind the addresses.
    let mut ip = vec![0x46, 0xc0, 0, 24 + igmp.len() as u8, 0, 0, 0x40, 0, 1, IGMP, 0, 0, 0, 0, 0, 0];
    ip.extend(to);
    ip.extend([0x94, 4, 0, 0]);
    put_sum(&mut ip, 10, &[]);
    let mac = MacAddr::from_octets([0x01, 0, 0x5e, to[1] & 0x7f, to[2], to[3]]);
    ethernet(mac, asker.mac, ethertype::IPV4, &[ip, igmp].concat())
}

fn v6(asker: Asker, about: Option<Group>, wait_ms: u32, interval_s: u32) -> Vec<u8> {
    let group = about.map_or([0; 16], Group::ip);
    let all = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let to = if about.is_some() { group } else { all };
    let mut mld = vec![mld::QUERY, 0, 0, 0];
    mld.extend((code(wait_ms, 15, 12) as u16).to_be_bytes());
    mld.extend([0, 0]);
    mld.extend(group);
    mld.extend([ROBUSTNESS, code(interval_s, 7, 4) as u8, 0, 0]);
    let mut pseudo = [asker.link_local(), to].concat();
    pseudo.extend([0, 0, 0, mld.len() as u8, 0, 0, 0, ICMPV6]);
    put_sum(&mut mld, 2, &pseudo);
    // Hop limit 1; the router alert is in front of the message.
    let mut ip = vec![0x60, 0, 0, 0, 0, 8 + mld.len() as u8, 0, 1];
    ip.extend([asker.link_local(), to].concat());
    ip.extend([ICMPV6, 0, 5, 2, 0, 0, 1, 0]);
    let [.., a, b, c, d] = to;
    let mac = MacAddr::from_octets([0x33, 0x33, a, b, c, d]);
    ethernet(mac, asker.mac, ethertype::IPV6, &[ip, mld].concat())
}

fn ethernet(to: MacAddr, from: MacAddr, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    [&to.octets()[..], &from.octets(), &ethertype.to_be_bytes(), packet].concat()
}

fn first(ip: [u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = ip;
    [a, b, c, d]
}

/// The code of a number (RFC 3376 section 4.1.1, RFC 3810 section 5.1.3): itself below 2 to the `bits`; else a floating-point
/// form with `mantissa` bits, of the next smaller number that has one.
fn code(number: u32, bits: u32, mantissa: u32) -> u32 {
    if number < 1 << bits {
        return number;
    }
    let exponent = (number.ilog2().saturating_sub(mantissa + 3)).min(7);
    let digits = (number >> (exponent + 3)).min((2 << mantissa) - 1);
    1 << bits | exponent << mantissa | (digits & ((1 << mantissa) - 1))
}

/// Puts the checksum of RFC 1071 over a pseudo header and the bytes into them.
fn put_sum(bytes: &mut [u8], at: usize, pseudo: &[u8]) {
    let pairs = pseudo.chunks(2).chain(bytes.chunks(2));
    let mut sum: u32 = pairs.map(|pair| pair.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&(!(sum as u16)).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use vswitch_common::frame::ETHERNET_BYTES;
    use vswitch_common::membership::{Message, Query, parse};

    use super::*;
    use crate::api::types::MulticastMode;

    fn read(family: Family, about: Option<Group>, interval_s: u32, response_s: u32) -> Query {
        let asker = Asker::new(0x0102_0304, 5);
        let (mode, link_local) = (MulticastMode::Auto, asker.link_local());
        let settings = Settings { mode, is_querier: true, interval_s, response_s, link_local };
        let frame = frame(asker, family, about, &settings);
        let ethertype = u16::from_be_bytes([frame[12], frame[13]]);
        match parse(ethertype, &frame[ETHERNET_BYTES..]) {
            Some(Message::Query(query)) => query,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_query_reads_back_as_it_was_meant() {
        for family in [Family::V4, Family::V6] {
            let query = read(family, None, 125, 10);
            assert_eq!((query.group, query.max_response_ms), (None, 10_000));
            assert_eq!((query.robustness, query.interval_s), (2, 125));
            let address = [0xff, 0x15, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
            let address: &[u8] = if family == Family::V4 { &[239, 129, 2, 3] } else { &address };
            let group = Group::new(family, address);
            assert_eq!(read(family, group, 125, 10).group, group);
            assert_eq!(read(family, group, 125, 10).max_response_ms, 1_000);
        }
        assert_eq!(read(Family::V4, None, 125, 10).source, [0; 16]);
        assert_eq!(read(Family::V6, None, 125, 10).source, Asker::new(0x0102_0304, 5).link_local());
    }

    #[test]
    fn long_times_are_rounded_down_by_less_than_a_sixteenth() {
        for seconds in [127, 128, 130, 1_000, 20_000, 31_744] {
            let read = read(Family::V4, None, seconds, 10).interval_s;
            assert!(read <= seconds && read > seconds - seconds / 16 - 1, "{seconds} became {read}");
        }
        assert_eq!(read(Family::V4, None, 125, 25).max_response_ms, 24_800);
        assert_eq!(read(Family::V6, None, 125, 25).max_response_ms, 25_000);
    }
}
