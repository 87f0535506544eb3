//! How many connections a second: TCP, one after the other, opened and reset without a byte of payload.

use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::socket::Backlog;

use super::Work;
use crate::cpu;
use crate::metric::Metric;
use crate::rivals::Rival;

/// Connections one after the other.
pub(super) const CONNECT: Work = Work {
    key: "connect",
    title: "TCP connections opened and closed, one after the other",
    metrics: &[Metric::more("connect", "connections", "k/s")],
    awake: true,
    quick: false,
    run: connections,
};

/// Connections that the server has not taken yet.
const BACKLOG: i32 = 4096;

/// Longest wait for one connection: a lost SYN is sent again after a second.
const PATIENCE: Duration = Duration::from_secs(5);

fn connections(rival: &Rival, time: Duration) -> Result<Vec<f64>> {
    let listener = rival.b.namespace.run(|| TcpListener::bind((rival.b.ip, 0)))?;
    // A client that is ahead of the server for a moment finds room; else its SYN is lost, and sent again after a second.
    nix::sys::socket::listen(&listener, Backlog::new(BACKLOG)?)?;
    let there = listener.local_addr()?;
    let done = AtomicBool::new(false);
    let rate = thread::scope(|scope| {
        scope.spawn(|| serve(&listener, &done));
        let rate = rival.a.namespace.run(|| open_for(there, time));
        done.store(true, Ordering::Relaxed);
        // Wakes the server, which then sees that it is done.
        drop(rival.a.namespace.run(|| TcpStream::connect_timeout(&there, PATIENCE)));
        rate
    })?;
    Ok(vec![rate / 1e3])
}

/// Takes connections and waits for the client to close each, so that no port of the client has to linger.
fn serve(listener: &TcpListener, done: &AtomicBool) {
    let _anywhere = cpu::pin(cpu::server());
    while !done.load(Ordering::Relaxed) {
        if let Ok((mut stream, _)) = listener.accept() {
            let _end = stream.read(&mut [0]);
        }
    }
}

fn open_for(there: SocketAddr, time: Duration) -> Result<f64> {
    cpu::pin(cpu::CLIENT)?;
    let start = Instant::now();
    let mut count = 0u32;
    while start.elapsed() < time {
        let stream = TcpStream::connect_timeout(&there, PATIENCE)?;
        // A reset instead of the long farewell: else the client's ports would be used up in seconds.
        nix::sys::socket::setsockopt(
            &stream,
            nix::sys::socket::sockopt::Linger,
            &libc::linger { l_onoff: 1, l_linger: 0 },
        )?;
        count += 1;
    }
    Ok(f64::from(count) / start.elapsed().as_secs_f64())
}
