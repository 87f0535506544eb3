//! Asking the engine what it calls a container: libnetwork tells its drivers addresses, but no names.
//!
//! The engine waits for us while a container starts, and lists the container only after that. So it is asked later, a few
//! times at growing intervals, and whatever goes wrong only leaves the port without a name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;

use crate::api::handle::Handle;
use crate::api::types::Request;
use crate::api::types::docker::Call;
use crate::engine;

/// When to ask, after the endpoint got its link.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// Questions under way at once.
const QUESTIONS: usize = 2;

/// How long an answer may take.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// An engine, by its socket.
#[derive(Clone)]
pub(super) struct Engine {
    socket: PathBuf,
    handle: Handle,
    places: Arc<Semaphore>,
}

impl Engine {
    pub(super) fn new(socket: PathBuf, handle: Handle) -> Self {
        Self { socket, handle, places: Arc::new(Semaphore::new(QUESTIONS)) }
    }

    /// Finds out the names of an endpoint's container, some time from now.
    pub(super) fn ask_names(&self, endpoint: String) {
        let engine = self.clone();
        tokio::spawn(async move {
            for pause in PAUSES {
                tokio::time::sleep(pause).await;
                let Ok(_place) = engine.places.acquire().await else { return };
                let found = tokio::time::timeout(ANSWER_TIME, engine.names(&endpoint)).await;
                if let Ok(Some((network, names))) = found {
                    let call = Call::Name { endpoint, names, network };
                    let _stopping = engine.handle.call(Request::Docker(Box::new(call))).await;
                    return;
                }
            }
            tracing::debug!(socket = %engine.socket.display(), endpoint, "the engine knows no such container");
        });
    }

    /// What Docker calls the network of an endpoint, and the container's names there, the first its own.
    async fn names(&self, endpoint: &str) -> Option<(String, Vec<String>)> {
        let list: Value = engine::get(&self.socket, "/containers/json").await?;
        let container =
            list.as_array()?.iter().find(|container| network_of(container, endpoint).is_some())?;
        let path = format!("/containers/{}/json", container["Id"].as_str()?);
        let container: Value = engine::get(&self.socket, &path).await?;
        let network = network_of(&container, endpoint)?;
        let aliases = container["NetworkSettings"]["Networks"][&network]["Aliases"].as_array();
        let own = container["Name"].as_str()?.trim_start_matches('/');
        let short = container["Id"].as_str()?.get(..12)?;
        let mut names = vec![own.to_owned()];
        for alias in aliases.into_iter().flatten().filter_map(Value::as_str).chain([short]) {
            if !names.iter().any(|name| name == alias) {
                names.push(alias.to_owned());
            }
        }
        Some((network, names))
    }
}

/// The network at which a container has the endpoint.
fn network_of(container: &Value, endpoint: &str) -> Option<String> {
    let networks = container["NetworkSettings"]["Networks"].as_object()?;
    networks.iter().find(|(_, at)| at["EndpointID"] == endpoint).map(|(name, _)| name.clone())
}
