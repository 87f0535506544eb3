//! A tap device whose far side is the test itself, as a virtual machine's would be.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use nix::errno::Errno;

use crate::namespace::Namespace;
use crate::sniff::{Captured, Sniffer};
use crate::sys::open_tap;

/// Both directions of a tap device; the device goes away with it.
pub struct Tap {
    name: String,
    device: Shared,
    received: Sniffer,
}

/// The descriptor, held by the writer and the collecting thread.
#[derive(Clone)]
struct Shared(Arc<OwnedFd>);

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Tap {
    /// Makes the device in a namespace.
    ///
    /// # Panics
    /// Without /dev/net/tun.
    #[must_use]
    #[track_caller]
    pub fn open(namespace: &Namespace, name: &str) -> Self {
        let device = namespace.run(|| open_tap(name)).unwrap_or_else(|error| panic!("tap {name}: {error}"));
        let device = Shared(Arc::new(device));
        let received =
            Sniffer::collect(
                &format!("tap {name}"),
                device.clone(),
                |device, buffer| match nix::unistd::read(device, buffer) {
                    Ok(length) => Ok(Some(Captured {
                        at: Instant::now(),
                        frame: buffer[..length].to_vec(),
                        outgoing: false,
                    })),
                    Err(Errno::EAGAIN) => Ok(None),
                    Err(error) => Err(io::Error::from(error)),
                },
            );
        Self { name: name.to_owned(), device, received }
    }

    /// Name of the device, and of the port.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives a frame to the switch.
    ///
    /// # Panics
    /// When the device is down.
    #[track_caller]
    pub fn send(&self, frame: &[u8]) {
        let written = nix::unistd::write(&self.device, frame);
        assert_eq!(written, Ok(frame.len()), "writing to tap {}", self.name);
    }

    /// What the switch gave.
    #[must_use]
    pub fn received(&self) -> &Sniffer {
        &self.received
    }
}
