//! Switches of the host's stack below `/proc/sys/net`, read and written in the controller's own network namespace.
//!
//! Those of links that vswitch made go with the link. For those of the host a [`survey`] tells what would change, which is
//! written down before [`apply`] does it; [`put_back`] undoes it, unless somebody else has changed them meanwhile.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::netlink::{Netlink, NetlinkError};

const ROOT: &str = "/proc/sys/net";

/// Whether a link listens to routers: 0 no, 1 unless the host is one, 2 yes.
pub const ACCEPT_RA: &str = "accept_ra";

/// A switch of the host that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// What it was.
    pub from: String,
    /// What it was set to.
    pub to: String,
}

/// Switches of the host that were changed, by their path below `/proc/sys/net`.
pub type ChangedSwitches = BTreeMap<String, Changed>;

/// Sets switches; those that are not there (a kernel without IPv6) are passed over.
///
/// # Errors
/// [`NetlinkError::Sysctl`].
pub async fn set_all(netlink: &Netlink, wishes: Vec<(String, &'static str)>) -> Result<(), NetlinkError> {
    let work = move || wishes.iter().try_for_each(|(key, value)| write(key, value));
    netlink.namespace().run(work).await?
}

/// The value of a switch; none if it is not there.
///
/// # Errors
/// [`NetlinkError::Sysctl`].
pub async fn get(netlink: &Netlink, key: &'static str) -> Result<Option<String>, NetlinkError> {
    netlink.namespace().run(move || read(key)).await?
}

/// What setting these would change of the host's switches, and changes nothing.
///
/// # Errors
/// [`NetlinkError::Sysctl`].
pub async fn survey(
    netlink: &Netlink,
    wishes: Vec<(String, &'static str)>,
) -> Result<ChangedSwitches, NetlinkError> {
    let work = move || {
        let mut changes = ChangedSwitches::new();
        for (key, to) in wishes {
            if let Some(from) = read(&key)?.filter(|from| from != to) {
                changes.insert(key, Changed { from, to: to.to_owned() });
            }
        }
        Ok(changes)
    };
    netlink.namespace().run(work).await?
}

/// Makes the changes of a survey.
///
/// # Errors
/// [`NetlinkError::Sysctl`].
pub async fn apply(netlink: &Netlink, changes: &ChangedSwitches) -> Result<(), NetlinkError> {
    let changes = changes.clone();
    let work = move || in_order(&changes).try_for_each(|(key, changed)| write(key, &changed.to));
    netlink.namespace().run(work).await?
}

/// Puts back what was changed and is still as we set it.
///
/// # Errors
/// [`NetlinkError::Sysctl`].
pub async fn put_back(netlink: &Netlink, changes: &ChangedSwitches) -> Result<(), NetlinkError> {
    let changes = changes.clone();
    let work = move || {
        for (key, changed) in in_order(&changes).rev() {
            if read(key)?.as_ref() == Some(&changed.to) {
                write(key, &changed.from)?;
            }
        }
        Ok(())
    };
    netlink.namespace().run(work).await?
}

/// A link is told to go on listening to routers before the host becomes one, which would forget what was heard.
fn in_order(changes: &ChangedSwitches) -> impl DoubleEndedIterator<Item = (&String, &Changed)> {
    let mut changes: Vec<_> = changes.iter().collect();
    changes.sort_by_key(|(key, _)| !key.ends_with(ACCEPT_RA));
    changes.into_iter()
}

fn path(key: &str) -> PathBuf {
    Path::new(ROOT).join(key)
}

fn read(key: &str) -> Result<Option<String>, NetlinkError> {
    match fs::read_to_string(path(key)) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(NetlinkError::Sysctl { action: "read", path: path(key), source }),
    }
}

fn write(key: &str, value: &str) -> Result<(), NetlinkError> {
    match fs::write(path(key), value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.map_err(|source| NetlinkError::Sysctl { action: "write", path: path(key), source }),
    }
}
