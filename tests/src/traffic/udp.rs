//! UDP datagrams of given sizes, echoed and compared; those beyond the MTU travel as fragments.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use crate::lab::Host;

/// Longest wait for one datagram.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends one datagram of each size from `a` to `b` and back, over IPv4 and, if `b` has it, over IPv6.
///
/// # Panics
/// When one is lost or changed.
#[track_caller]
pub fn udp_exchange(a: &Host, b: &Host, sizes: &[usize]) {
    exchange(a, b, (a.ipv4().into(), b.ipv4().into()), sizes);
    if !b.addresses("inet6").is_empty() {
        exchange(a, b, (a.ipv6().into(), b.ipv6().into()), sizes);
    }
}

#[track_caller]
fn exchange(a: &Host, b: &Host, (from, to): (IpAddr, IpAddr), sizes: &[usize]) {
    let asking = a.run(|| UdpSocket::bind(SocketAddr::new(from, 0))).expect("the host has its address");
    let answering = b.run(|| UdpSocket::bind(SocketAddr::new(to, 0))).expect("the host has its address");
    for socket in [&asking, &answering] {
        socket.set_read_timeout(Some(PATIENCE)).expect("the timeout is not zero");
    }
    let there = answering.local_addr().expect("a bound socket has an address");
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = vec![0; 65536];
            for _ in sizes {
                let Ok((length, from)) = answering.recv_from(&mut buffer) else {
                    return;
                };
                let _ = answering.send_to(&buffer[..length], from);
            }
        });
        let mut buffer = vec![0; 65536];
        for &size in sizes {
            let data: Vec<u8> = (0..size).map(|at| (at * 7 + size) as u8).collect();
            asking
                .send_to(&data, there)
                .unwrap_or_else(|error| panic!("a datagram of {size} octets to {there}: {error}"));
            let back = asking
                .recv(&mut buffer)
                .unwrap_or_else(|error| panic!("a datagram of {size} octets to {there} got lost: {error}"));
            assert!(buffer[..back] == data, "a datagram of {size} octets to {there} came back changed");
        }
    });
}
