//! From the id that our namespace has for another (nsid) to that other namespace.
//!
//! The kernel answers only the reverse question, "which id has this open namespace", so every namespace that can be
//! reached is tried: mounted ones (`ip netns`, Docker, CNI), those of processes, and at last those of single threads,
//! which are many. Inodes come with the listing, so that a known one is tried first and none twice.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::nsid::{NsidAttribute, NsidMessage};

use super::{Namespace, Netlink, NetlinkError};

/// A place where a namespace can be opened.
type Candidate = (u64, PathBuf);

impl Netlink {
    /// The namespace that has this id here. `likely` is the inode it had last time, which makes the search short.
    ///
    /// # Errors
    /// [`NetlinkError::NoSuchNamespace`], [`NetlinkError::NamespaceId`].
    pub async fn namespace_by_nsid(&self, nsid: i32, likely: Option<u64>) -> Result<Namespace, NetlinkError> {
        let mut tried = HashSet::new();
        for list in [mounted, of_processes, of_threads] {
            let mut candidates = tokio::task::spawn_blocking(list)
                .await
                .expect("listing files neither panics nor is cancelled");
            // The newest come last in these lists, and are what most questions are about.
            candidates.reverse();
            candidates.sort_by_key(|(inode, _)| Some(*inode) != likely);
            for (inode, path) in candidates {
                if !tried.insert(inode) {
                    continue;
                }
                // It may be gone since it was listed.
                let Ok(namespace) = Namespace::open(&path) else {
                    continue;
                };
                if self
                    .nsid_of(&namespace)
                    .await
                    .map_err(|source| NetlinkError::NamespaceId { nsid, source })?
                    == Some(nsid)
                {
                    return Ok(namespace);
                }
            }
        }
        Err(NetlinkError::NoSuchNamespace { nsid })
    }

    /// The id that our namespace has for that one, if any. A file that is no namespace has none: `ip netns` unmounts
    /// before it removes, and such a file may have been opened in between.
    async fn nsid_of(&self, namespace: &Namespace) -> io::Result<Option<i32>> {
        let mut message = NsidMessage::default();
        message.attributes.push(NsidAttribute::Fd(namespace.file().as_raw_fd().unsigned_abs()));
        let answer = match self.ask_one(RouteNetlinkMessage::GetNsId(message)).await {
            Ok(Some(RouteNetlinkMessage::NewNsId(answer))) => answer,
            Ok(_) => return Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
            Err(e) => return Err(e),
        };
        Ok(answer.attributes.iter().find_map(|attribute| match attribute {
            NsidAttribute::Id(id) => Some(*id).filter(|id| *id >= 0),
            _ => None,
        }))
    }
}

/// Namespaces that are mounted where we see it: `/run/netns/*`, `/run/docker/netns/*` and wherever else.
fn mounted() -> Vec<Candidate> {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap_or_default()
        .lines()
        .filter_map(mounted_namespace)
        .collect()
}

/// From a line of mountinfo (proc(5)): `… … … net:[INODE] PATH …`.
fn mounted_namespace(line: &str) -> Option<Candidate> {
    let mut fields = line.split(' ').skip(3);
    let inode = fields.next()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()?;
    Some((inode, unescape(fields.next()?)))
}

/// The kernel writes space, tab, newline and backslash of a path as three octal digits.
fn unescape(path: &str) -> PathBuf {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(path.to_owned(), |path, (octal, plain)| path.replace(octal, plain))
        .into()
}

fn of_processes() -> Vec<Candidate> {
    numbered(Path::new("/proc")).filter_map(|process| candidate(process.join("ns/net"))).collect()
}

fn of_threads() -> Vec<Candidate> {
    numbered(Path::new("/proc"))
        .flat_map(|process| numbered(&process.join("task")))
        .filter_map(|thread| candidate(thread.join("ns/net")))
        .collect()
}

fn numbered(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .map(|entry| entry.path())
}

fn candidate(path: PathBuf) -> Option<Candidate> {
    fs::metadata(&path).ok().map(|file| (file.ino(), path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::scratch::Scratch;

    #[test]
    fn a_file_that_is_no_namespace_has_no_id() {
        let Some(ns) = Scratch::new() else { return };
        ns.block_on(async |netlink| {
            for path in ["/proc/self/status", "/proc/self/ns/mnt"] {
                let file = Namespace::open(Path::new(path)).unwrap();
                assert_eq!(netlink.nsid_of(&file).await.unwrap(), None, "{path}");
            }
        });
    }

    #[test]
    fn a_mounted_namespace_is_told_from_other_mounts() {
        let line = r"36 35 0:4 net:[4026532281] /run/netns/a\040b rw shared:1 - nsfs nsfs rw";
        assert_eq!(mounted_namespace(line), Some((4_026_532_281, PathBuf::from("/run/netns/a b"))));
        assert_eq!(mounted_namespace("36 35 0:4 mnt:[4026532281] /run/x rw - nsfs nsfs rw"), None);
        assert_eq!(mounted_namespace("22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw"), None);
        assert_eq!(mounted_namespace(""), None);
    }
}
