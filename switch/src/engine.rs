//! Questions to a Docker engine, or Podman's that speaks like one: GET over its socket, answered by JSON.
//!
//! Whoever asks can do without the answer, so there is no error, only none.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Where engines answer unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/docker.sock";

/// Bytes of an answer that are read: at 4 KiB a container, four thousand of them.
const ANSWER_LIMIT: usize = 16 << 20;

/// What the engine at `socket` answers to `path`; none if it does not, or something else.
pub(crate) async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Option<T> {
    let stream = UnixStream::connect(socket).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("Host", "docker").body(Empty::<Bytes>::new()).ok()?;
    let response = sender.send_request(request).await.ok()?;
    if !response.status().is_success() {
        return None;
    }
    let body = Limited::new(response.into_body(), ANSWER_LIMIT).collect().await.ok()?;
    serde_json::from_slice(&body.to_bytes()).ok()
}
