//! Asking on: the servers of the host's resolv.conf, as it is at the moment.
//!
//! The file is looked at with every question that goes on, and read when it is another than before. That costs one system
//! call and needs nothing to be watched: the file is usually a link to one that is replaced, in a folder that may come
//! later.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// Where the host's servers stand (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Servers of the file that count (`MAXNS` of resolv.h).
const SERVERS_MOST: usize = 3;

/// How long one server may take; three of them take less than the 10 seconds after which a client gives up.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Longest message of DNS.
const MESSAGE_BYTES: usize = 65_535;

const DNS_PORT: u16 = 53;

/// The host's servers.
#[derive(Debug)]
pub struct Upstreams {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// Which file was read: device, inode, time of change, length.
    file: Option<(u64, u64, i64, i64, u64)>,
    servers: Vec<SocketAddr>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { path: RESOLV_CONF.into(), read: Mutex::default() }
    }
}

impl Upstreams {
    /// The servers now.
    fn servers(&self) -> Vec<SocketAddr> {
        let mut read = self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = fs::metadata(&self.path).ok();
        let file = file.map(|f| (f.dev(), f.ino(), f.mtime(), f.mtime_nsec(), f.len()));
        if file.is_none() || file != read.file {
            let text = fs::read(&self.path).unwrap_or_default();
            *read = Read { file, servers: servers(&String::from_utf8_lossy(&text)) };
        }
        read.servers.clone()
    }

    /// The first answer of a server that is not one of `own`; none if there is none in time.
    pub(super) async fn ask(&self, query: &[u8], is_tcp: bool, own: &[IpAddr]) -> Option<Vec<u8>> {
        for server in self.servers().into_iter().filter(|server| !own.contains(&server.ip())) {
            let answer = async {
                if is_tcp { ask_by_tcp(server, query).await } else { ask_by_udp(server, query).await }
            };
            match timeout(ANSWER_LIMIT, answer).await {
                Ok(Ok(answer)) => return Some(answer),
                Ok(Err(error)) => tracing::debug!(%server, %error, "a name server does not answer"),
                Err(_) => tracing::debug!(%server, "a name server takes too long"),
            }
        }
        None
    }
}

async fn ask_by_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // A port of its own, which nobody can guess, for each question.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; MESSAGE_BYTES];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_answer(query, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn ask_by_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    if is_answer(query, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The same number, and marked as an answer.
fn is_answer(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= 12 && answer[..2] == query[..2] && answer[2] & 0x80 != 0
}

/// `nameserver ADDRESS` lines; others, and addresses with a zone, are passed over.
fn servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next()? == "nameserver";
        let ip: IpAddr = words.next().filter(|_| is_server)?.parse().ok()?;
        Some(SocketAddr::new(ip, DNS_PORT))
    };
    text.lines().filter_map(address).take(SERVERS_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_servers_of_the_file_count() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        let ips: Vec<String> = servers(text).iter().map(|server| server.ip().to_string()).collect();
        assert_eq!(ips, ["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
    }

    #[test]
    fn a_file_that_changed_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let upstreams = Upstreams { path: path.clone(), ..Upstreams::default() };
        assert!(upstreams.servers().is_empty());
        for ip in ["192.0.2.1", "192.0.2.77"] {
            let other = folder.path().join("new");
            fs::write(&other, format!("nameserver {ip}\n")).expect("written");
            fs::rename(&other, &path).expect("replaced");
            assert_eq!(upstreams.servers(), [SocketAddr::new(ip.parse().expect("an address"), DNS_PORT)]);
        }
        fs::remove_file(&path).expect("removed");
        assert!(upstreams.servers().is_empty());
    }
}
