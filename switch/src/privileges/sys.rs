//! capset(2), prctl(2) and a seccomp filter: no crate that is here offers them. One of the files that may be unsafe.

#![allow(unsafe_code)]

use std::io;

/// `_LINUX_CAPABILITY_VERSION_3` of `linux/capability.h`.
const VERSION: u32 = 0x2008_0522;

/// The last capability there may ever be in two words.
const CAPABILITIES: u32 = 64;

/// `AUDIT_ARCH_*` of `linux/audit.h` for this build.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// Calls of the x32 ABI, which go by other numbers.
const X32: u32 = 0x4000_0000;

/// What neither the controller nor nft ever calls: the ways to other processes' memory, to the kernel's code, to clocks and
/// to file systems beyond the bpffs.
pub(super) const REFUSED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_acct,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_userfaultfd,
    libc::SYS_open_by_handle_at,
    libc::SYS_io_uring_setup,
    libc::SYS_personality,
    libc::SYS_quotactl,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
];

/// No program that is run gets more than this process has.
pub(super) fn set_no_new_privileges() -> io::Result<()> {
    // SAFETY: takes plain numbers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Takes all but `keep` out of what any program could ever get back.
pub(super) fn limit_bounding_set(keep: u64) {
    for capability in (0..CAPABILITIES).filter(|bit| keep & (1 << bit) == 0) {
        // SAFETY: takes plain numbers. A number that the kernel does not know is refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0) };
    }
    // SAFETY: takes plain numbers.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// Effective, permitted and inheritable, twice: for the lower and the upper 32.
type Sets = [[u32; 3]; 2];

/// Keeps those of `keep` that are permitted, as permitted and effective; none is inheritable.
pub(super) fn keep_capabilities(keep: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut sets: Sets = [[0; 3]; 2];
    // SAFETY: both pointers are to live locals of the layouts that this version of the call reads and writes.
    check_long(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, &raw mut sets) })?;
    // SAFETY: `sets` lives in this frame; the kernel wrote it through the pointer.
    let mut sets = unsafe { (&raw const sets).read_volatile() };
    for (word, set) in sets.iter_mut().enumerate() {
        let kept = set[1] & (keep >> (32 * word)) as u32;
        *set = [kept, kept, 0];
    }
    // SAFETY: as above; the call only reads.
    check_long(unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const sets) })
}

/// From now on these calls, and those of another architecture's numbers, fail with EPERM.
pub(super) fn refuse_calls(calls: &[libc::c_long]) -> io::Result<()> {
    let mut filter = filter(calls);
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the program and its instructions are alive during the call, which copies them.
    check(unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0) })
}

/// Classic BPF: the architecture first, as numbers mean nothing without it.
fn filter(calls: &[libc::c_long]) -> Vec<libc::sock_filter> {
    let load = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let at_least = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    let ret = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
    let mut filter = vec![
        // Offsets of `arch` and `nr` in `struct seccomp_data`.
        step(load, 4, 0, 0),
        step(equal, ARCHITECTURE, 1, 0),
        step(ret, refuse, 0, 0),
        step(load, 0, 0, 0),
        step(at_least, X32, 0, 1),
        step(ret, refuse, 0, 0),
    ];
    for call in calls {
        filter.push(step(equal, *call as u32, 0, 1));
        filter.push(step(ret, refuse, 0, 0));
    }
    filter.push(step(ret, libc::SECCOMP_RET_ALLOW, 0, 0));
    filter
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn check_long(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
