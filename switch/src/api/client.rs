//! The client of the control socket: one connection per request, so that nothing is left open between commands.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Request as HttpRequest, Response};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::error::{ApiError, ErrorBody, ErrorCode};
use super::socket::SOCKET_GROUP;
use super::types::{Event, Reply, Request};
use super::wire::{self, HttpCall};

/// Where the controller listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/vswitch/vswitch.sock";

/// Longer than the server's own limit, so that its words arrive.
const ANSWER_LIMIT: Duration = Duration::from_secs(70);

/// Bytes of a reply that are read: at 130 bytes an entry, two million FDB entries.
const REPLY_LIMIT: usize = 256 * 1024 * 1024;

/// Bytes of one event's line that are read.
const LINE_LIMIT: usize = 64 * 1024;

/// Reaches one controller.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// For the controller at that socket, which is not looked at yet.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The socket's path.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The controller's own; `not-running` when none listens; `connection-lost` when it goes away before it answers; `permission-denied` when the socket's mode says so;
    /// `timeout` when no answer comes.
    pub async fn call(&self, request: Request) -> Result<Reply, ApiError> {
        let call = wire::encode(&request)?;
        let answer = async {
            let response = self.send(call).await?;
            let succeeded = response.status().is_success();
            let body = self.read(response.into_body()).await?;
            if succeeded { wire::decode(&request, &body) } else { Err(refusal(&body)) }
        };
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::new(
                ErrorCode::Timeout,
                format!("the controller at {} does not answer: look at its log", self.socket.display()),
            )),
        }
    }

    /// The events from now on.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn events(&self) -> Result<Events, ApiError> {
        let call = HttpCall { method: hyper::Method::GET, target: "/v1/events".to_string(), body: None };
        let response = self.send(call).await?;
        if response.status().is_success() {
            return Ok(Events { client: self.clone(), body: response.into_body(), unread: BytesMut::new() });
        }
        Err(refusal(&self.read(response.into_body()).await?))
    }

    async fn send(&self, call: HttpCall) -> Result<Response<Incoming>, ApiError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.no_connection(&error))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.went_away(&error.to_string()))?;
        // Ends by itself with the response; its errors reach the response's reader.
        tokio::spawn(connection);
        let request = HttpRequest::builder()
            .method(call.method)
            .uri(&call.target)
            .header(HOST, "vswitch")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(call.body.unwrap_or_default())))
            .map_err(|error| ApiError::internal(format!("request {}: {error}", call.target)))?;
        sender.send_request(request).await.map_err(|error| self.went_away(&error.to_string()))
    }

    async fn read(&self, body: Incoming) -> Result<Bytes, ApiError> {
        match Limited::new(body, REPLY_LIMIT).collect().await {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(ApiError::new(
                ErrorCode::LimitReached,
                format!(
                    "reply of the controller: longer than {REPLY_LIMIT} bytes: ask for less, by network or port"
                ),
            )),
            Err(error) => Err(self.went_away(&error.to_string())),
        }
    }

    fn no_connection(&self, error: &io::Error) -> ApiError {
        let path = self.socket.display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => {
                ApiError::new(
                    ErrorCode::NotRunning,
                    format!(
                        "no controller answers at {path}: start one with `vswitch run`, or name its socket with --socket"
                    ),
                )
            }
            io::ErrorKind::PermissionDenied => ApiError::new(
                ErrorCode::PermissionDenied,
                format!(
                    "control socket {path}: permission denied: use root or a member of the group that owns it ({SOCKET_GROUP}, where that exists)"
                ),
            ),
            io::ErrorKind::InvalidInput => ApiError::new(
                ErrorCode::InvalidArgument,
                format!("control socket {path}: {error}: name a shorter path with --socket"),
            ),
            // connect(2) on a socket whose queue is full: somebody listens.
            io::ErrorKind::WouldBlock => ApiError::new(
                ErrorCode::LimitReached,
                format!("the controller at {path} has no place for another connection: try again"),
            ),
            _ => ApiError::new(
                ErrorCode::ConnectionLost,
                format!("no controller can be reached at {path}: {error}: name its socket with --socket"),
            ),
        }
    }

    fn went_away(&self, cause: &str) -> ApiError {
        let path = self.socket.display();
        ApiError::new(
            ErrorCode::ConnectionLost,
            format!("the controller at {path} went away ({cause}): look at its log, then `vswitch status`"),
        )
    }
}

fn refusal(body: &[u8]) -> ApiError {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error }) => error,
        Err(_) => ApiError::internal(format!(
            "the controller refused in words of its own: {:?}: does it run the version of this command?",
            String::from_utf8_lossy(body)
        )),
    }
}

/// A stream of events.
#[derive(Debug)]
pub struct Events {
    client: Client,
    body: Incoming,
    unread: BytesMut,
}

impl Events {
    /// The next event, or none when the controller ends the stream because it stops.
    ///
    /// # Errors
    /// `connection-lost` when the connection breaks, `internal` when a line is no event.
    pub async fn next(&mut self) -> Result<Option<Event>, ApiError> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line = self.unread.split_to(end + 1);
                return serde_json::from_slice(&line).map(Some).map_err(|error| {
                    ApiError::internal(format!(
                        "event: {error}: does the controller run the version of this command?"
                    ))
                });
            }
            if self.unread.len() > LINE_LIMIT {
                return Err(ApiError::internal(format!("event: longer than {LINE_LIMIT} bytes")));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Err(error)) => return Err(self.client.went_away(&error.to_string())),
                Some(Ok(frame)) => self.unread.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
            }
        }
    }
}
