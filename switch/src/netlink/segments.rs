//! The longest segments that a link's stack sends whole and gathers: 64 KiB, or more (BIG TCP).
//!
//! A stack hands TCP data down in segments far longer than a frame, and everything between two containers of one host costs
//! by the segment. Linux can make them longer than 64 KiB since 5.19 for IPv6 and 6.3 for IPv4 (`IFLA_GSO_MAX_SIZE` and
//! the like in `net/core/rtnetlink.c`); a link on the way whose own limit is lower cuts them into single frames
//! (`net/core/dev.c`, `gso_features_check`). So both ends of a pair get the larger sizes, and only where nothing on the way cuts.
//!
//! To survive a crash between change and record: [`survey`], write down, [`apply`].

use std::io;

use nix::sys::socket::SockProtocol;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::peer::{Undone, facts, within};
use super::{Link, LinkIndex, Netlink, NetlinkError, socket};

/// The size that ports get where it is of use, in bytes. Linux takes up to 524,280 (`include/linux/netdevice.h`,
/// `GSO_MAX_SIZE`).
pub const LARGE_BYTES: u32 = 185_000;

/// The sizes of one link, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSizes {
    /// Longest segment that is sent whole, of IPv6 where IPv4 has its own.
    pub gso: Option<u32>,
    /// Longest segment that received ones are gathered into.
    pub gro: Option<u32>,
    /// The first for IPv4; none before Linux 6.3.
    pub gso_ipv4: Option<u32>,
    /// The second for IPv4.
    pub gro_ipv4: Option<u32>,
}

impl SegmentSizes {
    /// Notes what an attribute of a link says.
    pub(super) fn note(&mut self, attribute: &LinkAttribute) {
        match attribute {
            LinkAttribute::GsoMaxSize(size) => self.gso = Some(*size),
            LinkAttribute::GroMaxSize(size) => self.gro = Some(*size),
            LinkAttribute::GsoIpv4MaxSize(size) => self.gso_ipv4 = Some(*size),
            LinkAttribute::GroIpv4MaxSize(size) => self.gro_ipv4 = Some(*size),
            _ => {}
        }
    }

    /// The same sizes, none of them below [`LARGE_BYTES`].
    #[must_use]
    pub fn enlarged(self) -> Self {
        let larger = |size: Option<u32>| size.map(|size| size.max(LARGE_BYTES));
        let Self { gso, gro, gso_ipv4, gro_ipv4 } = self;
        Self { gso: larger(gso), gro: larger(gro), gso_ipv4: larger(gso_ipv4), gro_ipv4: larger(gro_ipv4) }
    }

    /// Whether segments longer than 64 KiB pass whole.
    #[must_use]
    pub fn is_large(self) -> bool {
        self == self.enlarged() && self.gso.is_some()
    }

    /// What a request has to say. The general sizes come first: Linux has those of up to 64 KiB hold for IPv4 too.
    fn attributes(self) -> impl Iterator<Item = LinkAttribute> {
        let Self { gso, gro, gso_ipv4, gro_ipv4 } = self;
        let general = [gso.map(LinkAttribute::GsoMaxSize), gro.map(LinkAttribute::GroMaxSize)];
        let ipv4 = [gso_ipv4.map(LinkAttribute::GsoIpv4MaxSize), gro_ipv4.map(LinkAttribute::GroIpv4MaxSize)];
        general.into_iter().chain(ipv4).flatten()
    }
}

/// The sizes of both ends of a veth pair before they were enlarged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnlargedPair {
    /// Our end.
    pub link: LinkIndex,
    /// Its address; by this or the other end's the pair is known again.
    pub link_mac: MacAddr,
    /// The other end's address.
    pub far_mac: MacAddr,
    /// Its sizes.
    pub near: SegmentSizes,
    /// The other end's.
    pub far: SegmentSizes,
    /// The inode of the namespace that the other end was in.
    pub namespace_inode: u64,
}

/// Finds out what enlarging would change, and changes nothing.
///
/// # Errors
/// Those of [`super::peer::survey`]; [`NetlinkError::NoLargeSegments`] where the kernel has none.
pub async fn survey(netlink: &Netlink, link: LinkIndex) -> Result<EnlargedPair, NetlinkError> {
    let (far, (near, namespace_inode)) =
        within(netlink, link, None, |_, ours, inode| Ok((ours, inode))).await?;
    if far.segments.gso.is_none() || far.segments.gro.is_none() {
        return Err(NetlinkError::NoLargeSegments { link: near.name.as_str().into() });
    }
    Ok(EnlargedPair {
        link,
        link_mac: near.mac,
        far_mac: far.mac,
        near: near.segments,
        far: far.segments,
        namespace_inode,
    })
}

/// Enlarges both ends, or does so again.
///
/// # Errors
/// Those of [`survey`]; after one, both ends are as they were, or a warning was logged.
pub async fn apply(netlink: &Netlink, was: &EnlargedPair) -> Result<(), NetlinkError> {
    let result = resize(netlink, was, was.near.enlarged(), was.far.enlarged()).await;
    if result.is_err()
        && let Err(error) = undo(netlink, was).await
    {
        tracing::warn!(link = %was.link, %error, "cannot put the segment sizes of a pair back as they were");
    }
    result
}

/// Puts both ends back, wherever the other one is now.
///
/// # Errors
/// Those of [`survey`], but not that a link is gone.
pub async fn undo(netlink: &Netlink, was: &EnlargedPair) -> Result<Undone, NetlinkError> {
    match netlink.by_index(was.link).await {
        Ok(now) if now.mac == was.link_mac => {}
        Ok(_) if facts(netlink, was.link).await.is_ok_and(|far| far.mac == was.far_mac) => {}
        Ok(_) => return Ok(Undone::Gone),
        Err(error) if error.is_no_such_link() => return Ok(Undone::Gone),
        Err(error) => return Err(error),
    }
    match resize(netlink, was, was.near, was.far).await {
        Ok(()) => Ok(Undone::Restored),
        Err(error) if error.is_no_such_link() || matches!(error, NetlinkError::NoPeer { .. }) => {
            Ok(Undone::Gone)
        }
        Err(error) => Err(error),
    }
}

async fn resize(
    netlink: &Netlink,
    pair: &EnlargedPair,
    near: SegmentSizes,
    far: SegmentSizes,
) -> Result<(), NetlinkError> {
    netlink.set_segments(pair.link, near).await?;
    let (_, ()) = within(netlink, pair.link, Some(pair.namespace_inode), move |_, ours, _| {
        let peer = ours.peer.ok_or_else(|| NetlinkError::NoPeer { link: ours.name.as_str().into() })?;
        set_here(peer.index, far)
    })
    .await?;
    Ok(())
}

impl Netlink {
    /// Sets the sizes that are said.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub(super) async fn set_segments(
        &self,
        index: LinkIndex,
        sizes: SegmentSizes,
    ) -> Result<(), NetlinkError> {
        self.ask_ack(request(index, sizes))
            .await
            .map_err(|source| NetlinkError::of_link("set the segment sizes of", index, source))
    }
}

fn request(index: LinkIndex, sizes: SegmentSizes) -> RouteNetlinkMessage {
    let link = LinkUnspec::new_with_index(index.0);
    let link = sizes.attributes().fold(link, LinkMessageBuilder::append_extra_attribute);
    RouteNetlinkMessage::SetLink(link.build())
}

/// The same in the calling thread's namespace.
fn set_here(index: LinkIndex, sizes: SegmentSizes) -> Result<(), NetlinkError> {
    let failed = |source| NetlinkError::of_link("set the segment sizes of", index, source);
    let mut message = NetlinkMessage::from(request(index, sizes));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK;
    message.finalize();
    let mut octets = vec![0; message.buffer_len()];
    message.serialize(&mut octets);
    let socket = socket::open(SockProtocol::NetlinkRoute, 0).map_err(failed)?;
    // The kernel answers before sending returns.
    socket::send(&socket, &octets).map_err(failed)?;
    let mut buffer = vec![0; socket::MESSAGE_LIMIT];
    let answer = socket::receive(&socket, &mut buffer).map_err(failed)?;
    let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(answer)
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    match answer.payload {
        NetlinkPayload::Error(error) if error.code.is_some() => Err(failed(error.to_io())),
        _ => Ok(()),
    }
}

/// Whether both ends have what [`apply`] gives them.
#[must_use]
pub fn is_applied(near: &Link, far: SegmentSizes) -> bool {
    near.segments.is_large() && far.is_large()
}

#[cfg(test)]
mod tests;
