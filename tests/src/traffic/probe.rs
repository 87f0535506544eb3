//! Numbered datagrams at a steady rate, echoed by the other host: every one that is lost is noticed.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::lab::Host;
use crate::wait::{SOON, poll};

/// What became of the datagrams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeReport {
    /// How many were sent.
    pub sent: u64,
    /// Numbers of those that never came back.
    pub lost: Vec<u64>,
    /// How many came back more than once.
    pub duplicates: u64,
    /// Longest time between two answers.
    pub longest_gap: Duration,
}

impl ProbeReport {
    /// Checks that every datagram came back once.
    ///
    /// # Panics
    /// When not.
    #[track_caller]
    pub fn assert_no_loss(&self) {
        assert!(
            self.sent > 0 && self.lost.is_empty() && self.duplicates == 0,
            "the probe saw loss: {self:?}"
        );
    }
}

/// A running probe.
pub struct Probe {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: JoinHandle<()>,
    receiver: JoinHandle<(BTreeSet<u64>, u64, Duration)>,
    echo: JoinHandle<()>,
    all_back: Arc<AtomicBool>,
}

impl Probe {
    /// Starts probing `to` from `from`, `rate` times a second; returns when the first answer is there.
    ///
    /// # Panics
    /// When none comes.
    #[must_use]
    #[track_caller]
    pub fn start(from: &Host, to: &Host, rate: u32) -> Self {
        let (there, here) = (SocketAddr::from((to.ipv4(), 0)), SocketAddr::from((from.ipv4(), 0)));
        let answering = to.run(|| UdpSocket::bind(there)).expect("the host has its address");
        let asking = from.run(|| UdpSocket::bind(here)).expect("the host has its address");
        let there = answering.local_addr().expect("a bound socket has an address");
        for socket in [&asking, &answering] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).expect("the timeout is not zero");
        }
        let first = poll(SOON, || exchange_one(&asking, &answering, there));
        assert!(first.is_some(), "{} does not reach {}", from.name(), to.name());

        let (stop, all_back, sent): (Arc<AtomicBool>, Arc<AtomicBool>, Arc<AtomicU64>) = Default::default();
        let echo = thread::spawn({
            let done = all_back.clone();
            move || echo_until(&answering, &done)
        });
        let asking = Arc::new(asking);
        let sender = thread::spawn({
            let (stop, sent, socket) = (stop.clone(), sent.clone(), asking.clone());
            move || send_until(&socket, there, Duration::from_secs(1) / rate, &sent, &stop)
        });
        let receiver = thread::spawn({
            let (stop, sent, done) = (stop.clone(), sent.clone(), all_back.clone());
            move || collect_until(&asking, &sent, &stop, &done)
        });
        Self { stop, sent, sender, receiver, echo, all_back }
    }

    /// How many datagrams were sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Waits until `count` more datagrams were sent: that the probe covers what happens meanwhile.
    pub fn cover(&self, count: u64) {
        let goal = self.sent() + count;
        while self.sent() < goal {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops, waits for the last answers and says what was lost.
    ///
    /// # Panics
    /// When a thread of the probe did.
    #[must_use]
    pub fn finish(self) -> ProbeReport {
        self.stop.store(true, Ordering::SeqCst);
        self.sender.join().expect("the sender does not panic");
        let (back, duplicates, longest_gap) = self.receiver.join().expect("the receiver does not panic");
        self.all_back.store(true, Ordering::SeqCst);
        self.echo.join().expect("the echo does not panic");
        let sent = self.sent.load(Ordering::SeqCst);
        ProbeReport {
            sent,
            lost: (0..sent).filter(|number| !back.contains(number)).collect(),
            duplicates,
            longest_gap,
        }
    }
}

/// One exchange before the count starts, so that ARP is done and the switch has learned.
fn exchange_one(asking: &UdpSocket, answering: &UdpSocket, there: SocketAddr) -> Option<()> {
    let mut buffer = [0; 8];
    asking.send_to(b"warm", there).ok()?;
    let (length, from) = answering.recv_from(&mut buffer).ok()?;
    answering.send_to(&buffer[..length], from).ok()?;
    asking.recv_from(&mut buffer).ok().map(|_| ())
}

fn echo_until(socket: &UdpSocket, done: &AtomicBool) {
    let mut buffer = [0; 8];
    while !done.load(Ordering::SeqCst) {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], from);
        }
    }
}

fn send_until(socket: &UdpSocket, to: SocketAddr, pause: Duration, sent: &AtomicU64, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        let number = sent.load(Ordering::SeqCst);
        let _ = socket.send_to(&number.to_be_bytes(), to);
        sent.store(number + 1, Ordering::SeqCst);
        thread::sleep(pause);
    }
}

fn collect_until(
    socket: &UdpSocket,
    sent: &AtomicU64,
    stop: &AtomicBool,
    done: &AtomicBool,
) -> (BTreeSet<u64>, u64, Duration) {
    let (mut back, mut duplicates, mut longest_gap) = (BTreeSet::new(), 0, Duration::ZERO);
    let (mut buffer, mut last, mut stopped) = ([0; 8], Instant::now(), None);
    loop {
        if let Ok((8, _)) = socket.recv_from(&mut buffer) {
            longest_gap = longest_gap.max(last.elapsed());
            last = Instant::now();
            duplicates += u64::from(!back.insert(u64::from_be_bytes(buffer)));
        }
        if stop.load(Ordering::SeqCst) {
            let since = *stopped.get_or_insert_with(Instant::now);
            let complete = back.len() as u64 == sent.load(Ordering::SeqCst);
            if complete && since.elapsed() > Duration::from_millis(200) || since.elapsed() > SOON {
                done.store(true, Ordering::SeqCst);
                return (back, duplicates, longest_gap);
            }
        }
    }
}
