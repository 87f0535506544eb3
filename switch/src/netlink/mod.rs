//! All that the controller asks of Linux links.
//!
//! [`Netlink`] is one rtnetlink connection and the namespace it was opened in. Each other module is one subject:
//! free functions that take a [`Netlink`] first. Requests wait on the socket; what can only be had from a thread
//! inside a namespace (ethtool, `/proc/sys/net`) goes to [`Namespace::run`], so that no caller ever blocks.

pub mod address;
pub mod bridge;
pub mod channels;
pub mod conntrack;
pub mod error;
pub mod hostend;
pub mod link;
pub mod monitor;
pub mod namespace;
mod nsid;
pub mod offload;
pub mod peer;
pub mod qdisc;
pub mod route;
pub mod ruleset;
#[cfg(test)]
pub(crate) mod scratch;
pub mod segments;
mod socket;
pub mod veth;
pub mod xdp_features;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::AsyncSocket as _;

pub use error::{LinkId, NetlinkError};
pub use link::{Link, LinkIndex, LinkKind, PeerRef};
pub use namespace::Namespace;

/// How long the kernel may take to answer. It answers within the request; this only bounds a lost answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How often a dump is asked for again after it was interrupted by a change (netlink(7): `NLM_F_DUMP_INTR`).
const DUMP_ATTEMPTS: u32 = 16;

/// A connection to the kernel's links, in the namespace where it was opened. Clones share it.
#[derive(Debug, Clone)]
pub struct Netlink {
    handle: rtnetlink::Handle,
    /// A connection that lists what is asked for and no more, where the kernel can (Linux 4.20, `NETLINK_GET_STRICT_CHK`).
    strict: rtnetlink::Handle,
    home: Arc<Namespace>,
}

/// A connection in the calling thread's network namespace.
fn connect(is_strict: bool) -> Result<rtnetlink::Handle, NetlinkError> {
    let (mut connection, handle, _unsolicited) = rtnetlink::new_connection()
        .map_err(|source| NetlinkError::Open { purpose: "link requests", source })?;
    // The end of a dump carries the flag that says whether it was interrupted.
    connection.set_forward_done(true);
    if is_strict {
        let _older_kernel = connection.socket_mut().socket_mut().set_netlink_get_strict_chk(true);
    }
    tokio::spawn(connection);
    Ok(handle)
}

/// Which answers a request gets.
#[derive(Clone, Copy)]
enum Answer {
    One,
    /// With further flags of the request.
    Ack(u16),
    Dump,
}

impl Netlink {
    /// Connects in the calling thread's network namespace. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`NetlinkError::Open`] or [`NetlinkError::OpenNamespace`].
    pub fn open() -> Result<Self, NetlinkError> {
        let home = Arc::new(Namespace::current()?);
        let (handle, strict) = (connect(false)?, connect(true)?);
        Ok(Self { handle, strict, home })
    }

    /// The namespace whose links this is about.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.home
    }

    /// A request with one answer.
    async fn ask_one(&self, message: RouteNetlinkMessage) -> io::Result<Option<RouteNetlinkMessage>> {
        Ok(self.ask(message, Answer::One).await?.pop())
    }

    /// A request with an acknowledgement only.
    async fn ask_ack(&self, message: RouteNetlinkMessage) -> io::Result<()> {
        self.ask_ack_with(message, 0).await
    }

    /// The same with further flags, such as `NLM_F_CREATE`.
    async fn ask_ack_with(&self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.ask(message, Answer::Ack(flags)).await.map(drop)
    }

    /// A request for all objects of a kind: a consistent list, or an error.
    async fn ask_dump(&self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        for _ in 0..DUMP_ATTEMPTS {
            match self.ask(message.clone(), Answer::Dump).await {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                answer => return answer,
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    async fn ask(
        &self,
        message: RouteNetlinkMessage,
        answer: Answer,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST
            | match answer {
                Answer::One => 0,
                Answer::Ack(flags) => NLM_F_ACK | flags,
                Answer::Dump => NLM_F_DUMP,
            };
        let mut replies = self.handle.clone().request(request).map_err(|_| io::ErrorKind::NotConnected)?;
        let collect = async {
            let mut answers = Vec::new();
            let mut is_interrupted = false;
            while let Some(reply) = replies.next().await {
                is_interrupted |= reply.header.flags & NLM_F_DUMP_INTR != 0;
                match reply.payload {
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    NetlinkPayload::Error(error) if error.code.is_some() => return Err(error.to_io()),
                    NetlinkPayload::Done(done) if done.code != 0 => {
                        return Err(io::Error::from_raw_os_error(done.code.abs()));
                    }
                    NetlinkPayload::Overrun(_) => return Err(io::ErrorKind::Interrupted.into()),
                    _ => {}
                }
            }
            if is_interrupted { Err(io::ErrorKind::Interrupted.into()) } else { Ok(answers) }
        };
        tokio::time::timeout(ANSWER_LIMIT, collect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}
