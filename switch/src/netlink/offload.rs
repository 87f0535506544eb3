//! Offloads ("features") of a link, changed so that they can be put back exactly.
//!
//! A link has what is asked for and, following from it and from other things, what is on. Only the first is state:
//! it is what we set, remember and put back, and the kernel works out the second again. The name of a feature is as
//! in `ethtool -k` (kernel `net/ethtool/common.c`, `netdev_features_strings`), with rx-gro and the like for the
//! legacy names that `ethtool` prints instead.

use serde::{Deserialize, Serialize};

use super::link::name_here;
use super::{LinkIndex, Netlink, NetlinkError};
use crate::sys::{Ethtool, FeatureBlock, FeatureRequest};

/// Generic receive offload. On a veth it is also what makes the driver poll (NAPI).
pub const GRO: &str = "rx-gro";

/// One feature of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeatureState {
    /// Whether the driver lets it be changed.
    pub available: bool,
    /// Whether it was asked for.
    pub requested: bool,
    /// Whether it is on.
    pub active: bool,
    /// Whether no driver lets it be changed.
    pub never_changed: bool,
}

impl FeatureState {
    /// Whether asking for it, or not, can make a difference.
    #[must_use]
    pub fn is_changeable(&self) -> bool {
        self.available && !self.never_changed
    }
}

/// All features of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// By bit; unused bits have an empty name.
    by_bit: Vec<(String, FeatureState)>,
}

/// A feature that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureChange {
    /// Its name.
    pub name: String,
    /// Whether it was asked for before; now it is the opposite.
    pub was: bool,
}

/// A feature to change, and to what.
pub(super) type Wish = (String, bool);

impl Features {
    /// The state of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<FeatureState> {
        self.iter().find_map(|(other, state)| (other == name).then_some(state))
    }

    /// All that have a name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FeatureState)> {
        self.by_bit.iter().filter(|(name, _)| !name.is_empty()).map(|(name, state)| (name.as_str(), *state))
    }

    /// What would have to be changed for the wishes to be asked for, as it is now.
    pub(super) fn changes(&self, link: &str, wishes: &[Wish]) -> Result<Vec<FeatureChange>, NetlinkError> {
        let mut changes = Vec::new();
        for (name, on) in wishes {
            let Some(state) = self.get(name) else {
                return Err(NetlinkError::NoSuchFeature { link: link.into(), feature: name.clone() });
            };
            if state.is_changeable() && state.requested != *on {
                changes.push(FeatureChange { name: name.clone(), was: state.requested });
            } else if !state.is_changeable() && state.active != *on {
                return Err(NetlinkError::FixedFeature { link: link.into(), feature: name.clone() });
            }
        }
        Ok(changes)
    }

    /// The features of a link in the calling thread's namespace.
    pub(super) fn read_here(link: &str) -> Result<Self, NetlinkError> {
        let failed = |source| NetlinkError::of_link("read the features of", link, source);
        let ethtool = Ethtool::open(link).map_err(failed)?;
        let names = ethtool.feature_names().map_err(failed)?;
        let blocks = ethtool.features(names.len()).map_err(failed)?;
        let states = (0..32 * blocks.len()).map(|bit| state(&blocks[bit / 32], bit % 32));
        Ok(Self { by_bit: names.into_iter().zip(states).collect() })
    }
}

fn state(block: &FeatureBlock, bit: usize) -> FeatureState {
    let is_set = |word: u32| word & (1 << bit) != 0;
    FeatureState {
        available: is_set(block.available),
        requested: is_set(block.requested),
        active: is_set(block.active),
        never_changed: is_set(block.never_changed),
    }
}

/// The features of a link.
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn features(netlink: &Netlink, index: LinkIndex) -> Result<Features, NetlinkError> {
    netlink.namespace().run(move || Features::read_here(&name_here(index)?)).await?
}

/// Asks for features or asks for them no longer, and says what that changed.
///
/// # Errors
/// [`NetlinkError::NoSuchFeature`], [`NetlinkError::FixedFeature`] (then nothing is changed);
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn set(
    netlink: &Netlink,
    index: LinkIndex,
    wishes: &[(&str, bool)],
) -> Result<Vec<FeatureChange>, NetlinkError> {
    let wishes: Vec<Wish> = wishes.iter().map(|(name, on)| ((*name).to_owned(), *on)).collect();
    netlink
        .namespace()
        .run(move || {
            let link = name_here(index)?;
            let changes = Features::read_here(&link)?.changes(&link, &wishes)?;
            apply_here(&link, &changes)?;
            Ok(changes)
        })
        .await?
}

/// Puts features back as they were before [`set`].
///
/// # Errors
/// [`NetlinkError::NoSuchLink`], [`NetlinkError::Link`].
pub async fn restore(
    netlink: &Netlink,
    index: LinkIndex,
    changes: &[FeatureChange],
) -> Result<(), NetlinkError> {
    let changes = changes.to_vec();
    netlink.namespace().run(move || restore_here(&name_here(index)?, &changes)).await?
}

/// Makes the changes to a link in the calling thread's namespace; see that they have come about.
pub(super) fn apply_here(link: &str, changes: &[FeatureChange]) -> Result<(), NetlinkError> {
    ask_here(link, changes.iter().map(|change| (change.name.as_str(), !change.was)))?;
    let now = Features::read_here(link)?;
    match changes.iter().find(|change| now.get(&change.name).is_some_and(|state| state.active == change.was))
    {
        Some(change) => {
            restore_here(link, changes)?;
            Err(NetlinkError::FixedFeature { link: link.into(), feature: change.name.clone() })
        }
        None => Ok(()),
    }
}

/// Takes the changes back; a feature that this kernel does not have is left out.
pub(super) fn restore_here(link: &str, changes: &[FeatureChange]) -> Result<(), NetlinkError> {
    ask_here(link, changes.iter().map(|change| (change.name.as_str(), change.was)))
}

fn ask_here<'a>(link: &str, wishes: impl Iterator<Item = (&'a str, bool)>) -> Result<(), NetlinkError> {
    let features = Features::read_here(link)?;
    let mut request = vec![FeatureRequest::default(); features.by_bit.len().div_ceil(32)];
    let mut is_needed = false;
    for (name, on) in wishes {
        let Some(bit) = features.by_bit.iter().position(|(other, _)| other == name) else {
            continue;
        };
        if features.by_bit[bit].1.requested == on {
            continue;
        }
        is_needed = true;
        request[bit / 32].valid |= 1 << (bit % 32);
        request[bit / 32].requested |= u32::from(on) << (bit % 32);
    }
    if !is_needed {
        return Ok(());
    }
    Ethtool::open(link)
        .and_then(|ethtool| ethtool.set_features(&request))
        .map_err(|source| NetlinkError::of_link("change the features of", link, source))
}

#[cfg(test)]
mod tests;
