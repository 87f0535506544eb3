//! One TCP connection that moves octets until it is told to stop: what happens meanwhile must not break it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::lab::Host;
use crate::wait::{SOON, until};

/// A connection that moves nothing for so long is broken.
const STALL: Duration = Duration::from_secs(20);

/// Octets written at once, and the pause after them: some 60 MB/s, which leaves the machine room for probes.
const CHUNK: usize = 64 << 10;
const PAUSE: Duration = Duration::from_millis(1);

type Hash = [u8; 32];

/// A running transfer.
pub struct LongTransfer {
    stop: Arc<AtomicBool>,
    moved: Arc<AtomicU64>,
    sender: JoinHandle<Hash>,
    receiver: JoinHandle<Hash>,
}

impl LongTransfer {
    /// Connects and returns when the first octets have arrived.
    ///
    /// # Panics
    /// When they do not.
    #[must_use]
    #[track_caller]
    pub fn start(from: &Host, to: &Host) -> Self {
        let there = SocketAddr::from((to.ipv4(), 0));
        let listener = to.run(|| TcpListener::bind(there)).expect("the host has its address");
        let there = listener.local_addr().expect("a bound socket has an address");
        let stream = from
            .run(|| TcpStream::connect_timeout(&there, STALL))
            .unwrap_or_else(|error| panic!("{} to {there}: {error}", from.name()));
        stream.set_write_timeout(Some(STALL)).expect("the timeout is not zero");
        let (accepted, _) = listener.accept().expect("the sender connected");
        accepted.set_read_timeout(Some(STALL)).expect("the timeout is not zero");
        let (stop, moved): (Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let sender = thread::spawn({
            let stop = stop.clone();
            move || send_until(stream, &stop)
        });
        let receiver = thread::spawn({
            let moved = moved.clone();
            move || receive(accepted, &moved)
        });
        until("the first octets of a long transfer", SOON, || {
            (moved.load(Ordering::SeqCst) > 0).then_some(())
        });
        Self { stop, moved, sender, receiver }
    }

    /// Ends it and says how many octets arrived.
    ///
    /// # Panics
    /// When the connection broke, or the octets arrived changed.
    #[track_caller]
    pub fn finish(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        let sent = self.sender.join().expect("the sender could go on to its end");
        let received = self.receiver.join().expect("the receiver could go on to its end");
        assert!(sent == received, "what arrived is not what was sent");
        self.moved.load(Ordering::SeqCst)
    }
}

fn send_until(mut stream: TcpStream, stop: &AtomicBool) -> Hash {
    let (mut hash, mut round) = (Sha256::new(), 0_u64);
    while !stop.load(Ordering::SeqCst) {
        let part: Vec<u8> = (0..CHUNK as u64).map(|at| (at.wrapping_mul(31) ^ round) as u8).collect();
        hash.update(&part);
        stream.write_all(&part).unwrap_or_else(|error| panic!("after {round} chunks: {error}"));
        round += 1;
        thread::sleep(PAUSE);
    }
    hash.finalize().into()
}

fn receive(mut stream: TcpStream, moved: &AtomicU64) -> Hash {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return hash.finalize().into(),
            Ok(length) => {
                hash.update(&buffer[..length]);
                moved.fetch_add(length as u64, Ordering::SeqCst);
            }
            Err(error) => panic!("after {} octets: {error}", moved.load(Ordering::SeqCst)),
        }
    }
}
