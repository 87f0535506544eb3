//! Links: what they are, and asking Linux to change them.
//!
//! A [`Link`] is a picture of one moment; its index is what stays. So everything that changes a link takes the index,
//! and a name is only ever turned into an index at the edge.

use std::fmt;

use rtnetlink::packet_route::link::{
    InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkLayerType, LinkMessage, LinkXdp, State,
    XdpAttached,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkMessageBuilder, LinkUnspec};
use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::segments::SegmentSizes;
use super::{LinkId, Netlink, NetlinkError};

/// The number of a link in its network namespace (ifindex): above 0, and not given again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkIndex(pub u32);

impl fmt::Display for LinkIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What makes frames appear on a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkKind {
    /// One end of a pair.
    Veth,
    /// A tun or tap, a process behind it.
    Tun,
    /// A Linux bridge.
    Bridge,
    /// A link to nowhere.
    Dummy,
    /// Ethernet hardware, or what a virtual machine has for it.
    Physical,
    /// Anything else, as the kernel calls it.
    Other(String),
}

/// Where the other end of a veth pair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerRef {
    /// Its index, in its own namespace.
    pub index: LinkIndex,
    /// The id that our namespace has for its namespace; none when it is our own.
    pub nsid: Option<i32>,
}

/// A link as it was when asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: LinkIndex,
    /// Its name now.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Its address; zero when it has none of 48 bits.
    pub mac: MacAddr,
    /// Longest payload of a frame, in bytes.
    pub mtu: u32,
    /// Whether it was told to be up (`IFF_UP`).
    pub is_up: bool,
    /// Whether frames can pass: up, with a carrier, and neither dormant nor down at a lower layer.
    pub has_carrier: bool,
    /// Whether somebody asked it to take every frame (`IFF_PROMISC`, which a program that listens does not set).
    pub is_promiscuous: bool,
    /// Whether an XDP program meets its frames before they are socket buffers.
    pub has_native_program: bool,
    /// The bridge, bond or other link it belongs to.
    pub master: Option<LinkIndex>,
    /// The other end, for a veth.
    pub peer: Option<PeerRef>,
    /// Most rx queues it can have.
    pub num_rx_queues: u32,
    /// Most tx queues it can have.
    pub num_tx_queues: u32,
    /// Longest segments that it sends and gathers.
    pub segments: SegmentSizes,
}

impl Link {
    /// From an `RTM_NEWLINK` or `RTM_DELLINK`; none for those of another family (a bridge tells of its ports in such)
    /// or without a name, which are not about the link itself.
    pub(super) fn from_message(message: &LinkMessage) -> Option<Self> {
        if message.header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let mut link = Self::nameless(message);
        let mut carrier_state = State::Unknown;
        let mut kind = None;
        let (mut lower, mut nsid) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(octets) => link.mac = mac(octets),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::Controller(0) => {}
                LinkAttribute::Controller(index) => link.master = Some(LinkIndex(*index)),
                LinkAttribute::OperState(state) => carrier_state = *state,
                LinkAttribute::NumRxQueues(count) => link.num_rx_queues = *count,
                LinkAttribute::NumTxQueues(count) => link.num_tx_queues = *count,
                LinkAttribute::Link(index) => lower = Some(LinkIndex(*index)),
                LinkAttribute::Xdp(xdp) => link.has_native_program = xdp.iter().any(is_native),
                LinkAttribute::LinkNetNsId(id) => nsid = Some(*id),
                LinkAttribute::LinkInfo(infos) => {
                    kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                other => link.segments.note(other),
            }
        }
        link.kind = link_kind(kind, message.header.link_layer_type);
        // `Down` with the lower layer up is a carrier that Linux has not come to announce yet, up to a second late
        // (kernel 6.18 `net/core/link_watch.c`): frames pass already.
        link.has_carrier &= matches!(carrier_state, State::Up | State::Unknown | State::Down);
        // Other kinds tell in the same attribute on which link they stand.
        let is_pair = link.kind == LinkKind::Veth;
        link.peer = lower.filter(|index| is_pair && index.0 != 0).map(|index| PeerRef { index, nsid });
        (!link.name.is_empty()).then_some(link)
    }

    fn nameless(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        Self {
            index: LinkIndex(message.header.index),
            name: String::new(),
            kind: LinkKind::Physical,
            mac: MacAddr::ZERO,
            mtu: 0,
            is_up: flags.contains(LinkFlags::Up),
            has_carrier: flags.contains(LinkFlags::LowerUp),
            is_promiscuous: flags.contains(LinkFlags::Promisc),
            has_native_program: false,
            master: None,
            peer: None,
            num_rx_queues: 1,
            num_tx_queues: 1,
            segments: SegmentSizes::default(),
        }
    }
}

fn is_native(xdp: &LinkXdp) -> bool {
    matches!(xdp, LinkXdp::Attached(XdpAttached::Driver | XdpAttached::Hardware | XdpAttached::Multiple))
}

fn mac(octets: &[u8]) -> MacAddr {
    octets.try_into().map_or(MacAddr::ZERO, MacAddr::from_octets)
}

fn link_kind(kind: Option<&InfoKind>, layer: LinkLayerType) -> LinkKind {
    match kind {
        Some(InfoKind::Veth) => LinkKind::Veth,
        Some(InfoKind::Tun) => LinkKind::Tun,
        Some(InfoKind::Bridge) => LinkKind::Bridge,
        Some(InfoKind::Dummy) => LinkKind::Dummy,
        Some(other) => LinkKind::Other(other.to_string()),
        None if layer == LinkLayerType::Ether => LinkKind::Physical,
        None => LinkKind::Other(layer.to_string().to_lowercase()),
    }
}

impl Netlink {
    /// The link of that name.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], also for what cannot be a name; [`NetlinkError::Link`].
    pub async fn by_name(&self, name: &str) -> Result<Link, NetlinkError> {
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(NetlinkError::NoSuchLink { link: name.into() });
        }
        self.link(get_link().name(name).build(), name.into()).await
    }

    /// The link of that index.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn by_index(&self, index: LinkIndex) -> Result<Link, NetlinkError> {
        self.link(get_link().index(index.0).build(), index.into()).await
    }

    /// The link of that index in the namespace that has this id here, seen from where we are. As a side effect Linux
    /// gives our own namespace an id too, by which it names where the peer's peer is.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], also when no namespace has that id; [`NetlinkError::Link`].
    pub(super) async fn by_index_elsewhere(&self, index: LinkIndex, nsid: i32) -> Result<Link, NetlinkError> {
        let message =
            get_link().append_extra_attribute(LinkAttribute::IfNetnsId(nsid)).index(index.0).build();
        match self.link(message, index.into()).await {
            Err(NetlinkError::Link { source, link, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
                Err(NetlinkError::NoSuchLink { link })
            }
            result => result,
        }
    }

    /// All links of the namespace.
    ///
    /// # Errors
    /// [`NetlinkError::List`].
    pub async fn list(&self) -> Result<Vec<Link>, NetlinkError> {
        let answers = self
            .ask_dump(RouteNetlinkMessage::GetLink(get_link().build()))
            .await
            .map_err(|source| NetlinkError::List { source })?;
        Ok(answers.iter().filter_map(link_of).collect())
    }

    /// Tells the link to be up.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_up(&self, index: LinkIndex) -> Result<(), NetlinkError> {
        self.change("bring up", index, LinkMessageBuilder::up).await
    }

    /// Tells the link to be down.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_down(&self, index: LinkIndex) -> Result<(), NetlinkError> {
        self.change("bring down", index, LinkMessageBuilder::down).await
    }

    /// Has the link take every frame, or only its own again.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_promiscuous(&self, index: LinkIndex, on: bool) -> Result<(), NetlinkError> {
        self.change("set the promiscuous mode of", index, |link| link.promiscuous(on)).await
    }

    /// Sets the MTU, in bytes.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_mtu(&self, index: LinkIndex, mtu: u32) -> Result<(), NetlinkError> {
        self.change("set the MTU of", index, |link| link.mtu(mtu)).await
    }

    /// Gives the link an address; a bridge that was given one keeps it whatever its ports have.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_mac(&self, index: LinkIndex, mac: MacAddr) -> Result<(), NetlinkError> {
        self.change("set the address of", index, |link| link.address(mac.octets().to_vec())).await
    }

    /// Makes the link part of a bridge or the like, or of none.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
    pub async fn set_master(&self, index: LinkIndex, master: Option<LinkIndex>) -> Result<(), NetlinkError> {
        let master = master.map_or(0, |master| master.0);
        self.change("set the master of", index, |link| link.controller(master)).await
    }

    async fn change(
        &self,
        action: &'static str,
        index: LinkIndex,
        change: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<(), NetlinkError> {
        let message = change(LinkUnspec::new_with_index(index.0)).build();
        self.ask_ack(RouteNetlinkMessage::SetLink(message))
            .await
            .map_err(|source| NetlinkError::of_link(action, index, source))
    }

    async fn link(&self, message: LinkMessage, id: LinkId) -> Result<Link, NetlinkError> {
        match self.ask_one(RouteNetlinkMessage::GetLink(message)).await {
            Ok(answer) => answer.as_ref().and_then(link_of).ok_or(NetlinkError::NoSuchLink { link: id }),
            Err(source) => Err(NetlinkError::of_link("look up", id, source)),
        }
    }
}

/// A request for links without their counters, the bulk of an answer.
fn get_link() -> LinkMessageBuilder<LinkUnspec> {
    LinkMessageBuilder::<LinkUnspec>::new()
        .append_extra_attribute(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]))
}

fn link_of(answer: &RouteNetlinkMessage) -> Option<Link> {
    match answer {
        RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
        _ => None,
    }
}

/// The name of a link in the calling thread's namespace, for what can only be asked by name.
pub(super) fn name_here(index: LinkIndex) -> Result<String, NetlinkError> {
    let name = nix::net::if_::if_indextoname(index.0).map(|name| name.to_string_lossy().into_owned());
    match name {
        // nix 0.31 takes "there is none" for a link without a name.
        Ok(name) if !name.is_empty() => Ok(name),
        Ok(_) => Err(NetlinkError::NoSuchLink { link: index.into() }),
        Err(errno) => Err(NetlinkError::of_link("find the name of", index, errno.into())),
    }
}

#[cfg(test)]
mod tests;
