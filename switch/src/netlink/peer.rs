//! The other end of a veth pair, usually a container's, in a namespace of its own.
//!
//! Frames that reach native XDP on our end must be whole: no checksum or VLAN tag left to hardware that is not there,
//! no segment longer than the MTU. And frames redirected to our end are only taken when the peer polls, which GRO
//! turns on. The container need not know (invariant 4), so this sets the peer's features and puts them back.
//!
//! Linux notices that a peer has begun to poll when GRO is turned on while it is up, or when our end comes up; not
//! when a peer with GRO comes up after our end (kernel 6.18 `drivers/net/veth.c`, `veth_set_features`, `veth_open`).
//! Until it notices, it drops what is redirected to our end. So a peer that came up late must be prepared again.
//!
//! A pair is known by our end, which stays where it is, while its peer may move, be renamed or change its MAC. So the
//! peer is looked for anew each time; what was remembered of its place only makes that quick.
//!
//! To survive a crash between change and record: [`survey`], write down, [`apply`].

use serde::{Deserialize, Serialize};
use vswitch_common::mac::MacAddr;

use super::link::name_here;
use super::offload::{FeatureChange, FeatureState, Features, GRO, Wish, apply_here, restore_here};
use super::segments::SegmentSizes;
use super::{Link, LinkIndex, Namespace, Netlink, NetlinkError, PeerRef, channels, xdp_features};

/// How often a peer is looked for that is no longer where it just was.
const SEARCH_ATTEMPTS: u32 = 4;

/// What there is to know of a peer without entering its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFacts {
    /// Its index, in its own namespace.
    pub index: LinkIndex,
    /// Its name there.
    pub name: String,
    /// Its address, to which frames for it are sent.
    pub mac: MacAddr,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// Whether it was told to be up.
    pub is_up: bool,
    /// Whether an XDP program of the host's own meets its frames, which `bpf_redirect_peer` would pass by.
    #[serde(default)]
    pub has_native_program: bool,
    /// The id that our namespace has for its namespace; none when it is our own.
    pub nsid: Option<i32>,
    /// Longest segments that it sends and gathers.
    #[serde(default)]
    pub segments: SegmentSizes,
}

impl PeerFacts {
    /// Whether both ends are in one namespace, where `bpf_redirect_peer` does not work.
    #[must_use]
    pub fn is_in_same_namespace(&self) -> bool {
        self.nsid.is_none()
    }
}

/// What is done to a peer so that our end can have native XDP, and what it takes to undo that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerPreparation {
    /// Our end.
    pub link: LinkIndex,
    /// Its address, by which the pair is known again.
    pub link_mac: MacAddr,
    /// The peer as it was.
    pub facts: PeerFacts,
    /// The inode of its namespace then.
    pub namespace_inode: u64,
    /// Its tx queues in use: our end needs as many rx queues.
    pub tx_queues: u32,
    /// Features of the peer that are changed.
    pub changes: Vec<FeatureChange>,
}

impl PeerPreparation {
    /// Adds what an earlier preparation of the same pair changed, so that undoing this one undoes both.
    pub fn include(&mut self, earlier: &Self) {
        self.changes.retain(|change| !earlier.changes.iter().any(|other| other.name == change.name));
        self.changes.extend(earlier.changes.iter().cloned());
    }
}

/// How putting something back ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undone {
    /// It is as it was.
    Restored,
    /// There is nothing left to put back: the link is gone, or is another one.
    Gone,
}

/// The peer of our end of a veth pair.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`] (our end is gone, so both are), [`NetlinkError::NoPeer`],
/// [`NetlinkError::PeerMoves`], [`NetlinkError::Link`].
pub async fn facts(netlink: &Netlink, link: LinkIndex) -> Result<PeerFacts, NetlinkError> {
    for _ in 0..SEARCH_ATTEMPTS {
        let (_, place) = find(netlink, link).await?;
        match look(netlink, place).await {
            Err(e) if e.is_no_such_link() => {}
            result => return result,
        }
    }
    Err(NetlinkError::PeerMoves { link: link.into() })
}

/// Finds out what preparing the peer would change, and changes nothing. `likely` is the inode of the namespace where it was
/// last, which makes the search short.
///
/// # Errors
/// Those of [`facts`]; [`NetlinkError::NoSuchNamespace`] and others about namespaces;
/// [`NetlinkError::FixedFeature`] when the peer cannot be prepared.
pub async fn survey(
    netlink: &Netlink,
    link: LinkIndex,
    likely: Option<u64>,
) -> Result<PeerPreparation, NetlinkError> {
    let (facts, (ours, inode, tx_queues, changes)) = within(netlink, link, likely, |peer, ours, inode| {
        let features = Features::read_here(peer)?;
        let changes = features.changes(peer, &wishes(&features))?;
        let [_, tx, _, combined] = channels::read_here(peer)?.now;
        Ok((ours, inode, tx + combined, changes))
    })
    .await?;
    let namespace_inode = inode;
    Ok(PeerPreparation { link, link_mac: ours.mac, facts, namespace_inode, tx_queues, changes })
}

/// Makes the changes of a survey, or makes them again.
///
/// # Errors
/// Those of [`survey`]; after one, the peer is as it was, or a warning was logged.
pub async fn apply(netlink: &Netlink, preparation: &PeerPreparation) -> Result<(), NetlinkError> {
    let result = change(netlink, preparation).await;
    if result.is_err()
        && let Err(error) = undo(netlink, preparation).await
    {
        tracing::warn!(link = %preparation.link, %error, "cannot put the peer of a link back as it was");
    }
    result
}

/// Readies the peer for native XDP on our end: what it sends is whole, and it polls for what it receives, once it is
/// up. See [`is_prepared`] for when to do it again.
///
/// # Errors
/// Those of [`survey`] and [`apply`].
pub async fn prepare_for_xdp(netlink: &Netlink, link: LinkIndex) -> Result<PeerPreparation, NetlinkError> {
    let preparation = survey(netlink, link, None).await?;
    apply(netlink, &preparation).await?;
    Ok(preparation)
}

/// Whether the peer is as [`prepare_for_xdp`] leaves it. It may be undone from inside at any time, and may come up
/// unnoticed after our end: ask when our end gets a carrier, and now and then.
///
/// # Errors
/// Those of [`survey`].
pub async fn is_prepared(
    netlink: &Netlink,
    link: LinkIndex,
    likely: Option<u64>,
) -> Result<bool, NetlinkError> {
    let (facts, is_set) = within(netlink, link, likely, |peer, _, _| {
        let features = Features::read_here(peer)?;
        Ok(wishes(&features)
            .iter()
            .all(|(name, on)| features.get(name).is_some_and(|state| state.active == *on)))
    })
    .await?;
    Ok(is_set && !is_unnoticed(netlink, link, &facts).await?)
}

async fn change(netlink: &Netlink, preparation: &PeerPreparation) -> Result<(), NetlinkError> {
    let PeerPreparation { link, namespace_inode, .. } = *preparation;
    let likely = Some(namespace_inode);
    let changes = preparation.changes.clone();
    let (facts, ()) = within(netlink, link, likely, move |peer, _, _| apply_here(peer, &changes)).await?;
    if is_unnoticed(netlink, link, &facts).await? {
        let gro = |was| [FeatureChange { name: GRO.to_owned(), was }];
        within(netlink, link, likely, move |peer, _, _| {
            restore_here(peer, &gro(false))?;
            restore_here(peer, &gro(true))
        })
        .await?;
    }
    Ok(())
}

/// Whether Linux does not know that it may redirect to our end although the peer is up and has GRO.
async fn is_unnoticed(netlink: &Netlink, link: LinkIndex, facts: &PeerFacts) -> Result<bool, NetlinkError> {
    let xdp = xdp_features::get(netlink, link).await?;
    // A link with too few rx queues has no XDP at all, and then this would not help.
    Ok(facts.is_up && xdp.is_some_and(|xdp| xdp.is_native() && !xdp.is_redirect_target()))
}

/// Puts the peer's features back, wherever it is now.
///
/// # Errors
/// Those of [`survey`], but not that a link is gone.
pub async fn undo(netlink: &Netlink, preparation: &PeerPreparation) -> Result<Undone, NetlinkError> {
    let changes = preparation.changes.clone();
    let (link_mac, peer_mac) = (preparation.link_mac, preparation.facts.mac);
    let likely = Some(preparation.namespace_inode);
    match facts(netlink, preparation.link).await {
        Ok(now) if now.mac != peer_mac && netlink.by_index(preparation.link).await?.mac != link_mac => {
            return Ok(Undone::Gone);
        }
        Ok(_) => {}
        Err(e) if e.is_no_such_link() || matches!(e, NetlinkError::NoPeer { .. }) => return Ok(Undone::Gone),
        Err(e) => return Err(e),
    }
    match within(netlink, preparation.link, likely, move |peer, _, _| restore_here(peer, &changes)).await {
        Ok(_) => Ok(Undone::Restored),
        Err(e) if e.is_no_such_link() => Ok(Undone::Gone),
        Err(e) => Err(e),
    }
}

/// What a peer's features must be for native XDP on our end.
fn wishes(features: &Features) -> Vec<Wish> {
    let hidden = features.iter().filter(|(name, state)| is_hidden_from_xdp(name, *state));
    let mut wishes: Vec<Wish> = hidden.map(|(name, _)| (name.to_owned(), false)).collect();
    wishes.push((GRO.to_owned(), true));
    wishes
}

/// Whether a feature leaves to the receiver what XDP cannot see: checksums, segmentation, VLAN tags. Those that are
/// off for good do no harm; those that are on for good count, so that asking for the impossible is noticed.
fn is_hidden_from_xdp(name: &str, state: FeatureState) -> bool {
    let is_of_kind = name.starts_with("tx-checksum-")
        || name.starts_with("tx-gso-")
        || (name.starts_with("tx-") && name.ends_with("segmentation"))
        || matches!(name, "tx-vlan-hw-insert" | "tx-vlan-stag-hw-insert");
    is_of_kind && (state.is_changeable() || state.active)
}

/// Our end now, and where it says its peer is.
async fn find(netlink: &Netlink, link: LinkIndex) -> Result<(Link, PeerRef), NetlinkError> {
    let ours = netlink.by_index(link).await?;
    let place = ours.peer.ok_or_else(|| NetlinkError::NoPeer { link: ours.name.as_str().into() })?;
    Ok((ours, place))
}

/// The peer at that place; [`NetlinkError::NoSuchLink`] when it has just left, and then our end tells where to.
async fn look(netlink: &Netlink, place: PeerRef) -> Result<PeerFacts, NetlinkError> {
    let peer = match place.nsid {
        None => netlink.by_index(place.index).await?,
        Some(nsid) => netlink.by_index_elsewhere(place.index, nsid).await?,
    };
    let Link { index, name, mac, mtu, is_up, has_native_program, segments, .. } = peer;
    Ok(PeerFacts { index, name, mac, mtu, is_up, has_native_program, nsid: place.nsid, segments })
}

/// Runs a closure on the peer's name, our end and the namespace's inode, inside the peer's namespace.
pub(super) async fn within<T: Send + 'static>(
    netlink: &Netlink,
    link: LinkIndex,
    likely: Option<u64>,
    work: impl FnOnce(&str, Link, u64) -> Result<T, NetlinkError> + Clone + Send + 'static,
) -> Result<(PeerFacts, T), NetlinkError> {
    for _ in 0..SEARCH_ATTEMPTS {
        let (ours, place) = find(netlink, link).await?;
        let attempt = async {
            let facts = look(netlink, place).await?;
            let found: Namespace;
            let namespace = match place.nsid {
                None => netlink.namespace(),
                Some(nsid) => {
                    found = netlink.namespace_by_nsid(nsid, likely).await?;
                    &found
                }
            };
            let (work, inode) = (work.clone(), namespace.inode());
            let result = namespace.run(move || work(&name_here(place.index)?, ours, inode)).await??;
            Ok::<_, NetlinkError>((facts, result))
        };
        match attempt.await {
            Err(e) if e.is_no_such_link() => {}
            result => return result,
        }
    }
    Err(NetlinkError::PeerMoves { link: link.into() })
}

#[cfg(test)]
mod tests;
