//! The one socket option that neither std, tokio nor nix reads: a peer's supplementary groups (unix(7), `SO_PEERGROUPS`).

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Most supplementary groups of a process: `NGROUPS_MAX` of Linux.
const GROUPS_MAX: usize = 65_536;

/// Groups that nearly every process fits in; more take a second call.
const GROUPS_USUAL: usize = 64;

/// The supplementary groups that the peer had when it connected.
pub(super) fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<libc::gid_t>> {
    let mut groups = vec![0; GROUPS_USUAL];
    loop {
        let mut bytes =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).map_err(io::Error::other)?;
        // SAFETY: `groups` owns `bytes` writable bytes, aligned for gid_t, and the kernel writes at most `bytes` of them;
        // `bytes` and the descriptor outlive the call.
        let status = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut bytes,
            )
        };
        let count = bytes as usize / size_of::<libc::gid_t>();
        if status == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // ERANGE: the kernel has put the size it needs into `bytes` (net/core/sock.c, sk_getsockopt, 6.18).
        let may_grow = count > groups.len() && count <= GROUPS_MAX;
        if error.raw_os_error() != Some(libc::ERANGE) || !may_grow {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
