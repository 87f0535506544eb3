//! What a verb works with: the controller it asks, and where and how it prints.

use std::io::Write;

use serde::Serialize;

use super::failure::Failure;
use crate::api::client::Client;
use crate::api::error::ApiError;
use crate::api::types::{
    Done, FdbEntry, MdbEntry, Network, Port, PortStats, Publish, Reply, Request, Status, Trace, Upgrade,
};

/// One command's surroundings.
pub(super) struct Session<'a> {
    /// The controller.
    pub(super) client: Client,
    /// JSON instead of text.
    pub(super) json: bool,
    /// Standard output.
    pub(super) out: &'a mut dyn Write,
}

impl Session<'_> {
    /// Prints one JSON value, or the text; an empty text prints nothing. Flushed, so that a reader sees it at once.
    pub(super) fn print<T: Serialize + ?Sized>(
        &mut self,
        value: &T,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let text = if self.json { json(value)? + "\n" } else { text() };
        self.print_text(&text)
    }

    /// Prints as it is, and flushes.
    pub(super) fn print_text(&mut self, text: &str) -> Result<(), Failure> {
        self.out.write_all(text.as_bytes())?;
        Ok(self.out.flush()?)
    }

    pub(super) async fn status(&self) -> Result<Status, ApiError> {
        match self.client.call(Request::Status).await? {
            Reply::Status(status) => Ok(*status),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn upgrade(&self, request: Request) -> Result<Upgrade, ApiError> {
        match self.client.call(request).await? {
            Reply::Upgrade(upgrade) => Ok(*upgrade),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn ports(&self, request: Request) -> Result<Vec<Port>, ApiError> {
        match self.client.call(request).await? {
            Reply::Ports(ports) => Ok(ports),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn entries(&self, request: Request) -> Result<Vec<FdbEntry>, ApiError> {
        match self.client.call(request).await? {
            Reply::Fdb(entries) => Ok(entries),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn members(&self, request: Request) -> Result<Vec<MdbEntry>, ApiError> {
        match self.client.call(request).await? {
            Reply::Mdb(members) => Ok(members),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn networks(&self, request: Request) -> Result<Vec<Network>, ApiError> {
        match self.client.call(request).await? {
            Reply::Networks(networks) => Ok(networks),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn publishes(&self, request: Request) -> Result<Vec<Publish>, ApiError> {
        match self.client.call(request).await? {
            Reply::Publishes(publishes) => Ok(publishes),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn stats(&self, link: Option<String>) -> Result<Vec<PortStats>, ApiError> {
        match self.client.call(Request::Stats { link }).await? {
            Reply::Stats(stats) => Ok(stats),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn traces(&self, request: Request) -> Result<Vec<Trace>, ApiError> {
        match self.client.call(request).await? {
            Reply::Traces(traces) => Ok(traces),
            _ => Err(foreign()),
        }
    }

    pub(super) async fn done(&self, request: Request) -> Result<Done, ApiError> {
        match self.client.call(request).await? {
            Reply::Done(done) => Ok(done),
            _ => Err(foreign()),
        }
    }
}

/// The one thing that a reply of one must hold.
pub(super) fn only<T>(list: Vec<T>) -> Result<T, ApiError> {
    list.into_iter().next().ok_or_else(foreign)
}

/// As one line of JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, ApiError> {
    serde_json::to_string(value).map_err(|error| ApiError::internal(format!("reply: no JSON: {error}")))
}

fn foreign() -> ApiError {
    ApiError::internal(
        "reply of the controller: to another request: does it run the version of this command?",
    )
}
