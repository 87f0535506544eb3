//! Forgetting connections of Linux's connection tracking, by ctnetlink (`linux/netfilter/nfnetlink_conntrack.h`).
//!
//! What was decided about a connection, translation included, holds as long as its entry: a target that has gone or
//! changed wants its entries gone too. All are listed and the right ones deleted one by one: deleting by a filter takes
//! Linux 6.8. Runs on a thread of its own and blocks there.

use std::io;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::socket::MESSAGE_LIMIT;
use super::{Netlink, NetlinkError};

/// Message types: the subsystem in the upper octet.
const CT: u16 = 1 << 8;
const CT_NEW: u16 = CT;
const CT_GET: u16 = CT | 1;
const CT_DELETE: u16 = CT | 2;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
pub(super) const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;

/// Attributes of an entry, of a tuple, and of its two parts.
const CTA_TUPLE_ORIG: u16 = 1;
const CTA_TUPLE_REPLY: u16 = 2;
const CTA_ID: u16 = 12;
const CTA_ZONE: u16 = 18;
const CTA_TUPLE_IP: u16 = 1;
const CTA_TUPLE_PROTO: u16 = 2;
const CTA_IP_V4_SRC: u16 = 1;
const CTA_IP_V4_DST: u16 = 2;
const CTA_IP_V6_SRC: u16 = 3;
const CTA_IP_V6_DST: u16 = 4;
const CTA_PROTO_NUM: u16 = 1;
const CTA_PROTO_SRC_PORT: u16 = 2;
const CTA_PROTO_DST_PORT: u16 = 3;
/// Marks of nesting and byte order in an attribute's type.
const TYPE_MASK: u16 = 0x3fff;

pub(super) const HEADER_BYTES: usize = 16;
pub(super) const FAMILY_HEADER_BYTES: usize = 4;

/// How long the kernel may take for the next part of an answer, in seconds.
const ANSWER_LIMIT_S: i64 = 10;

/// Which connections to forget; all that is said must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// Those that a host began or answers.
    Of(IpAddr),
    /// Those of a protocol that ports of a host answer under another address.
    To {
        /// The host.
        ip: IpAddr,
        /// `IPPROTO_TCP` or `IPPROTO_UDP`.
        protocol: u8,
        /// Its ports.
        ports: RangeInclusive<u16>,
    },
    /// Those of a protocol that were begun towards a port, whoever answers.
    Towards {
        /// As above.
        protocol: u8,
        /// The ports.
        ports: RangeInclusive<u16>,
    },
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tuple {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

impl Forget {
    fn is_meant(&self, original: &Tuple, reply: &Tuple) -> bool {
        match self {
            Self::Of(ip) => [original.source, reply.source].contains(ip),
            Self::To { ip, protocol, ports } => {
                let is_there = reply.source == *ip && ports.contains(&reply.source_port);
                is_there && reply.protocol == *protocol && original.destination != *ip
            }
            Self::Towards { protocol, ports } => {
                original.protocol == *protocol && ports.contains(&original.destination_port)
            }
        }
    }
}

impl Netlink {
    /// Forgets connections, and says how many.
    ///
    /// # Errors
    /// [`NetlinkError::Conntrack`].
    pub async fn forget_connections(&self, which: Vec<Forget>) -> Result<usize, NetlinkError> {
        let forget = move || forget_here(&which).map_err(|source| NetlinkError::Conntrack { source });
        self.namespace().run(forget).await?
    }
}

fn forget_here(which: &[Forget]) -> io::Result<usize> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_LIMIT_S))?;
    let mut doomed = Vec::new();
    send(&socket, CT_GET, NLM_F_REQUEST | NLM_F_DUMP, 0, &[])?;
    receive(&socket, |family, attributes| {
        if let Some(request) = request_to_delete(attributes, which) {
            doomed.push((family, request));
        }
    })?;
    let mut count = 0;
    for (family, request) in doomed {
        send(&socket, CT_DELETE, NLM_F_REQUEST | NLM_F_ACK, family, &request)?;
        match receive(&socket, |_, _| {}) {
            Ok(()) => count += 1,
            // It ended by itself meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// The attributes that name the entry, if it is one of those.
fn request_to_delete(entry: &[u8], which: &[Forget]) -> Option<Vec<u8>> {
    let original = tuple(find(entry, CTA_TUPLE_ORIG)?)?;
    let reply = tuple(find(entry, CTA_TUPLE_REPLY)?)?;
    if !which.iter().any(|which| which.is_meant(&original, &reply)) {
        return None;
    }
    let named = attributes(entry).filter(|(kind, ..)| [CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE].contains(kind));
    Some(named.flat_map(|(_, whole, _)| whole.iter().copied()).collect())
}

fn tuple(attribute: &[u8]) -> Option<Tuple> {
    let (ips, protocol) = (find(attribute, CTA_TUPLE_IP)?, find(attribute, CTA_TUPLE_PROTO)?);
    let address = |v4: u16, v6: u16| -> Option<IpAddr> {
        match (find(ips, v4), find(ips, v6)) {
            (Some(octets), _) => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            (None, octets) => <[u8; 16]>::try_from(octets?).ok().map(IpAddr::from),
        }
    };
    // ICMP has no ports.
    let port = |kind| {
        let octets = find(protocol, kind).and_then(|octets| <[u8; 2]>::try_from(octets).ok());
        octets.map_or(0, u16::from_be_bytes)
    };
    Some(Tuple {
        source: address(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?,
        destination: address(CTA_IP_V4_DST, CTA_IP_V6_DST)?,
        protocol: *find(protocol, CTA_PROTO_NUM)?.first()?,
        source_port: port(CTA_PROTO_SRC_PORT),
        destination_port: port(CTA_PROTO_DST_PORT),
    })
}

/// The value of the first attribute of a kind.
pub(super) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, ..)| *found == kind).map(|(_, _, value)| value)
}

/// Attributes in a row: kind, the whole with its padding, and the value. Ends at what is cut short.
fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?) & TYPE_MASK;
        let value = rest.get(4..length)?;
        let (whole, after) = rest.split_at(length.next_multiple_of(4).min(rest.len()));
        rest = after;
        Some((kind, whole, value))
    })
}

pub(super) fn send(socket: &OwnedFd, kind: u16, flags: u16, family: u8, attributes: &[u8]) -> io::Result<()> {
    let length = HEADER_BYTES + FAMILY_HEADER_BYTES + attributes.len();
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence and port: one request at a time is under way.
    message.extend([0; 8]);
    message.extend([family, 0, 0, 0]);
    message.extend(attributes);
    sendto(socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

/// Reads until the end of an answer.
fn receive(socket: &OwnedFd, mut visit: impl FnMut(u8, &[u8])) -> io::Result<()> {
    let mut buffer = vec![0; MESSAGE_LIMIT];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        let mut rest = &buffer[..length];
        while let Some(length) = rest.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes) as usize) {
            let Some(message) = rest.get(..length).filter(|message| message.len() >= HEADER_BYTES) else {
                break;
            };
            let (kind, body) = (u16::from_ne_bytes([message[4], message[5]]), &message[HEADER_BYTES..]);
            match kind {
                CT_NEW => {
                    if let (Some(family), Some(entry)) = (body.first(), body.get(FAMILY_HEADER_BYTES..)) {
                        visit(*family, entry);
                    }
                }
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => {
                    let code = body.first_chunk().map_or(-libc::EBADMSG, |code| i32::from_ne_bytes(*code));
                    return if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(-code)) };
                }
                _ => {}
            }
            rest = &rest[length.next_multiple_of(4).min(rest.len())..];
        }
    }
}

#[cfg(test)]
#[path = "conntrack/tests.rs"]
mod tests;
