//! What the model refuses before it learns anything: what cannot be, what belongs to no VLAN, what is spoofed.

use super::{Mac, PortSettings, Reason, is_group, is_link_constrained};

/// Octets of an untagged header.
pub(super) const HEADER: usize = 14;
/// Octets of one VLAN tag.
pub(super) const TAG: usize = 4;

/// The frame's outer tag: its VLAN ID.
pub(super) fn tag_of(frame: &[u8]) -> Option<u16> {
    let is_tagged = matches!(frame.get(12..14), Some([0x81, 0x00] | [0x88, 0xa8]));
    if !is_tagged {
        return None;
    }
    Some(number(frame, 14)? & 0x0fff)
}

/// What the frame has behind its outer tag, from its ethertype on.
pub(super) fn behind_tag(frame: &[u8]) -> &[u8] {
    &frame[if tag_of(frame).is_some() { 12 + TAG } else { 12 }..]
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().expect("two octets")))
}

/// The VLAN of a frame that came in by the port, 0 on a VLAN-unaware network; or why it is refused.
pub(super) fn admit(port: &PortSettings, frame: &[u8]) -> Result<u16, Reason> {
    if frame.len() < HEADER {
        return Err(Reason::Malformed);
    }
    if !port.up {
        return Err(Reason::PortDown);
    }
    let destination: Mac = frame[0..6].try_into().expect("six octets");
    let source: Mac = frame[6..12].try_into().expect("six octets");
    if is_group(source) || source == [0; 6] {
        return Err(Reason::InvalidSource);
    }
    // Nothing is learned from a frame that is refused; the Linux bridge does learn from this one.
    if is_link_constrained(destination) {
        return Err(Reason::LinkConstrained);
    }
    let vid = classify(port, frame)?;
    check_addresses(port, source, behind_tag(frame))?;
    Ok(vid)
}

fn classify(port: &PortSettings, frame: &[u8]) -> Result<u16, Reason> {
    let Some(vlans) = port.vlans else { return Ok(0) };
    let vid = tag_of(frame).filter(|vid| *vid != 0).unwrap_or(vlans.untagged);
    match vid {
        0 | 4095 => Err(Reason::InvalidVlan),
        _ if vlans.has(vid) => Ok(vid),
        _ => Err(Reason::VlanNotAllowed),
    }
}

/// Checks what the frame says of its sender against what the port was given. `rest` begins with the ethertype.
fn check_addresses(port: &PortSettings, source: Mac, rest: &[u8]) -> Result<(), Reason> {
    let Some(guard) = port.guard else { return Ok(()) };
    let is_other_mac = |mac: &[u8]| guard.mac.is_some_and(|given| given != mac);
    let is_other_ip = |ip: &[u8]| guard.ip.is_some_and(|given| given != ip);
    if is_other_mac(&source) {
        return Err(Reason::SpoofedMac);
    }
    let payload = &rest[2..];
    match (rest[0], rest[1]) {
        // ARP: sender's MAC and IP; without an IP yet it only probes (RFC 5227).
        (0x08, 0x06) if payload.len() < 28 => Err(Reason::Malformed),
        (0x08, 0x06) if is_other_mac(&payload[8..14]) => Err(Reason::SpoofedMac),
        (0x08, 0x06) if payload[14..18] != [0; 4] && is_other_ip(&payload[14..18]) => Err(Reason::SpoofedIp),
        (0x08, 0x06) => Ok(()),
        // IPv4: no DHCP server; without an address nothing but DHCP.
        (0x08, 0x00) if payload.len() < 24 => Err(Reason::Malformed),
        (0x08, 0x00) => {
            let (from, to) = (number(payload, 20), number(payload, 22));
            let (is_udp, address) = (payload[9] == 17, &payload[12..16]);
            if is_udp && from == Some(67) && !guard.trusted {
                Err(Reason::RogueServer)
            } else if guard.ip.is_some() && address == [0; 4] {
                if is_udp && to == Some(67) { Ok(()) } else { Err(Reason::SpoofedIp) }
            } else if is_other_ip(address) {
                Err(Reason::SpoofedIp)
            } else {
                Ok(())
            }
        }
        // IPv6: no router advertisement; link-local sources are anybody's.
        (0x86, 0xdd) if payload.len() < 41 => Err(Reason::Malformed),
        (0x86, 0xdd) if payload[6] == 58 && payload[40] == 134 && !guard.trusted => Err(Reason::RogueServer),
        (0x86, 0xdd) if guard.ip.is_some() && !(payload[8] == 0xfe && payload[9] & 0xc0 == 0x80) => {
            Err(Reason::SpoofedIp)
        }
        // Behind a second tag there is nothing to check, and a host with an address sends no such frame.
        (0x81, 0x00) | (0x88, 0xa8) if guard.ip.is_some() => Err(Reason::SpoofedIp),
        _ => Ok(()),
    }
}
