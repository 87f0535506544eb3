//! Multicast: hosts that join groups as programs do, so that their own stacks say so, and streams to see who gets them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use vswitch_common::mac::MacAddr;

use crate::frame::ip;
use crate::lab::Host;
use crate::sniff::Sniffer;
use crate::wait::{SOON, poll, until};

/// UDP ports of streams: one for each family, for a socket of IPv6 would have both.
const PORT: u16 = 7_777;
const PORT_V6: u16 = 7_778;
/// A quiet moment in which a frame that should not come would have come.
const QUIET: Duration = Duration::from_millis(250);
/// How long a switch may take to find out who wants what: queries, answers, timeouts, on a busy machine.
const SETTLED: Duration = Duration::from_secs(40);

/// A membership; dropping it leaves the group.
#[derive(Debug)]
pub struct Membership {
    socket: UdpSocket,
}

impl Membership {
    /// Datagrams that the host's own stack gave the program since the last call.
    #[must_use]
    pub fn received(&self) -> usize {
        let mut buffer = [0; 64];
        std::iter::from_fn(|| self.socket.recv(&mut buffer).ok()).count()
    }
}

/// Joins a group by the host's first link.
///
/// # Panics
/// When the stack refuses.
#[must_use]
#[track_caller]
pub fn join(host: &Host, group: IpAddr) -> Membership {
    let index = host.namespace().link_index("eth0").expect("the host has a link");
    let socket = host.run(|| match group {
        IpAddr::V4(group) => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("the port is free");
            socket.join_multicast_v4(&group, &host.ipv4()).expect("the host has the address");
            socket
        }
        IpAddr::V6(group) => {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT_V6)).expect("the port is free");
            socket.join_multicast_v6(&group, index).expect("the host has the link");
            socket
        }
    });
    socket.set_nonblocking(true).expect("a socket can be so");
    Membership { socket }
}

/// The Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7).
#[must_use]
pub fn mac_of(group: IpAddr) -> MacAddr {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            MacAddr::from_octets([0x01, 0, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            MacAddr::from_octets([0x33, 0x33, a, b, c, d])
        }
    }
}

/// A frame of a stream, known again by its mark.
#[must_use]
pub fn stream(from: &Host, group: IpAddr, mark: u64) -> Vec<u8> {
    let data = mark_bytes(mark);
    match group {
        IpAddr::V4(to) => ip::ipv4_udp((from.mac(), from.ipv4(), PORT), (mac_of(group), to, PORT), &data),
        IpAddr::V6(to) => {
            ip::ipv6_udp((from.mac(), from.ipv6(), PORT_V6), (mac_of(group), to, PORT_V6), &data)
        }
    }
}

fn mark_bytes(mark: u64) -> [u8; 16] {
    let mut bytes = *b"streamed________";
    bytes[8..].copy_from_slice(&mark.to_be_bytes());
    bytes
}

/// Hosts and what they hear, numbered from 0.
pub struct Audience {
    members: Vec<(Host, Sniffer)>,
    mark: AtomicU64,
}

impl Audience {
    /// Listens at each host's first link.
    #[must_use]
    #[track_caller]
    pub fn of(hosts: &[Host]) -> Self {
        let members = hosts.iter().map(|host| (host.clone(), host.sniff())).collect();
        Self { members, mark: AtomicU64::new(1) }
    }

    /// What a host hears.
    #[must_use]
    pub fn heard(&self, number: usize) -> &Sniffer {
        &self.members[number].1
    }

    /// How often each host gets a frame that one of them sends.
    fn offer(&self, frame: &[u8], mark: u64, from: usize, expected: &[usize]) -> Vec<usize> {
        let bytes = mark_bytes(mark);
        let has_mark = |frame: &[u8]| frame.windows(bytes.len()).any(|window| window == bytes);
        let count = || -> Vec<usize> {
            self.members.iter().map(|(_, heard)| heard.received(has_mark).len()).collect()
        };
        self.members[from].0.inject(frame);
        poll(SOON / 5, || {
            let counts = count();
            expected.iter().all(|number| counts[*number] > 0).then_some(())
        });
        sleep(QUIET);
        count()
    }

    fn wanted(&self, expected: &[usize]) -> Vec<usize> {
        (0..self.members.len()).map(|number| usize::from(expected.contains(&number))).collect()
    }

    fn next(&self) -> u64 {
        self.mark.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits until a group's frames reach just the `expected` hosts, once each.
    ///
    /// # Panics
    /// When that does not come to be.
    #[track_caller]
    pub fn settle(&self, from: usize, group: IpAddr, expected: &[usize]) {
        let mut last = Vec::new();
        let settled = poll(SETTLED, || {
            let mark = self.next();
            last = self.offer(&stream(&self.members[from].0, group, mark), mark, from, expected);
            (last == self.wanted(expected)).then_some(())
        });
        assert!(settled.is_some(), "{group} reached {last:?} in the end, not {expected:?}");
    }

    /// As [`Audience::settle`], while one host gets every frame.
    ///
    /// # Panics
    /// When that does not come to be, or the host misses one.
    #[track_caller]
    pub fn settle_keeping(&self, from: usize, group: IpAddr, kept: usize, expected: &[usize]) {
        until("the group to reach just those who want it", SETTLED, || {
            let mark = self.next();
            let counts = self.offer(&stream(&self.members[from].0, group, mark), mark, from, &[kept]);
            assert_eq!(counts[kept], 1, "a member was cut off: {counts:?}");
            (counts == self.wanted(expected)).then_some(())
        });
    }

    /// Sends a few frames of a group and checks that each reaches just the `expected` hosts, once each.
    ///
    /// # Panics
    /// When one does not.
    #[track_caller]
    pub fn expect(&self, from: usize, group: IpAddr, expected: &[usize]) {
        for _ in 0..3 {
            let mark = self.next();
            let counts = self.offer(&stream(&self.members[from].0, group, mark), mark, from, expected);
            assert_eq!(counts, self.wanted(expected), "how often each host got a frame for {group}");
        }
    }

    /// As [`Audience::expect`] for one frame of any kind that carries the mark, tagged for one.
    ///
    /// # Panics
    /// As [`Audience::expect`].
    #[track_caller]
    pub fn expect_frame(&self, from: usize, make: impl Fn(u64) -> Vec<u8>, expected: &[usize]) {
        let mark = self.next();
        let counts = self.offer(&make(mark), mark, from, expected);
        assert_eq!(counts, self.wanted(expected), "how often each host got the frame");
    }

    /// Waits until a frame of any kind reaches just the `expected` hosts.
    ///
    /// # Panics
    /// When that does not come to be.
    #[track_caller]
    pub fn settle_frame(&self, from: usize, make: impl Fn(u64) -> Vec<u8>, expected: &[usize]) {
        until("the frame to reach just those who want it", SETTLED, || {
            let mark = self.next();
            (self.offer(&make(mark), mark, from, expected) == self.wanted(expected)).then_some(())
        });
    }
}
