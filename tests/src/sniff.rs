//! Seeing and sending frames as they are on a link, by packet sockets.
//!
//! A sniffer's socket is bound before `start` returns, so nothing sent afterwards is missed; a thread collects frames.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll as wait_readable};

use crate::frame;
use crate::namespace::Namespace;
use crate::sys::{packet_socket, receive};
use crate::wait::{SOON, poll};

/// Longest frame a capture keeps: GSO frames reach 64 KiB, and more with BIG TCP.
const LONGEST: usize = 200_000;

/// How often a collecting thread looks whether it should stop, in milliseconds.
const STOP_CHECK_MS: u8 = 50;

/// How long after the last expected frame a surplus one is waited for.
const SURPLUS_TIME: Duration = Duration::from_millis(300);

/// One frame seen on a link.
#[derive(Debug, Clone)]
pub struct Captured {
    /// When the lab read it.
    pub at: Instant,
    /// The frame from its destination address on, without frame check sequence, with its VLAN tag.
    pub frame: Vec<u8>,
    /// Sent by the link's own host rather than received.
    pub outgoing: bool,
}

/// Frames collected by a thread; tap devices have one too.
#[derive(Debug)]
pub struct Sniffer {
    title: String,
    seen: Arc<Mutex<Vec<Captured>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sniffer {
    /// Captures on a link of a namespace, received and sent frames alike.
    ///
    /// # Panics
    /// When there is no such link.
    #[must_use]
    #[track_caller]
    pub fn start(namespace: &Namespace, link: &str) -> Self {
        let socket = open(namespace, link);
        Self::collect(&format!("{link} of {}", namespace.name()), socket, |socket, buffer| {
            let received = receive(socket, buffer)?;
            Ok(received.map(|received| {
                let mut frame = buffer[..received.length].to_vec();
                if let Some((tpid, tci)) = received.tag {
                    frame = frame::insert_tag(&frame, tpid, tci);
                }
                Captured { at: Instant::now(), frame, outgoing: received.outgoing }
            }))
        })
    }

    /// Collects whatever `read` gives from a descriptor when it is readable.
    pub(crate) fn collect<S: std::os::fd::AsFd + Send + 'static>(
        title: &str,
        source: S,
        read: impl Fn(&S, &mut [u8]) -> std::io::Result<Option<Captured>> + Send + 'static,
    ) -> Self {
        let (seen, stop): (Arc<Mutex<Vec<Captured>>>, Arc<AtomicBool>) = Default::default();
        let (to, ended) = (seen.clone(), stop.clone());
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; LONGEST];
            while !ended.load(Ordering::Relaxed) {
                let mut wanted = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
                let _ = wait_readable(&mut wanted, PollTimeout::from(STOP_CHECK_MS));
                loop {
                    match read(&source, &mut buffer) {
                        Ok(Some(captured)) => {
                            to.lock().expect("no reader panics with the lock").push(captured);
                        }
                        Ok(None) => break,
                        // The link went down or away: nothing more comes until it is back.
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(_) => {
                            thread::sleep(Duration::from_millis(STOP_CHECK_MS.into()));
                            break;
                        }
                    }
                }
            }
        });
        Self { title: title.to_owned(), seen, stop, thread: Some(thread) }
    }

    /// All frames so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Captured> {
        self.seen.lock().expect("the collecting thread does not panic").clone()
    }

    /// Received frames so far that `filter` takes.
    pub fn received(&self, filter: impl Fn(&[u8]) -> bool) -> Vec<Captured> {
        let seen = self.seen.lock().expect("the collecting thread does not panic");
        seen.iter().filter(|seen| !seen.outgoing && filter(&seen.frame)).cloned().collect()
    }

    /// Forgets what was seen.
    pub fn clear(&self) {
        self.seen.lock().expect("the collecting thread does not panic").clear();
    }

    /// Waits until `count` frames that `filter` takes were received, and a moment more for a surplus one.
    ///
    /// # Panics
    /// With fewer `within` the time, or more.
    #[track_caller]
    pub fn expect_exactly(
        &self,
        count: usize,
        filter: impl Fn(&[u8]) -> bool,
        within: Duration,
    ) -> Vec<Captured> {
        poll(within, || (self.received(&filter).len() >= count).then_some(()));
        thread::sleep(SURPLUS_TIME);
        let found = self.received(&filter);
        assert!(
            found.len() == count,
            "{}: {} frames instead of {count}:\n{}",
            self.title,
            found.len(),
            self.describe()
        );
        found
    }

    /// Waits `during` that time and checks that no frame that `filter` takes was received.
    ///
    /// # Panics
    /// With the frames, if there were.
    #[track_caller]
    pub fn expect_none(&self, filter: impl Fn(&[u8]) -> bool, during: Duration) {
        thread::sleep(during);
        let found = self.received(&filter);
        assert!(found.is_empty(), "{}: unexpected frames:\n{}", self.title, describe(&found));
    }

    /// The first received frame that `filter` takes, waited for.
    ///
    /// # Panics
    /// When none comes in good time.
    #[track_caller]
    pub fn expect(&self, what: &str, filter: impl Fn(&[u8]) -> bool) -> Captured {
        poll(SOON, || self.received(&filter).into_iter().next())
            .unwrap_or_else(|| panic!("{}: no {what} came; seen:\n{}", self.title, self.describe()))
    }

    /// What was seen, one line a frame.
    #[must_use]
    pub fn describe(&self) -> String {
        describe(&self.frames())
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn describe(frames: &[Captured]) -> String {
    let line = |seen: &Captured| {
        format!("  {} {}\n", if seen.outgoing { "sent" } else { "got " }, frame::describe(&seen.frame))
    };
    frames.iter().map(line).collect()
}

/// Sends frames by a link, in order.
///
/// # Panics
/// When the link is not there or takes no frame (down, or too long).
#[track_caller]
pub fn inject(namespace: &Namespace, link: &str, frames: &[impl AsRef<[u8]> + Sync]) {
    let socket = open(namespace, link);
    for frame in frames {
        let frame = frame.as_ref();
        let sent = poll(SOON, || match nix::unistd::write(&socket, frame) {
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::ENOBUFS) => None,
            result => Some(result),
        });
        assert_eq!(
            sent,
            Some(Ok(frame.len())),
            "sending by {link} of {}: {}",
            namespace.name(),
            frame::describe(frame)
        );
    }
}

#[track_caller]
fn open(namespace: &Namespace, link: &str) -> OwnedFd {
    let name = namespace.name();
    let index = namespace.link_index(link).unwrap_or_else(|| panic!("{name} has no link {link}"));
    namespace
        .run(|| packet_socket(index))
        .unwrap_or_else(|error| panic!("packet socket on {link} of {name}: {error}"))
}
