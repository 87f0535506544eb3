//! The system calls the lab needs and no crate offers: packet sockets that keep VLAN tags, tap devices, SIGINT.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// Receive buffer of a packet socket, in bytes: room for every frame of the largest test.
const CAPTURE_BUFFER: libc::c_int = 16 << 20;

/// One frame off a packet socket.
pub struct Received {
    /// Octets written to the buffer; without a tag that the kernel keeps in metadata.
    pub length: usize,
    /// Sent by this very link rather than received by it.
    pub outgoing: bool,
    /// The tag in metadata: (TPID, TCI).
    pub tag: Option<(u16, u16)>,
}

/// A non-blocking packet socket for all protocols, bound to one link of the calling thread's namespace.
///
/// # Errors
/// What the kernel says, mostly EPERM or ENODEV.
pub fn packet_socket(link_index: u32) -> io::Result<OwnedFd> {
    let protocol = (libc::ETH_P_ALL as u16).to_be();
    let flags = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // Protocol 0 hears nothing until it is bound, so no frame of another link slips in.
    // SAFETY: socket(2) takes plain integers.
    let fd = check(unsafe { libc::socket(libc::AF_PACKET, flags, 0) })?;
    // SAFETY: the descriptor was just made and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, CAPTURE_BUFFER)?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    // SAFETY: all zeroes is a valid sockaddr_ll.
    let mut address: libc::sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = link_index.cast_signed();
    let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `address`, which outlives the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) })?;
    Ok(socket)
}

/// The next frame, or `None` when there is none at the moment.
///
/// # Errors
/// What recvmsg says, except EAGAIN.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<Received>> {
    // SAFETY: all zeroes is a valid sockaddr_ll and a valid msghdr.
    let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { (zeroed(), zeroed()) };
    let mut control = [0u64; 16];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: every pointer in `message` is to a live local of the length given beside it.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, 0) };
    if length < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
    }
    Ok(Some(Received {
        length: length.cast_unsigned(),
        outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
        tag: metadata_tag(&message),
    }))
}

/// The tag in the auxiliary data of a received message.
fn metadata_tag(message: &libc::msghdr) -> Option<(u16, u16)> {
    // SAFETY: `message` was filled by recvmsg and its control buffer is still alive in the caller.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR give null or a header inside the control buffer.
        let found = unsafe { &*header };
        if found.cmsg_level == libc::SOL_PACKET && found.cmsg_type == libc::PACKET_AUXDATA {
            // SAFETY: the kernel puts one tpacket_auxdata there (net/packet/af_packet.c, packet_recvmsg).
            let data: libc::tpacket_auxdata =
                unsafe { libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>().read_unaligned() };
            if data.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                let valid = data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
                return Some((if valid { data.tp_vlan_tpid } else { 0x8100 }, data.tp_vlan_tci));
            }
        }
        // SAFETY: as above.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

/// Makes the tap device `name` in the calling thread's namespace; it lives as long as the descriptor.
///
/// # Errors
/// What the kernel says, mostly EPERM, EBUSY or ENOENT (no /dev/net/tun).
pub fn open_tap(name: &str) -> io::Result<OwnedFd> {
    let device = OwnedFd::from(std::fs::File::options().read(true).write(true).open("/dev/net/tun")?);
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { zeroed() };
    assert!(name.len() < libc::IFNAMSIZ, "{name} is too long for a link's name");
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF takes a pointer to an ifreq, which outlives the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    set_nonblocking(&device)?;
    Ok(device)
}

/// Write end of the pipe that the signal handler writes to.
static INTERRUPT_PIPE: AtomicI32 = AtomicI32::new(-1);

/// Has `clean_up` run on a thread of its own when SIGINT or SIGTERM comes; the process then ends with status 130.
///
/// # Errors
/// When no pipe can be had.
pub fn on_interrupt(clean_up: fn()) -> io::Result<()> {
    let (read, write) = nix::unistd::pipe()?;
    INTERRUPT_PIPE.store(std::os::fd::IntoRawFd::into_raw_fd(write), Ordering::SeqCst);
    std::thread::spawn(move || {
        let mut byte = [0];
        while nix::unistd::read(&read, &mut byte) != Ok(1) {}
        clean_up();
        // SAFETY: _exit ends the process whatever its state.
        unsafe { libc::_exit(130) };
    });
    let action = SigAction::new(SigHandler::Handler(note_interrupt), SaFlags::SA_RESTART, SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // SAFETY: the handler only calls write(2), which is async-signal-safe.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

extern "C" fn note_interrupt(_signal: libc::c_int) {
    let pipe: RawFd = INTERRUPT_PIPE.load(Ordering::SeqCst);
    // SAFETY: one octet from a static; a failed write loses nothing but the clean-up.
    let _ = unsafe { libc::write(pipe, b"!".as_ptr().cast(), 1) };
}

fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok(())
}

fn set_option(socket: &OwnedFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) })?;
    Ok(())
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
