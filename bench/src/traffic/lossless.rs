//! The highest rate without loss, as RFC 2544 section 26.1 has it: datagrams at a steady rate for a while, and if all of
//! them arrive a higher rate is tried, else a lower one.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::socket::{setsockopt, sockopt};

use super::Work;
use crate::cpu;
use crate::metric::Metric;
use crate::rivals::Rival;

/// Small datagrams.
pub(super) const SMALL: Work = Work {
    key: "lossless64",
    title: "the highest rate of UDP datagrams of 64 bytes without loss, by binary search",
    metrics: &[Metric::more("lossless64", "loss-free UDP 64 B", "kpps")],
    awake: true,
    quick: false,
    run: |rival, time| search(rival, 64, time),
};

/// Datagrams that fill a frame.
pub(super) const FULL: Work = Work {
    key: "lossless1400",
    title: "the highest rate of UDP datagrams of 1,400 bytes without loss, by binary search",
    metrics: &[Metric::more("lossless1400", "loss-free UDP 1400 B", "kpps")],
    awake: true,
    quick: false,
    run: |rival, time| search(rival, 1400, time),
};

/// Datagrams a second at which the search begins to halve, and how often it does.
const HIGHEST: f64 = 800e3;
const STEPS: u32 = 8;

/// Octets of the receiver's buffer: the switch is measured, not how late the receiver is scheduled.
const BUFFER: usize = 4 << 20;

/// How long a datagram may be on its way.
const ON_ITS_WAY: Duration = Duration::from_millis(50);

fn search(rival: &Rival, bytes: usize, time: Duration) -> Result<Vec<f64>> {
    let (mut passes, mut loses) = (0.0, HIGHEST);
    for _ in 0..STEPS {
        let rate = f64::midpoint(passes, loses);
        let trial = trial(rival, bytes, rate, time / STEPS)?;
        if trial.is_lossless() {
            passes = rate;
        } else {
            // A sender that cannot keep up says nothing of higher rates either.
            loses = trial.sent_a_second.clamp(passes, rate);
        }
    }
    if passes == 0.0 {
        bail!("it loses datagrams at every rate down to {loses:.0} a second");
    }
    Ok(vec![passes / 1e3])
}

struct Trial {
    sent: u64,
    arrived: u64,
    wanted: u64,
    sent_a_second: f64,
}

impl Trial {
    fn is_lossless(&self) -> bool {
        self.arrived == self.sent && self.sent == self.wanted
    }
}

fn trial(rival: &Rival, bytes: usize, rate: f64, time: Duration) -> Result<Trial> {
    let receiver = rival.b.namespace.run(|| UdpSocket::bind((rival.b.ip, 0)))?;
    setsockopt(&receiver, sockopt::RcvBufForce, &BUFFER)?;
    receiver.set_read_timeout(Some(ON_ITS_WAY))?;
    let there = receiver.local_addr()?;
    let sender = rival.a.namespace.run(|| UdpSocket::bind((rival.a.ip, 0)))?;
    sender.connect(there)?;
    let is_over = AtomicBool::new(false);
    let wanted = (rate * time.as_secs_f64()) as u64;
    thread::scope(|scope| {
        let counting = scope.spawn(|| count(&receiver, &is_over));
        let sending = scope.spawn(|| send(&sender, bytes, rate, wanted, time * 2));
        let (sent, sent_a_second) = sending.join().unwrap_or((0, 0.0));
        is_over.store(true, Ordering::Relaxed);
        let arrived = counting.join().unwrap_or_default();
        Ok(Trial { sent, arrived, wanted, sent_a_second })
    })
}

/// Counts until it is over and nothing comes any more.
fn count(socket: &UdpSocket, is_over: &AtomicBool) -> u64 {
    let _anywhere = cpu::pin(cpu::server());
    let (mut buffer, mut arrived) = ([0; 2048], 0);
    loop {
        match socket.recv(&mut buffer) {
            Ok(_) => arrived += 1,
            Err(_) if is_over.load(Ordering::Relaxed) => return arrived,
            Err(_) => {}
        }
    }
}

/// Sends at a steady rate, for `limit` at most; how many, and how many a second.
fn send(socket: &UdpSocket, bytes: usize, rate: f64, wanted: u64, limit: Duration) -> (u64, f64) {
    let _anywhere = cpu::pin(cpu::CLIENT);
    let (data, start, mut sent) = (vec![0; bytes], Instant::now(), 0);
    while sent < wanted && start.elapsed() < limit {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        while sent < due.min(wanted) {
            if socket.send(&data).is_ok() {
                sent += 1;
            }
        }
    }
    (sent, sent as f64 / start.elapsed().as_secs_f64())
}
