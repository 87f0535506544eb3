//! Plain netlink sockets, for the two talks that rtnetlink has no connection for: listening with a bound on what
//! waits, and generic netlink.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt,
    socket, sockopt,
};

/// Longer than any message of the kernel (32 KiB for a dump since 4.9; a notification is a page or so).
pub(super) const MESSAGE_LIMIT: usize = 64 * 1024;

/// A non-blocking socket in the calling thread's namespace; `groups` is the mask of multicast groups to listen to.
pub(super) fn open(protocol: SockProtocol, groups: u32) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
    Ok(socket)
}

/// Has the kernel hold that many bytes for us: beyond the system's limit where we may, else up to it.
pub(super) fn enlarge(socket: &OwnedFd, bytes: usize) -> io::Result<()> {
    setsockopt(socket, sockopt::RcvBufForce, &bytes)
        .or_else(|_| setsockopt(socket, sockopt::RcvBuf, &bytes))
        .map_err(io::Error::from)
}

/// Sends to the kernel.
pub(super) fn send(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    sendto(socket.as_raw_fd(), message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

/// One datagram into the buffer; `WouldBlock` when there is none, `InvalidData` when it does not fit.
pub(super) fn receive<'a>(socket: &OwnedFd, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // With MSG_TRUNC the length is the datagram's, so that a cut one is noticed.
    let length = recv(socket.as_raw_fd(), buffer, MsgFlags::MSG_TRUNC)?;
    buffer.get(..length).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
