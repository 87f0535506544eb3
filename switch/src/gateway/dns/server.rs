//! The sockets of one network's server: UDP and TCP at port 53 of each gateway address.
//!
//! Answers from the network's own names are given at once. Questions that go on, and connections, are bounded in number and
//! time: what comes beyond is dropped, as UDP may drop it anyway, and affects the network that it came from alone.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{Decision, Reply, decide, failure, for_udp, reply};
use super::{CurrentNames, Upstreams};

const DNS_PORT: u16 = 53;

/// Questions of one network that wait for other servers at a time.
const FORWARDED_MOST: usize = 256;

/// Connections of one network at a time.
const CONNECTIONS_MOST: usize = 64;

/// How long a connection may be silent, and how long it may take to say something (RFC 7766 section 6.2.3).
const SILENCE_LIMIT: Duration = Duration::from_secs(10);

/// Longest query that is read by UDP: far more than one with every option has.
const QUERY_BYTES: usize = 4_096;

/// Pause after a socket failed, so that a lasting failure does not burn a CPU.
const FAILURE_PAUSE: Duration = Duration::from_millis(100);

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    _tasks: JoinSet<()>,
}

/// What all tasks of a server share.
#[derive(Debug)]
struct Shared {
    names: CurrentNames,
    upstreams: Arc<Upstreams>,
    own: Vec<IpAddr>,
    forwarded: Semaphore,
    connections: Semaphore,
}

/// Listens at the gateway's addresses, which must be there.
///
/// # Errors
/// When a socket cannot be bound, as when another server has port 53 of every address.
pub async fn start(
    gateways: &[IpAddr],
    names: CurrentNames,
    upstreams: Arc<Upstreams>,
) -> io::Result<Server> {
    upstreams.follow();
    let shared = Arc::new(Shared {
        names,
        upstreams,
        own: gateways.to_vec(),
        forwarded: Semaphore::new(FORWARDED_MOST),
        connections: Semaphore::new(CONNECTIONS_MOST),
    });
    let mut tasks = JoinSet::new();
    for gateway in gateways {
        let socket = UdpSocket::bind((*gateway, DNS_PORT)).await?;
        let listener = TcpListener::bind((*gateway, DNS_PORT)).await?;
        tasks.spawn(serve_udp(Arc::new(socket), Arc::clone(&shared)));
        tasks.spawn(serve_tcp(listener, Arc::clone(&shared)));
    }
    Ok(Server { _tasks: tasks })
}

impl Shared {
    /// Names of a network are for the network: whoever comes from elsewhere is not there.
    fn is_client(&self, from: SocketAddr) -> bool {
        self.names.get().subnets.iter().any(|subnet| subnet.contains(&from.ip()))
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut waiting = JoinSet::new();
    let mut buffer = vec![0; QUERY_BYTES];
    loop {
        while waiting.try_join_next().is_some() {}
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                // An ICMP error about an earlier answer, most often.
                tracing::trace!(%error, "a query was not received");
                tokio::time::sleep(FAILURE_PAUSE).await;
                continue;
            }
        };
        if !shared.is_client(from) {
            continue;
        }
        let query = &buffer[..length];
        match reply(query, &shared.names.get()) {
            Reply::Nothing => {}
            Reply::Octets(answer) => {
                let _client_gone = socket.try_send_to(&answer, from);
            }
            Reply::Forward => {
                let (query, socket, shared) = (query.to_vec(), Arc::clone(&socket), Arc::clone(&shared));
                if shared.forwarded.available_permits() == 0 {
                    tracing::debug!(%from, "dropped a query: {FORWARDED_MOST} wait for other servers already");
                    continue;
                }
                waiting.spawn(async move {
                    let Ok(_permit) = shared.forwarded.try_acquire() else { return };
                    let answer = forward(&query, false, &shared).await;
                    let answer = answer.or_else(|| for_udp(&failure(&query)?, &query));
                    if let Some(answer) = answer {
                        let _client_gone = socket.send_to(&answer, from).await;
                    }
                });
            }
        }
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, from)) if shared.is_client(from) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let Ok(_permit) = shared.connections.try_acquire() else { return };
                    if let Err(error) = serve_connection(stream, &shared).await {
                        tracing::trace!(%from, %error, "a connection ended");
                    }
                });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

/// Queries one after the other (RFC 1035 section 4.2.2).
async fn serve_connection(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    loop {
        let query = timeout(SILENCE_LIMIT, read_query(&mut stream)).await??;
        let answer = match decide(&query, &shared.names.get()) {
            Decision::Ignore => return Ok(()),
            Decision::Answer(message) => message.to_vec().ok(),
            Decision::Forward => match shared.forwarded.try_acquire() {
                Ok(_permit) => forward(&query, true, shared).await,
                Err(_) => None,
            },
        };
        let answer = answer.or_else(|| failure(&query)?.to_vec().ok());
        let Some(answer) = answer else { return Ok(()) };
        let length = u16::try_from(answer.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        let framed = [&length.to_be_bytes(), answer.as_slice()].concat();
        timeout(SILENCE_LIMIT, stream.write_all(&framed)).await??;
    }
}

async fn read_query(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut query = vec![0; length.into()];
    stream.read_exact(&mut query).await?;
    Ok(query)
}

async fn forward(query: &[u8], is_tcp: bool, shared: &Shared) -> Option<Vec<u8>> {
    shared.upstreams.ask(query, is_tcp, &shared.own).await
}
