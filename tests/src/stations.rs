//! Silent hosts, each of which hears all that reaches it: who gets a frame, how often, and with which octets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use crate::frame;
use crate::lab::{Host, HostOptions, Lab, PortOptions, Wire};
use crate::sniff::Sniffer;
use crate::wait::{SOON, poll};

/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(200);

/// One host and what it hears.
struct Station {
    host: Host,
    wire: Wire,
    heard: Sniffer,
}

/// Hosts without addresses, each at a port of its own, numbered from 0.
pub struct Stations {
    stations: Vec<Station>,
    next_mark: AtomicU64,
}

impl Stations {
    /// A host for each of the ports: the port of station 0 is `s00`, that of station 1 is `s10`.
    #[must_use]
    #[track_caller]
    pub fn connect(lab: &mut Lab, ports: Vec<PortOptions>) -> Self {
        let stations = ports.into_iter().enumerate().map(|(number, options)| {
            let host = lab.host_with(&format!("s{number}"), HostOptions::bare());
            let wire = lab.connect(&host, options);
            Station { heard: host.sniff(), host, wire }
        });
        Self { stations: stations.collect(), next_mark: AtomicU64::new(1) }
    }

    /// The host.
    #[must_use]
    pub fn host(&self, number: usize) -> &Host {
        &self.stations[number].host
    }

    /// The host's MAC.
    #[must_use]
    pub fn mac(&self, number: usize) -> MacAddr {
        self.host(number).mac()
    }

    /// Name of the host's port.
    #[must_use]
    pub fn port(&self, number: usize) -> &str {
        &self.stations[number].wire.port
    }

    /// What the host hears.
    #[must_use]
    pub fn heard(&self, number: usize) -> &Sniffer {
        &self.stations[number].heard
    }

    /// A shortest frame from a station, known again by a mark that no other frame has.
    #[must_use]
    pub fn frame(&self, from: usize, to: MacAddr) -> Vec<u8> {
        self.frame_of(self.mac(from), to)
    }

    /// As [`Stations::frame`], from any address.
    #[must_use]
    pub fn frame_of(&self, from: MacAddr, to: MacAddr) -> Vec<u8> {
        frame::marked(to, from, self.next_mark.fetch_add(1, Ordering::Relaxed))
    }

    /// As [`Stations::frame`], to all.
    #[must_use]
    pub fn broadcast(&self, from: usize) -> Vec<u8> {
        self.frame(from, MacAddr::BROADCAST)
    }

    /// Sends a marked frame and checks that it reaches just the `expected` stations, once each and with these octets.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn expect(&self, from: usize, sent: &[u8], expected: &[(usize, Vec<u8>)]) {
        self.host(from).inject(sent);
        self.expect_of(sent, expected);
    }

    /// As [`Stations::expect`], where somebody else has sent the frame.
    ///
    /// # Panics
    /// As [`Stations::expect`].
    #[track_caller]
    pub fn expect_of(&self, sent: &[u8], expected: &[(usize, Vec<u8>)]) {
        let mark = frame::mark_of(sent).expect("the frame has a mark");
        let mut wanted = expected.to_vec();
        wanted.sort();
        poll(SOON, || (self.arrived(mark).len() >= wanted.len()).then_some(()));
        sleep(QUIET);
        let arrived = self.arrived(mark);
        assert!(
            arrived == wanted,
            "sent {}\nexpected:\n{}arrived:\n{}",
            frame::describe(sent),
            lines(&wanted),
            lines(&arrived)
        );
    }

    /// As [`Stations::expect`], unchanged at each of `to`.
    ///
    /// # Panics
    /// As [`Stations::expect`].
    #[track_caller]
    pub fn expect_unchanged(&self, from: usize, sent: &[u8], to: &[usize]) {
        let expected: Vec<_> = to.iter().map(|&number| (number, sent.to_vec())).collect();
        self.expect(from, sent, &expected);
    }

    /// Each arrival of a mark: where, and the frame.
    fn arrived(&self, mark: u64) -> Vec<(usize, Vec<u8>)> {
        let of = |(number, station): (usize, &Station)| {
            let received = station.heard.received(frame::has_mark(mark));
            received.into_iter().map(move |captured| (number, captured.frame)).collect::<Vec<_>>()
        };
        let mut arrived: Vec<_> = self.stations.iter().enumerate().flat_map(of).collect();
        arrived.sort();
        arrived
    }
}

fn lines(frames: &[(usize, Vec<u8>)]) -> String {
    frames
        .iter()
        .map(|(at, frame)| {
            format!("  at {at}: {} {:02x?}\n", frame::describe(frame), &frame[..frame.len().min(24)])
        })
        .collect()
}
