//! Whether somebody changed the rules of nftables: the number of their generation (`linux/netfilter/nf_tables.h`).
//!
//! Asking costs one system call each way, where listing the rules takes a program and as long as there are rules.

use std::io;
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::conntrack::{FAMILY_HEADER_BYTES, HEADER_BYTES, NLM_F_REQUEST, find, send};
use super::socket::MESSAGE_LIMIT;
use super::{Netlink, NetlinkError};

/// Question, answer, and the answer's attribute.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const NFTA_GEN_ID: u16 = 1;

/// How long the kernel may take, in seconds.
const ANSWER_LIMIT_S: i64 = 10;

impl Netlink {
    /// A number that changes with every change of the rules.
    ///
    /// # Errors
    /// [`NetlinkError::Ruleset`].
    pub async fn ruleset_generation(&self) -> Result<u32, NetlinkError> {
        self.namespace().run(|| generation_here().map_err(|source| NetlinkError::Ruleset { source })).await?
    }
}

fn generation_here() -> io::Result<u32> {
    let (flags, protocol) = (SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter);
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_LIMIT_S))?;
    send(&socket, GET_GENERATION, NLM_F_REQUEST, 0, &[])?;
    let mut buffer = vec![0; MESSAGE_LIMIT];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    let answer = &buffer[..length];
    let is_answer = answer.get(4..6) == Some(&NEW_GENERATION.to_ne_bytes());
    let attributes = answer.get(HEADER_BYTES + FAMILY_HEADER_BYTES..).filter(|_| is_answer);
    let id = attributes.and_then(|attributes| find(attributes, NFTA_GEN_ID)?.first_chunk());
    id.map(|octets| u32::from_be_bytes(*octets)).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
