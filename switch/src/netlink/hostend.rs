//! The link of a port itself: quiet, open to every frame, and up.
//!
//! A port's link is no host on the network: left alone it would join multicast groups and ask for routers by IPv6 on
//! its own. So IPv6 is turned off on it, unless somebody gave it IPv6 addresses, which that would delete. GRO is
//! turned on, which on a veth makes it poll. A link that filters by address is made promiscuous; a veth does not.
//!
//! To survive a crash between change and record: [`survey`], write down, [`apply`].

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::link::name_here;
use super::offload::{FeatureChange, Features, GRO, apply_here, restore_here};
use super::peer::Undone;
use super::{LinkIndex, LinkKind, Netlink, NetlinkError, qdisc};

/// Receive-side VLAN tag stripping, as `ethtool` calls it.
const VLAN_STRIPPING: &str = "rx-vlan-hw-parse";

/// What a link was before it became a port's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilencedLink {
    /// Its index.
    pub index: LinkIndex,
    /// Its name, by which or by its address it is known again.
    pub name: String,
    /// Its address.
    pub mac: MacAddr,
    /// Whether it was told to be up.
    pub was_up: bool,
    /// Whether it was promiscuous; none where that is left alone.
    pub was_promiscuous: Option<bool>,
    /// Whether IPv6 was disabled on it; none where that is left alone.
    pub was_ipv6_disabled: Option<bool>,
    /// Whether it had a clsact qdisc; none where that was not asked.
    #[serde(default)]
    pub had_clsact: Option<bool>,
    /// Features that are changed.
    pub features: Vec<FeatureChange>,
}

/// Finds out what silencing the link would change, and changes nothing.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`] and others about the link; [`NetlinkError::Sysctl`].
pub async fn survey(netlink: &Netlink, index: LinkIndex) -> Result<SilencedLink, NetlinkError> {
    let link = netlink.by_index(index).await?;
    let has_ipv6 = netlink.addresses(index).await?.iter().any(|given| given.address.is_ipv6());
    let had_clsact = qdisc::has_clsact(netlink, index).await.ok();
    let is_card = link.kind == LinkKind::Physical;
    let (was_ipv6_disabled, features) = netlink
        .namespace()
        .run(move || {
            let name = name_here(index)?;
            let ipv6 = if has_ipv6 { None } else { read_ipv6_disabled_here(&name)? };
            let features = Features::read_here(&name)?;
            let can_gro = features.get(GRO).is_some_and(|state| state.is_changeable());
            let mut wishes = if can_gro { vec![(GRO.to_owned(), true)] } else { Vec::new() };
            // A card that takes tags out of frames hides them from XDP.
            let strips_tags =
                features.get(VLAN_STRIPPING).is_some_and(|state| state.is_changeable() && state.active);
            if strips_tags && is_card {
                wishes.push((VLAN_STRIPPING.to_owned(), false));
            }
            Ok((ipv6, features.changes(&name, &wishes)?))
        })
        .await??;
    Ok(SilencedLink {
        index,
        was_up: link.is_up,
        was_promiscuous: (link.kind != LinkKind::Veth).then_some(link.is_promiscuous),
        was_ipv6_disabled,
        had_clsact,
        features,
        name: link.name,
        mac: link.mac,
    })
}

/// Makes the changes of a survey, or makes them again.
///
/// # Errors
/// Those of [`survey`]; after one, the link is as it was, or a warning was logged.
pub async fn apply(netlink: &Netlink, was: &SilencedLink) -> Result<(), NetlinkError> {
    let result = silence_as_surveyed(netlink, was).await;
    if result.is_err()
        && let Err(error) = restore(netlink, was).await
    {
        tracing::warn!(link = was.name, %error, "cannot put a link back as it was");
    }
    result
}

/// Makes the link fit for a port, and says what it was.
///
/// # Errors
/// Those of [`survey`] and [`apply`].
pub async fn silence(netlink: &Netlink, index: LinkIndex) -> Result<SilencedLink, NetlinkError> {
    let was = survey(netlink, index).await?;
    apply(netlink, &was).await?;
    Ok(was)
}

/// Puts back what silencing changed, and nothing else.
///
/// # Errors
/// Those of [`survey`], but not that the link is gone.
pub async fn restore(netlink: &Netlink, was: &SilencedLink) -> Result<Undone, NetlinkError> {
    match netlink.by_index(was.index).await {
        Ok(now) if now.name != was.name && now.mac != was.mac => return Ok(Undone::Gone),
        Ok(_) => {}
        Err(e) if e.is_no_such_link() => return Ok(Undone::Gone),
        Err(e) => return Err(e),
    }
    match restore_existing(netlink, was).await {
        Ok(()) => Ok(Undone::Restored),
        Err(e) if e.is_no_such_link() => Ok(Undone::Gone),
        Err(e) => Err(e),
    }
}

async fn silence_as_surveyed(netlink: &Netlink, was: &SilencedLink) -> Result<(), NetlinkError> {
    // IPv6 first: a link that comes up with it starts to talk at once.
    let (index, ipv6, features) = (was.index, was.was_ipv6_disabled, was.features.clone());
    let netns = netlink.namespace();
    netns
        .run(move || {
            let name = name_here(index)?;
            if ipv6 == Some(false) { write_ipv6_disabled_here(&name, true) } else { Ok(()) }
        })
        .await??;
    if was.was_promiscuous == Some(false) {
        netlink.set_promiscuous(index, true).await?;
    }
    netlink.set_up(index).await?;
    // GRO last: only of a link that is up does Linux tell a veth's peer that it polls, and so takes frames that are born as
    // XDP there (kernel 6.18 `drivers/net/veth.c`, `veth_set_features`, `veth_open`).
    netns.run(move || apply_here(&name_here(index)?, &features)).await?
}

async fn restore_existing(netlink: &Netlink, was: &SilencedLink) -> Result<(), NetlinkError> {
    let (index, ipv6, features) = (was.index, was.was_ipv6_disabled, was.features.clone());
    if !was.was_up {
        netlink.set_down(index).await?;
    }
    if was.was_promiscuous == Some(false) {
        netlink.set_promiscuous(index, false).await?;
    }
    netlink
        .namespace()
        .run(move || {
            let name = name_here(index)?;
            restore_here(&name, &features)?;
            if ipv6 == Some(false) { write_ipv6_disabled_here(&name, false) } else { Ok(()) }
        })
        .await?
}

/// Removes the clsact qdisc that was not there before, unless somebody has filters in it by now.
///
/// # Errors
/// [`NetlinkError::Link`].
pub async fn remove_clsact(netlink: &Netlink, was: &SilencedLink) -> Result<(), NetlinkError> {
    match was.had_clsact {
        Some(false) => qdisc::remove_empty_clsact(netlink, was.index).await.map(drop),
        _ => Ok(()),
    }
}

/// `/proc/sys/net` shows the namespace of the thread that looks. A name may have a dot in it, but no slash.
fn ipv6_file(link: &str) -> PathBuf {
    PathBuf::from("/proc/sys/net/ipv6/conf").join(link).join("disable_ipv6")
}

/// None without IPv6: in the kernel, or on this link (its MTU is below 1280).
fn read_ipv6_disabled_here(link: &str) -> Result<Option<bool>, NetlinkError> {
    let path = ipv6_file(link);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.trim() != "0")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NetlinkError::Sysctl { action: "read", path, source }),
    }
}

pub(super) fn write_ipv6_disabled_here(link: &str, disabled: bool) -> Result<(), NetlinkError> {
    let path = ipv6_file(link);
    match fs::write(&path, if disabled { "1" } else { "0" }) {
        // IPv6 left the link since the survey, as it does at an MTU below 1280.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(NetlinkError::Sysctl { action: "write", path, source }),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
