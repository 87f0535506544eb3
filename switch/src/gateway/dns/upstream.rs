//! Asking on: the servers of the host's resolv.conf, as it is at the moment.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::follow::follow;
use super::resolv::Resolv;

/// Where the host's servers stand (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// How long one server may take; three of them, more are not asked, take less than the 10 seconds after which a client gives up.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Longest message of DNS.
const MESSAGE_BYTES: usize = 65_535;

/// The host's servers.
#[derive(Debug)]
pub struct Upstreams {
    resolv: Arc<Resolv>,
    /// The task that follows the file, once there is a server; it ends with this.
    follower: Mutex<JoinSet<()>>,
}

impl Default for Upstreams {
    fn default() -> Self {
        Self { resolv: Arc::new(Resolv::new(RESOLV_CONF.into())), follower: Mutex::default() }
    }
}

impl Upstreams {
    /// Follows the file from now on.
    pub(super) fn follow(&self) {
        let mut follower = self.follower.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if follower.is_empty() {
            follower.spawn(follow(Arc::clone(&self.resolv)));
        }
    }

    /// The first answer of a server that is not one of `own`; none if there is none in time.
    pub(super) async fn ask(&self, query: &[u8], is_tcp: bool, own: &[IpAddr]) -> Option<Vec<u8>> {
        for server in self.resolv.servers().into_iter().filter(|server| !own.contains(&server.ip())) {
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
