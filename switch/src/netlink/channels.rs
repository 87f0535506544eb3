//! Queues of a link.
//!
//! Native XDP on a veth needs as many rx queues in use as its peer has tx queues in use (kernel 6.18
//! `drivers/net/veth.c`, `veth_xdp_set`: ENOSPC otherwise).

use super::link::name_here;
use super::{LinkIndex, Netlink, NetlinkError};
use crate::sys::{ChannelCounts, Ethtool};

/// Queues in use and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    /// Rx queues in use that only receive.
    pub rx: u32,
    /// Most of them.
    pub max_rx: u32,
    /// Tx queues in use that only send.
    pub tx: u32,
    /// Most of them.
    pub max_tx: u32,
    /// Queue pairs in use; drivers have either these or the others.
    pub combined: u32,
    /// Most of them.
    pub max_combined: u32,
}

impl From<ChannelCounts> for Channels {
    fn from(counts: ChannelCounts) -> Self {
        let [max_rx, max_tx, _, max_combined] = counts.max;
        let [rx, tx, _, combined] = counts.now;
        Self { rx, max_rx, tx, max_tx, combined, max_combined }
    }
}

/// The queues of a link.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`]; [`NetlinkError::Link`], with `EOPNOTSUPP` for drivers without such a notion.
pub async fn get(netlink: &Netlink, index: LinkIndex) -> Result<Channels, NetlinkError> {
    netlink.namespace().run(move || read_here(&name_here(index)?).map(Channels::from)).await?
}

/// Sets how many rx queues are in use, and says how many were.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`]; [`NetlinkError::Link`], with `EINVAL` for more than `max_rx` or too few.
pub async fn set_rx(netlink: &Netlink, index: LinkIndex, count: u32) -> Result<u32, NetlinkError> {
    netlink
        .namespace()
        .run(move || {
            let link = name_here(index)?;
            let mut counts = read_here(&link)?;
            let was = std::mem::replace(&mut counts.now[0], count);
            if was != count {
                Ethtool::open(&link).and_then(|ethtool| ethtool.set_channels(counts)).map_err(|source| {
                    NetlinkError::of_link("set the number of rx queues of", &*link, source)
                })?;
            }
            Ok(was)
        })
        .await?
}

/// The counts of a link in the calling thread's namespace.
pub(super) fn read_here(link: &str) -> Result<ChannelCounts, NetlinkError> {
    Ethtool::open(link)
        .and_then(|ethtool| ethtool.channels())
        .map_err(|source| NetlinkError::of_link("read the queues of", link, source))
}
