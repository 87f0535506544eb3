//! The controller with no more power than it needs: capabilities, no new ones by any program it runs, and without system
//! calls that a switch has no use for. Taken once, before the first thread, so that every thread and child has the same.
//!
//! What is kept is still much: CAP_SYS_ADMIN, for entering containers' network namespaces, comes close to root.

mod sys;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{Gid, Group, getgroups, setgroups};

use crate::api::error::{ApiError, ErrorCode};
use crate::api::socket::SOCKET_GROUP;

/// What is kept (`linux/capability.h`), and why.
pub const KEPT: [(u32, &str); 8] = [
    // Name servers at port 53 of gateways.
    (10, "CAP_NET_BIND_SERVICE"),
    // Links, addresses, routes, rules, attachments.
    (12, "CAP_NET_ADMIN"),
    // Duplicate addresses are asked for by packet sockets.
    (13, "CAP_NET_RAW"),
    // `/proc/PID/ns/net` of containers, whose users may be others.
    (19, "CAP_SYS_PTRACE"),
    // Entering their network namespaces; mounting the bpffs.
    (21, "CAP_SYS_ADMIN"),
    // A link's queue and a map's memory beyond the usual.
    (24, "CAP_SYS_RESOURCE"),
    // The verifier's full view of pointers.
    (38, "CAP_PERFMON"),
    // Programs and maps.
    (39, "CAP_BPF"),
];

/// Gives up everything else. Called while there is one thread.
///
/// # Errors
/// `kernel` when the kernel does not take it.
pub fn lessen() -> Result<(), ApiError> {
    join_group();
    raise_file_limit();
    let keep = KEPT.iter().fold(0_u64, |set, (bit, _)| set | 1 << bit);
    let failed = |step: &str, error: std::io::Error| {
        ApiError::new(ErrorCode::Kernel, format!("run: cannot {step}: {error}: start vswitch as root"))
    };
    sys::set_no_new_privileges().map_err(|e| failed("forbid new privileges", e))?;
    // Without CAP_SETPCAP it stays as it is, and what is not permitted below cannot come back all the same.
    sys::limit_bounding_set(keep);
    sys::keep_capabilities(keep).map_err(|e| failed("give up capabilities", e))?;
    if let Err(error) = sys::refuse_calls(sys::REFUSED) {
        // A kernel without seccomp.
        tracing::info!(%error, "system calls stay as they are");
    }
    Ok(())
}

/// As a member of the control socket's group one may give it the socket without CAP_CHOWN.
fn join_group() {
    let Some(group) = Group::from_name(SOCKET_GROUP).ok().flatten() else { return };
    let mut groups: Vec<Gid> = getgroups().unwrap_or_default();
    if !groups.contains(&group.gid) {
        groups.push(group.gid);
        // If this fails, setting the socket's group says so.
        let _later = setgroups(&groups);
    }
}

/// Each port holds two descriptors, and the usual limit is 1,024.
fn raise_file_limit() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _as_it_was = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
