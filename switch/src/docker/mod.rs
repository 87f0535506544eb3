//! The switch as a plugin of Docker engines: libnetwork's remote network driver and IPAM driver, on a socket of its own.
//!
//! The protocol is that of moby's libnetwork (docs/remote.md and docs/ipam.md, as of 20.10 to 29): each call is a POST of
//! a JSON object to `/TYPE.Method`. `protocol` reads and writes it, the controller's loop does what is asked, by the
//! same queue as the API's requests. `engine` asks the engine itself for what the protocol leaves out: names.

mod engine;
mod options;
mod protocol;

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::api::error::{ApiError, ErrorCode};
use crate::api::handle::Handle;
use crate::api::server::{Bounds, Connections, serve_router};
use crate::api::socket::ControlSocket;
use crate::api::types::docker::{Answer, Call};
use crate::api::types::{Reply, Request};
use engine::Engine;
use protocol::Method as PluginMethod;

/// What Docker's own plugins answer with.
const CONTENT_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

/// Bytes of a call that are read: a container's published ports are 90 each.
const BODY_LIMIT: usize = 4 << 20;

/// How long a call's body may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// What every call can reach.
#[derive(Clone)]
struct Plugin {
    handle: Handle,
    engine: Engine,
}

/// Serves engines until `stop` says so.
pub async fn serve(
    socket: ControlSocket,
    handle: Handle,
    engine: std::path::PathBuf,
    stop: watch::Receiver<bool>,
) {
    let plugin = Plugin { handle: handle.clone(), engine: Engine::new(engine, handle) };
    let router = Router::new().fallback(answer).with_state(plugin);
    serve_router(socket, router, Bounds::default(), Connections::Closed, stop).await;
}

async fn answer(State(plugin): State<Plugin>, request: HttpRequest) -> Response {
    match plugin.take(request).await {
        Ok(value) => respond(StatusCode::OK, &value),
        Err(Refusal::Protocol(status, message)) => respond(status, &failure(&message)),
        // The protocol's way to say that something was understood, but cannot be done.
        Err(Refusal::Failed(error)) => {
            tracing::info!(%error, "refused what Docker asked for");
            respond(StatusCode::OK, &failure(&error.message))
        }
    }
}

/// The network driver's protocol says `Err`, the IPAM driver's `Error`.
fn failure(message: &str) -> Value {
    json!({ "Err": message, "Error": message })
}

fn respond(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], Json(value)).into_response().map(Body::new)
}

/// Why there is no answer.
enum Refusal {
    /// The call cannot be understood.
    Protocol(StatusCode, String),
    /// It was, and failed.
    Failed(ApiError),
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        match error.code {
            ErrorCode::BadRequest => Self::Protocol(StatusCode::BAD_REQUEST, error.message),
            _ => Self::Failed(error),
        }
    }
}

impl Plugin {
    async fn take(&self, request: HttpRequest) -> Result<Value, Refusal> {
        let path = request.uri().path().to_owned();
        let Some(method) = PluginMethod::of(&path) else {
            let message = format!("{path}: this plugin has no such method");
            return Err(Refusal::Protocol(StatusCode::NOT_FOUND, message));
        };
        if request.method() != Method::POST {
            let message = format!("{path}: plugins are called by POST, not {}", request.method());
            return Err(Refusal::Protocol(StatusCode::METHOD_NOT_ALLOWED, message));
        }
        let body = read(request).await?;
        let call = match method.read(&body)? {
            protocol::Understood::Fixed(value) => return Ok(value),
            protocol::Understood::Call(call) => call,
        };
        let joined = match &call {
            Call::Join(id, _) => Some(id.endpoint.clone()),
            _ => None,
        };
        match self.handle.call(Request::Docker(Box::new(call))).await? {
            Reply::Docker(answer) => {
                if let (Some(endpoint), Answer::Joined(_)) = (joined, &*answer) {
                    self.engine.ask_names(endpoint);
                }
                Ok(protocol::write(*answer))
            }
            _ => Err(Refusal::Failed(ApiError::internal("an answer of another kind"))),
        }
    }
}

async fn read(request: HttpRequest) -> Result<Bytes, Refusal> {
    let bad = |status, message: &str| Refusal::Protocol(status, message.to_owned());
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect();
    let body = tokio::time::timeout(BODY_TIME, body)
        .await
        .map_err(|_| bad(StatusCode::REQUEST_TIMEOUT, "the body did not arrive whole in time"))?;
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(bad(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than a call can be"))
        }
        Err(error) => Err(Refusal::Protocol(StatusCode::BAD_REQUEST, format!("the body broke off: {error}"))),
    }
}

#[cfg(test)]
mod tests;
