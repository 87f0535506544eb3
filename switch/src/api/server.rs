//! The server: connections in, requests to the loop, with a bound on everything that a peer decides.
//!
//! hyper is driven directly instead of by `axum::serve`, for three things that needs: the peer's credentials at accept,
//! a limit on the time a request's head may take, and a limit on connections.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request as HttpRequest;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::error::{ApiError, ErrorCode};
use super::handle::Handle;
use super::peer::Peer;
use super::places::{Place, Places};
use super::routes;
use super::socket::ControlSocket;

/// Bytes that hyper buffers of one connection's head or of what it has not read yet.
const CONNECTION_BUFFER: usize = 64 * 1024;

/// Pause after accept(2) failed, for instance for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one peer, and all of them together, may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Connections at once; one more closes that which has been idle for longest, or waits.
    pub connections: usize,
    /// Readers of events at once, so that they cannot take all the connections.
    pub event_streams: usize,
    /// For a request's head, and for the next request on a connection kept open.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// From the head to the answer; teardown of a full switch is the longest request.
    pub request: Duration,
    /// For requests under way when the controller stops.
    pub leave: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 128,
            event_streams: 32,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            request: Duration::from_secs(60),
            leave: Duration::from_secs(2),
        }
    }
}

/// What every handler can reach.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) handle: Handle,
    pub(super) bounds: Bounds,
    pub(super) event_places: Arc<Semaphore>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Who asks, decided once per connection.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) peer: Peer,
    pub(super) socket_gid: u32,
}

impl Caller {
    /// Refuses `what` unless the caller may write.
    pub(super) fn check_write(&self, what: &str) -> Result<(), ApiError> {
        if self.peer.may_write(self.socket_gid) {
            return Ok(());
        }
        let uid = self.peer.uid;
        let message = format!(
            "{what}: user {uid} may not change the switch: use root or a member of the group that owns the socket"
        );
        Err(ApiError::new(ErrorCode::PermissionDenied, message))
    }
}

/// Serves until `stop` turns true or its sender is gone; then lets requests under way end. The socket's file goes last.
pub async fn serve(socket: ControlSocket, handle: Handle, bounds: Bounds, stop: watch::Receiver<bool>) {
    let context = Context {
        handle,
        bounds,
        event_places: Arc::new(Semaphore::new(bounds.event_streams)),
        stop: stop.clone(),
    };
    let router = routes::router(&context);
    serve_router(socket, router, bounds, Connections::Kept, stop).await;
}

/// What becomes of a connection after its first request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connections {
    /// It may bring another.
    Kept,
    /// It is closed: a client that cannot send a request twice never finds it closed just then.
    Closed,
}

/// Serves a router until `stop` says so.
pub(crate) async fn serve_router(
    socket: ControlSocket,
    router: Router,
    bounds: Bounds,
    connections_are: Connections,
    mut stop: watch::Receiver<bool>,
) {
    let how = How { bounds, connections: connections_are, stop: stop.clone() };
    let places = Places::new(bounds.connections);
    let mut connections = JoinSet::new();
    loop {
        let (stream, place) = tokio::select! {
            next = accept(&socket, &places) => next,
            () = stopped(&mut stop) => break,
        };
        while connections.try_join_next().is_some() {}
        match Peer::of(&stream) {
            Ok(peer) => {
                let caller = Caller { peer, socket_gid: socket.gid() };
                connections.spawn(connection(stream, caller, router.clone(), how.clone(), place));
            }
            Err(error) => warn!(%error, "connection without credentials refused"),
        }
    }
    let all_left = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.leave, all_left).await.is_err() {
        warn!("connections cut off at the stop");
    }
}

/// How each connection is served.
#[derive(Clone)]
struct How {
    bounds: Bounds,
    connections: Connections,
    stop: watch::Receiver<bool>,
}

/// Waits until the server is to stop: `stop` turned true, or nobody is left to say so.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _sender_gone = stop.wait_for(|stop| *stop).await;
}

async fn accept(socket: &ControlSocket, places: &Arc<Places>) -> (UnixStream, Arc<Place>) {
    loop {
        // First somebody who comes, then a place for him: nobody is shut out for one who does not come.
        match socket.accept().await {
            Ok(stream) => return (stream, places.take().await),
            Err(error) => {
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, caller: Caller, router: Router, mut how: How, place: Arc<Place>) {
    let inner = TowerToHyperService::new(router);
    let answering = place.clone();
    let service = service_fn(move |mut request: HttpRequest<Incoming>| {
        request.extensions_mut().insert(caller.clone());
        answering.clone().answering(inner.call(request))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(how.bounds.head)
        .keep_alive(how.connections == Connections::Kept)
        // No `pipeline_flush`: with it a stream of events that nobody reads is buffered without this bound.
        .max_buf_size(CONNECTION_BUFFER)
        // A client that closes its half is taken to have left: else a reader of events that goes away while nothing
        // happens would keep its place.
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = place.is_needed() => return debug!("an idle connection gave up its place"),
        () = stopped(&mut how.stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended early");
    }
}
