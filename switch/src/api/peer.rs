//! Who is at the other end of a connection, and whether it may change the switch.
//!
//! Reading needs what the socket file's mode grants: without it nobody connects. Writing is decided here besides, by the
//! kernel's word on the peer at the time it connected, so that a socket made readable for all stays writable for few.

use std::io;
use std::os::fd::AsFd as _;

use tokio::net::UnixStream;

use super::sys;

/// Credentials of the process that connected (unix(7), `SO_PEERCRED` and `SO_PEERGROUPS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process id; none where the peer lives in a PID namespace that cannot be seen.
    pub pid: Option<i32>,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Asks the kernel. Supplementary groups that cannot be read count as none.
    ///
    /// # Errors
    /// When the kernel does not tell the credentials.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let credentials = stream.peer_cred()?;
        let groups = sys::peer_groups(stream.as_fd()).unwrap_or_default();
        Ok(Self { pid: credentials.pid(), uid: credentials.uid(), gid: credentials.gid(), groups })
    }

    /// Whether the peer may change the switch: root, or a member of the group that owns the socket.
    #[must_use]
    pub fn may_write(&self, socket_gid: u32) -> bool {
        self.uid == 0 || self.gid == socket_gid || self.groups.contains(&socket_gid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VSWITCH: u32 = 990;

    fn peer(uid: u32, gid: u32, groups: &[u32]) -> Peer {
        Peer { pid: None, uid, gid, groups: groups.to_vec() }
    }

    #[test]
    fn root_and_members_of_the_sockets_group_may_write() {
        assert!(peer(0, 0, &[]).may_write(VSWITCH));
        assert!(peer(1000, VSWITCH, &[]).may_write(VSWITCH));
        assert!(peer(1000, 1000, &[4, VSWITCH]).may_write(VSWITCH));
    }

    #[test]
    fn anyone_else_may_not_write() {
        assert!(!peer(1000, 1000, &[4, 27]).may_write(VSWITCH));
        assert!(!peer(1000, 1000, &[]).may_write(0));
    }

    #[tokio::test]
    async fn the_kernel_tells_this_process_of_itself() {
        let (stream, _other) = UnixStream::pair().expect("a socket pair");
        let peer = Peer::of(&stream).expect("credentials");
        assert_eq!(peer.uid, nix::unistd::geteuid().as_raw());
        let mut groups: Vec<u32> =
            nix::unistd::getgroups().expect("groups").iter().map(|gid| gid.as_raw()).collect();
        let mut told = peer.groups;
        groups.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, groups);
    }
}
