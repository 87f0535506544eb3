//! Whether anybody has changed the namespace's nftables: one number that goes up with each transaction
//! (`linux/netfilter/nf_tables.h`, `NFT_MSG_GETGEN`). Asking costs a system call or three, and no program.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};

use super::{Netlink, NetlinkError};

/// Message types: the subsystem in the upper octet.
const GET_GENERATION: u16 = 10 << 8 | 16;
const NEW_GENERATION: u16 = 10 << 8 | 15;
const NLM_F_REQUEST: u16 = 1;
/// Attribute with the number, in network byte order.
const GENERATION_ID: u16 = 1;
/// netlink header, then that of netfilter.
const HEADERS: usize = 16 + 4;
/// How long the kernel may take, in seconds.
const ANSWER_LIMIT_S: i64 = 5;

impl Netlink {
    /// The number of the namespace's last nftables transaction.
    ///
    /// # Errors
    /// [`NetlinkError::Rules`].
    pub async fn rules_generation(&self) -> Result<u32, NetlinkError> {
        let ask = || generation_here().map_err(|source| NetlinkError::Rules { source });
        self.namespace().run(ask).await?
    }
}

fn generation_here() -> io::Result<u32> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let protocol = SockProtocol::NetlinkNetFilter;
    let socket: OwnedFd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_LIMIT_S))?;
    let mut message = (HEADERS as u32).to_ne_bytes().to_vec();
    message.extend(GET_GENERATION.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    message.resize(HEADERS, 0);
    sendto(socket.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    let mut answer = [0; 256];
    let length = recv(socket.as_raw_fd(), &mut answer, MsgFlags::empty())?;
    parse(&answer[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn parse(answer: &[u8]) -> Option<u32> {
    let word =
        |at: usize| answer.get(at..at + 2).and_then(|octets| octets.try_into().ok()).map(u16::from_ne_bytes);
    if word(4)? != NEW_GENERATION {
        return None;
    }
    let mut at = HEADERS;
    while let (Some(length), Some(kind)) = (word(at), word(at + 2)) {
        if kind == GENERATION_ID {
            let value = answer.get(at + 4..at + 8)?.try_into().ok()?;
            return Some(u32::from_be_bytes(value));
        }
        at += usize::from(length).next_multiple_of(4).max(4);
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::netlink::scratch::Scratch;

    #[test]
    fn each_change_of_the_rules_is_another_generation() {
        let Some(ns) = Scratch::new() else { return };
        ns.block_on(async |netlink| {
            let first = netlink.rules_generation().await.unwrap();
            assert_eq!(netlink.rules_generation().await.unwrap(), first);
            ns.exec("nft add table inet somebody");
            assert_ne!(netlink.rules_generation().await.unwrap(), first);
        });
    }
}
