//! What can go wrong with links, and with whose.
//!
//! Every variant names its subject and keeps its source, which its text does not repeat: print the chain.
//! [`NetlinkError::NoSuchLink`] is a case of its own because a link may vanish at any time and most callers go on.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::link::LinkIndex;

/// A link as the caller knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkId {
    /// By its name.
    Name(String),
    /// By its index, in the namespace at hand.
    Index(LinkIndex),
}

impl fmt::Display for LinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "link {name:?}"),
            Self::Index(index) => write!(f, "the link with index {index}"),
        }
    }
}

impl From<LinkIndex> for LinkId {
    fn from(index: LinkIndex) -> Self {
        Self::Index(index)
    }
}

impl From<&str> for LinkId {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

/// Why Linux did not do what was asked of a link.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// No socket to ask through.
    #[error("cannot open a netlink socket for {purpose}")]
    Open {
        /// What it is for.
        purpose: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The link does not exist, or no longer.
    #[error("there is no {link} here: `ip link` lists those that there are")]
    NoSuchLink {
        /// Which.
        link: LinkId,
    },
    /// A request about a link failed.
    #[error("cannot {action} {link}")]
    Link {
        /// What was asked, as a verb.
        action: &'static str,
        /// Of which link.
        link: LinkId,
        /// Why not.
        source: io::Error,
    },
    /// A request about all links failed.
    #[error("cannot list the links, addresses or routes")]
    List {
        /// Why not.
        source: io::Error,
    },
    /// Segments cannot be longer than 64 KiB here.
    #[error("{link}: this kernel does not say how long its segments are: Linux 5.19 and later do")]
    NoLargeSegments {
        /// Whose.
        link: LinkId,
    },
    /// A link that was to be made has the name of another.
    #[error("cannot make {links}: there is a link of that name already")]
    LinkExists {
        /// The names of what was to be made.
        links: String,
    },
    /// The link has no feature of that name.
    #[error("{link} has no feature {feature:?}: `ethtool -k` lists those that it has")]
    NoSuchFeature {
        /// Which link.
        link: LinkId,
        /// Which feature.
        feature: String,
    },
    /// The driver does not let the feature be changed, or changed it back.
    #[error("{link} keeps its feature {feature:?} as it is: its driver does not let it be changed")]
    FixedFeature {
        /// Which link.
        link: LinkId,
        /// Which feature.
        feature: String,
    },
    /// The link is no end of a veth pair.
    #[error("{link} has no peer: it is not one end of a veth pair")]
    NoPeer {
        /// Which link.
        link: LinkId,
    },
    /// The peer was elsewhere each time we came.
    #[error("the peer of {link} keeps moving from namespace to namespace")]
    PeerMoves {
        /// Whose peer.
        link: LinkId,
    },
    /// No namespace that can be opened from here has that id.
    #[error(
        "cannot find the network namespace with id {nsid}: no mount, process or thread seen from here has it"
    )]
    NoSuchNamespace {
        /// Its id, relative to our own namespace.
        nsid: i32,
    },
    /// A request about a namespace's id failed.
    #[error("cannot ask which network namespace has id {nsid}")]
    NamespaceId {
        /// The id that was looked for.
        nsid: i32,
        /// Why not.
        source: io::Error,
    },
    /// The file of a namespace cannot be opened.
    #[error("cannot open the network namespace {path:?}")]
    OpenNamespace {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The namespace cannot be entered.
    #[error("cannot enter the network namespace {inode}: it takes CAP_SYS_ADMIN")]
    EnterNamespace {
        /// Its inode.
        inode: u64,
        /// Why not.
        source: io::Error,
    },
    /// Work in a namespace ended without an answer.
    #[error("the work in network namespace {inode} broke off")]
    NamespaceWork {
        /// Its inode.
        inode: u64,
    },
    /// Connections cannot be listed or forgotten.
    #[error("cannot forget tracked connections")]
    Conntrack {
        /// Why not.
        source: io::Error,
    },
    /// The kernel does not tell the generation of its rules.
    #[error("cannot ask for the generation of nftables' rules")]
    Ruleset {
        /// Why not.
        source: io::Error,
    },
    /// A file below `/proc/sys` cannot be read or written.
    #[error("cannot {action} {path:?}")]
    Sysctl {
        /// `read` or `write`.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl NetlinkError {
    /// For a failed request about a link: a missing link becomes [`Self::NoSuchLink`].
    pub(crate) fn of_link(action: &'static str, link: impl Into<LinkId>, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => Self::NoSuchLink { link: link.into() },
            _ => Self::Link { action, link: link.into(), source },
        }
    }

    /// Whether the link that it names does not exist.
    #[must_use]
    pub fn is_no_such_link(&self) -> bool {
        matches!(self, Self::NoSuchLink { .. })
    }
}
