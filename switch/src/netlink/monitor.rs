//! Hears of every change to a link of the namespace.
//!
//! Nothing here grows without bound: one task reads the socket and waits when the channel is full; then the kernel's
//! buffer fills, the kernel drops, and says so once (ENOBUFS). What still waits in the socket is thrown away at that
//! point, so that all that is heard after [`LinkEvent::Overrun`] is newer than a list asked for upon it.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::SockProtocol;
use rtnetlink::packet_core::{NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::socket::{self, MESSAGE_LIMIT};
use super::{Link, LinkIndex, Netlink, NetlinkError};
use crate::sys;

/// Events that wait for the controller.
pub const EVENT_LIMIT: usize = 1024;

/// Bytes the kernel may hold for us: a thousand containers starting at once make some ten thousand messages of a
/// kilobyte or two.
const BUFFER_BYTES: usize = 16 << 20;

/// Mask of multicast group 1, RTNLGRP_LINK (`linux/rtnetlink.h`).
const LINK_GROUP: u32 = 1;

/// Something happened to a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// It is new, or is now like this.
    Changed(Link),
    /// It was deleted, or moved to another namespace.
    Removed {
        /// Its index.
        index: LinkIndex,
        /// Its last name.
        name: String,
    },
    /// Events were lost: list all links.
    Overrun,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct Monitor {
    events: mpsc::Receiver<LinkEvent>,
    reader: AbortHandle,
}

impl Monitor {
    /// Starts to listen: what happens from now on is heard. Open it before listing links, so that nothing falls
    /// between.
    ///
    /// # Errors
    /// [`NetlinkError::Open`].
    pub async fn open(netlink: &Netlink) -> Result<Self, NetlinkError> {
        Self::with_limits(netlink, EVENT_LIMIT, BUFFER_BYTES).await
    }

    async fn with_limits(netlink: &Netlink, events: usize, buffer: usize) -> Result<Self, NetlinkError> {
        let failed = |source| NetlinkError::Open { purpose: "changes of links", source };
        let open = move || {
            let socket = socket::open(SockProtocol::NetlinkRoute, LINK_GROUP)?;
            socket::enlarge(&socket, buffer)?;
            Ok(socket)
        };
        let socket = netlink.namespace().run(open).await?.and_then(sys::watch).map_err(failed)?;
        let (tx, rx) = mpsc::channel(events);
        let reader = tokio::spawn(read(socket, tx)).abort_handle();
        Ok(Self { events: rx, reader })
    }

    /// The next event; none when listening has failed for good, which was logged. Safe to cancel.
    pub async fn next(&mut self) -> Option<LinkEvent> {
        self.events.recv().await
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(socket: AsyncFd<OwnedFd>, events: mpsc::Sender<LinkEvent>) {
    let mut buffer = vec![0; MESSAGE_LIMIT];
    loop {
        let received = match socket.readable().await {
            Ok(mut guard) => guard.try_io(|socket| heard(socket.get_ref(), &mut buffer)),
            Err(error) => Ok(Err(error)),
        };
        let heard = match received {
            Ok(Ok(heard)) => heard,
            Ok(Err(error)) => return tracing::error!(%error, "no longer hears of changes to links"),
            Err(_would_block) => continue,
        };
        for event in heard {
            if events.send(event).await.is_err() {
                return;
            }
        }
    }
}

/// The events of one datagram.
fn heard(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Vec<LinkEvent>> {
    let error = match socket::receive(socket, buffer) {
        Ok(datagram) => match events_of(datagram) {
            Some(events) => return Ok(events),
            None => io::ErrorKind::InvalidData.into(),
        },
        Err(error) => error,
    };
    if error.raw_os_error() != Some(libc::ENOBUFS) && error.kind() != io::ErrorKind::InvalidData {
        return Err(error);
    }
    tracing::warn!(%error, "changes to links were lost");
    drain(socket, buffer)?;
    Ok(vec![LinkEvent::Overrun])
}

/// Throws away what waits. What comes meanwhile may go too: it is before the overrun.
fn drain(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<()> {
    // Never more than the kernel's buffer holds of the shortest message, so that a flood cannot keep us here.
    for _ in 0..BUFFER_BYTES / size_of::<libc::nlmsghdr>() {
        match socket::receive(socket, buffer) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(e) if e.raw_os_error() != Some(libc::ENOBUFS) && e.kind() != io::ErrorKind::InvalidData => {
                return Err(e);
            }
            _ => {}
        }
    }
    Ok(())
}

/// None when a message makes no sense, so that what it told is lost.
fn events_of(mut datagram: &[u8]) -> Option<Vec<LinkEvent>> {
    let mut events = Vec::new();
    while !datagram.is_empty() {
        let length = NetlinkBuffer::new_checked(datagram).ok()?.length() as usize;
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram).ok()?;
        events.extend(event_of(message.payload));
        // Messages start at multiples of four.
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(events)
}

fn event_of(payload: NetlinkPayload<RouteNetlinkMessage>) -> Option<LinkEvent> {
    match payload {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(message)) => {
            Link::from_message(&message).map(LinkEvent::Changed)
        }
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(message)) => {
            Link::from_message(&message).map(|Link { index, name, .. }| LinkEvent::Removed { index, name })
        }
        NetlinkPayload::Overrun(_) => Some(LinkEvent::Overrun),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
