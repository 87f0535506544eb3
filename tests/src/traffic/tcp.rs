//! TCP transfers whose octets are compared by SHA-256 at both ends.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::lab::Host;

/// A transfer that moves nothing for so long has failed.
const STALL: Duration = Duration::from_secs(30);

/// Octets written or read at once.
const CHUNK: usize = 256 << 10;

type Hash = [u8; 32];

/// Sends `octets` from `a` to `b` and then from `b` to `a`, over IPv4.
///
/// # Panics
/// When a transfer stalls or arrives changed.
#[track_caller]
pub fn tcp_transfer(a: &Host, b: &Host, octets: usize) {
    tcp_send(a, b, b.ipv4().into(), octets);
    tcp_send(b, a, a.ipv4().into(), octets);
}

/// Sends `octets` to a host by one of its addresses.
///
/// # Panics
/// When the transfer stalls or arrives changed.
#[track_caller]
pub fn tcp_send(from: &Host, to: &Host, address: IpAddr, octets: usize) {
    let (sent, received) = transfer(from, to, address, octets, 1);
    assert!(sent == received, "{} octets from {} to {} arrived changed", octets, from.name(), to.name());
}

/// Sends `octets` over each of `count` connections at once, half of them each way.
///
/// # Panics
/// When one stalls or arrives changed.
#[track_caller]
pub fn parallel_flows(a: &Host, b: &Host, count: usize, octets: usize) {
    let results: Vec<(Hash, Hash)> = thread::scope(|scope| {
        let flows: Vec<_> = (0..count)
            .map(|n| {
                let (from, to) = if n.is_multiple_of(2) { (a, b) } else { (b, a) };
                scope.spawn(move || transfer(from, to, to.ipv4().into(), octets, n as u64 + 2))
            })
            .collect();
        flows.into_iter().map(|flow| flow.join().expect("a flow of several failed")).collect()
    });
    for (n, (sent, received)) in results.iter().enumerate() {
        assert!(
            sent == received,
            "flow {n} of {count} between {} and {} arrived changed",
            a.name(),
            b.name()
        );
    }
}

/// Hashes of what was sent and of what arrived.
fn transfer(from: &Host, to: &Host, address: IpAddr, octets: usize, seed: u64) -> (Hash, Hash) {
    let listener =
        to.run(|| TcpListener::bind(SocketAddr::new(address, 0))).expect("the host has its address");
    let there = listener.local_addr().expect("a bound socket has an address");
    let stream = || {
        let stream = from
            .run(|| TcpStream::connect_timeout(&there, STALL))
            .unwrap_or_else(|error| panic!("connect to {there}: {error}"));
        stream.set_write_timeout(Some(STALL)).expect("the timeout is not zero");
        stream.set_read_timeout(Some(STALL)).expect("the timeout is not zero");
        stream
    };
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (stream, _) = listener.accept().expect("the sender connected");
            stream.set_read_timeout(Some(STALL)).expect("the timeout is not zero");
            receive(stream)
        });
        // Connected first: were it refused, the receiver would wait for ever.
        let sender = connect_or_release(stream, there, to);
        let sent = send(sender, octets, seed);
        (sent, receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Connects; when that panics, connects from within the receiving host, so that its accept returns.
fn connect_or_release(connect: impl FnOnce() -> TcpStream, there: SocketAddr, to: &Host) -> TcpStream {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(connect)).unwrap_or_else(|panic| {
        let _ = to.run(|| TcpStream::connect_timeout(&there, STALL));
        std::panic::resume_unwind(panic)
    })
}

fn send(mut stream: TcpStream, octets: usize, seed: u64) -> Hash {
    let mut hash = Sha256::new();
    let (mut buffer, mut state, mut left) = (vec![0; CHUNK], seed | 1, octets);
    while left > 0 {
        let part = &mut buffer[..left.min(CHUNK)];
        fill(part, &mut state);
        hash.update(&*part);
        stream
            .write_all(part)
            .unwrap_or_else(|error| panic!("with {left} of {octets} octets to send: {error}"));
        left -= part.len();
    }
    stream.shutdown(std::net::Shutdown::Write).expect("the connection is open");
    // Wait until the receiver closes: then it has read everything.
    let _ = stream.read(&mut [0]);
    hash.finalize().into()
}

fn receive(mut stream: TcpStream) -> Hash {
    let (mut hash, mut buffer, mut octets) = (Sha256::new(), vec![0; CHUNK], 0);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return hash.finalize().into(),
            Ok(length) => {
                hash.update(&buffer[..length]);
                octets += length;
            }
            Err(error) => panic!("after {octets} octets received: {error}"),
        }
    }
}

/// Octets that no two chunks have in common (xorshift64), so that a swapped or repeated chunk shows.
fn fill(part: &mut [u8], state: &mut u64) {
    for eight in part.chunks_mut(8) {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        eight.copy_from_slice(&state.to_le_bytes()[..eight.len()]);
    }
}
