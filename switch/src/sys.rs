//! Kernel calls that neither std nor nix offers safely; all `unsafe` of this crate lives here and in `datapath/sys.rs`.
//!
//! Each function allocates what the kernel will write itself, so that its safety can be read off the lines around
//! the call. Ethtool goes by ioctl and not by its netlink family: one call carries all features at once, and every
//! kernel that can run the data path has it.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use tokio::io::unix::AsyncFd;

/// Commands and sizes of `linux/ethtool.h`.
const ETHTOOL_GSTRINGS: u32 = 0x1b;
const ETHTOOL_GSSET_INFO: u32 = 0x37;
const ETHTOOL_GFEATURES: u32 = 0x3a;
const ETHTOOL_SFEATURES: u32 = 0x3b;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
const ETHTOOL_SCHANNELS: u32 = 0x3d;
const ETH_SS_FEATURES: u32 = 4;
const ETH_GSTRING_LEN: usize = 32;
const ETH_GSTRING_WORDS: usize = ETH_GSTRING_LEN / size_of::<u32>();

/// Words of `struct ethtool_channels`.
const CHANNELS_WORDS: usize = 9;

/// Has the tokio runtime at hand watch a file, which must be non-blocking.
pub(crate) fn watch(file: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is one open file until it is dropped, and `AsyncFd` drops it after it stops watching.
    unsafe { AsyncFd::register(file) }.map_err(io::Error::from)
}

/// 32 features of a link, one bit each (`struct ethtool_get_features_block`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FeatureBlock {
    /// What may be changed.
    pub available: u32,
    /// What was asked for.
    pub requested: u32,
    /// What is on.
    pub active: u32,
    /// What no driver lets be changed.
    pub never_changed: u32,
}

/// What to change of 32 features (`struct ethtool_set_features_block`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FeatureRequest {
    /// Which bits to set.
    pub valid: u32,
    /// To what.
    pub requested: u32,
}

/// Queue counts (`struct ethtool_channels` without its command), in the kernel's order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChannelCounts {
    /// Most that the driver allows: rx, tx, other, combined.
    pub max: [u32; 4],
    /// In use: rx, tx, other, combined.
    pub now: [u32; 4],
}

/// Ethtool for one link of the calling thread's network namespace, as it was when this was opened.
pub(crate) struct Ethtool {
    socket: OwnedFd,
    link: [libc::c_char; libc::IFNAMSIZ],
}

impl Ethtool {
    /// For the link of that name.
    ///
    /// # Errors
    /// `InvalidInput` for what cannot be a link's name; else what `socket(2)` says.
    pub(crate) fn open(link: &str) -> io::Result<Self> {
        if link.is_empty() || link.len() >= libc::IFNAMSIZ || link.contains('\0') {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let mut name = [0; libc::IFNAMSIZ];
        for (to, from) in name.iter_mut().zip(link.bytes()) {
            *to = from.cast_signed();
        }
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { socket, link: name })
    }

    /// The names of all features, by bit; unused bits have an empty name.
    pub(crate) fn feature_names(&self) -> io::Result<Vec<String>> {
        let count = self.feature_count()?;
        let mut request = vec![0; 3 + count * ETH_GSTRING_WORDS];
        request[..3].copy_from_slice(&[ETHTOOL_GSTRINGS, ETH_SS_FEATURES, u32::try_from(count).unwrap_or(0)]);
        // SAFETY: the kernel writes `count` strings of 32 bytes after three words; the count of features is a
        // constant of the running kernel, which has just told it.
        unsafe { self.call(&mut request)? };
        let bytes: Vec<u8> = request[3..].iter().flat_map(|word| word.to_ne_bytes()).collect();
        Ok(bytes
            .chunks_exact(ETH_GSTRING_LEN)
            .map(|name| String::from_utf8_lossy(name.split(|b| *b == 0).next().unwrap_or(name)).into_owned())
            .collect())
    }

    /// The state of all features, 32 to a block.
    pub(crate) fn features(&self, count: usize) -> io::Result<Vec<FeatureBlock>> {
        let blocks = count.div_ceil(32);
        let mut request = vec![0; 2 + blocks * 4];
        request[0] = ETHTOOL_GFEATURES;
        request[1] = u32::try_from(blocks).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel writes at most as many blocks of four words as the second word says, after two words.
        unsafe { self.call(&mut request)? };
        let block =
            |w: &[u32]| FeatureBlock { available: w[0], requested: w[1], active: w[2], never_changed: w[3] };
        Ok(request[2..].chunks_exact(4).map(block).collect())
    }

    /// Asks for features. What depends on them follows; read them again to see what came of it.
    pub(crate) fn set_features(&self, blocks: &[FeatureRequest]) -> io::Result<()> {
        let size = u32::try_from(blocks.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut request = vec![ETHTOOL_SFEATURES, size];
        request.extend(blocks.iter().flat_map(|block| [block.valid, block.requested]));
        // SAFETY: the kernel only reads, as many blocks of two words as the second word says.
        unsafe { self.call(&mut request) }
    }

    /// The queue counts.
    pub(crate) fn channels(&self) -> io::Result<ChannelCounts> {
        let mut request = [0; CHANNELS_WORDS];
        request[0] = ETHTOOL_GCHANNELS;
        // SAFETY: the kernel writes one `struct ethtool_channels`, whose size the array has.
        unsafe { self.call(&mut request)? };
        let [_, max @ .., a, b, c, d] = request;
        Ok(ChannelCounts { max, now: [a, b, c, d] })
    }

    /// Sets the queue counts in use; `max` is not looked at.
    pub(crate) fn set_channels(&self, counts: ChannelCounts) -> io::Result<()> {
        let mut request = [0; CHANNELS_WORDS];
        request[0] = ETHTOOL_SCHANNELS;
        request[1..5].copy_from_slice(&counts.max);
        request[5..].copy_from_slice(&counts.now);
        // SAFETY: the kernel only reads, one `struct ethtool_channels`, whose size the array has.
        unsafe { self.call(&mut request) }
    }

    fn feature_count(&self) -> io::Result<usize> {
        let mask = (1u64 << ETH_SS_FEATURES).to_ne_bytes();
        let [a, b, c, d, e, f, g, h] = mask;
        let mut request =
            [ETHTOOL_GSSET_INFO, 0, u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]), 0];
        // SAFETY: the kernel writes two words, a 64-bit mask and one word for each bit set in it: one.
        unsafe { self.call(&mut request)? };
        Ok(request[4] as usize)
    }

    /// One `SIOCETHTOOL`.
    ///
    /// # Safety
    /// `request` starts with an ethtool command and is as long as what the kernel reads and writes for it.
    unsafe fn call(&self, request: &mut [u32]) -> io::Result<()> {
        let data = request.as_mut_ptr().cast();
        let mut ifreq =
            libc::ifreq { ifr_name: self.link, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: data } };
        // SAFETY: `ifreq` is what SIOCETHTOOL takes, its name ends in a zero (see `open`), and the caller vouches for
        // the length of what `ifru_data` points to; both live until the call returns.
        let status =
            unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCETHTOOL as libc::Ioctl, &raw mut ifreq) };
        if status < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
