//! Servers that say who they think their client is, and their clients.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::namespace::Namespace;

/// How long a connection may take that should succeed.
const PATIENCE: Duration = Duration::from_secs(5);
/// And how long one is tried that should not.
const SHORT: Duration = Duration::from_millis(700);

/// Tells every client, by TCP and UDP, the address that it comes from.
pub struct Mirror {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Mirror {
    /// At a port of a host, over IPv4 and IPv6.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    #[track_caller]
    pub fn start(at: &Arc<Namespace>, port: u16) -> Self {
        let (listener, socket) = at.run(|| {
            let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a free TCP port");
            (listener, UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).expect("a free UDP port"))
        });
        listener.set_nonblocking(true).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a socket");
        let stop = Arc::new(AtomicBool::new(false));
        let (stop_tcp, stop_udp) = (stop.clone(), stop.clone());
        let tcp = std::thread::spawn(move || {
            while !stop_tcp.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((mut client, from)) => {
                        let _gone = client.write_all(from.ip().to_canonical().to_string().as_bytes());
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            }
        });
        let udp = std::thread::spawn(move || {
            while !stop_udp.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut [0; 64]) {
                    let _gone = socket.send_to(from.ip().to_canonical().to_string().as_bytes(), from);
                }
            }
        });
        Self { stop, threads: vec![tcp, udp] }
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ended = thread.join();
        }
    }
}

/// As whom a mirror sees a TCP client.
///
/// # Errors
/// When there is no answer.
pub fn seen_by_tcp(from: &Namespace, to: IpAddr, port: u16) -> io::Result<IpAddr> {
    try_tcp(from, to, port, PATIENCE)
}

/// As whom a mirror sees a UDP client.
///
/// # Errors
/// When there is no answer.
pub fn seen_by_udp(from: &Namespace, to: IpAddr, port: u16) -> io::Result<IpAddr> {
    try_udp(from, to, port, PATIENCE)
}

/// Checks that neither TCP nor UDP gets an answer.
///
/// # Panics
/// When one does.
#[track_caller]
pub fn assert_unreachable(from: &Namespace, to: IpAddr, port: u16) {
    for answer in [try_tcp(from, to, port, SHORT), try_udp(from, to, port, SHORT)] {
        assert!(answer.is_err(), "{to} port {port} answered {} as {answer:?}", from.name());
    }
}

/// Checks that TCP and UDP are answered, and as whom the client was seen.
///
/// # Panics
/// When not.
#[track_caller]
pub fn assert_seen(from: &Namespace, to: IpAddr, port: u16, client: IpAddr) {
    for (what, answer) in [("TCP", seen_by_tcp(from, to, port)), ("UDP", seen_by_udp(from, to, port))] {
        match answer {
            Ok(seen) => assert_eq!(seen, client, "{what} from {} to {to} port {port}", from.name()),
            Err(error) => panic!("{what} from {} to {to} port {port}: {error}", from.name()),
        }
    }
}

fn try_tcp(from: &Namespace, to: IpAddr, port: u16, within: Duration) -> io::Result<IpAddr> {
    from.run(|| {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(to, port), within)?;
        stream.set_read_timeout(Some(within))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        text.parse().map_err(|_| io::Error::other(text))
    })
}

fn try_udp(from: &Namespace, to: IpAddr, port: u16, within: Duration) -> io::Result<IpAddr> {
    from.run(|| {
        let any: IpAddr =
            if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(within))?;
        socket.connect((to, port))?;
        socket.send(b"?")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        text.parse().map_err(|_| io::Error::other(text))
    })
}
