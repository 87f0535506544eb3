//! `GET /v1/events`: one JSON object a line, as long as the reader stays.
//!
//! hyper asks for the next line only when the last ones have left for the socket, so a slow reader holds back its own
//! stream and nothing else; what it misses meanwhile falls out of the ring and is told as `lost`.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::error::{ApiError, ErrorCode};
use super::places::{self, Busy};
use super::server::{Context, stopped};
use super::types::{Event, EventKind};

/// Bytes of lines after which they are sent on.
const CHUNK: usize = 16 * 1024;

/// One reader's place in the ring.
struct Reader {
    events: broadcast::Receiver<Event>,
    stop: watch::Receiver<bool>,
    /// Gives the place back when the reader is dropped.
    _place: OwnedSemaphorePermit,
    /// And the connection's.
    _busy: Busy,
}

/// Answers with the events from now on.
pub(super) fn stream(context: &Context) -> Result<Response, ApiError> {
    let place = context.event_places.clone().try_acquire_owned().map_err(|_| {
        let most = context.bounds.event_streams;
        ApiError::new(
            ErrorCode::LimitReached,
            format!("events: {most} readers watch already: end one of them"),
        )
    })?;
    let reader = Reader {
        events: context.handle.subscribe(),
        stop: context.stop.clone(),
        _place: place,
        _busy: places::busy(),
    };
    let lines =
        stream::unfold(reader, |mut reader| async move { reader.lines().await.map(|lines| (lines, reader)) });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

impl Reader {
    /// The next lines, at least one, or none when the controller stops.
    async fn lines(&mut self) -> Option<serde_json::Result<Bytes>> {
        let first = tokio::select! {
            received = self.events.recv() => match received {
                Ok(event) => event,
                Err(RecvError::Lagged(count)) => lost(count),
                Err(RecvError::Closed) => return None,
            },
            () = stopped(&mut self.stop) => return None,
        };
        Some(self.collect(&first))
    }

    /// `first` and what else is in the ring, up to a chunk: a system call per event would be one for each new station.
    fn collect(&mut self, first: &Event) -> serde_json::Result<Bytes> {
        let mut lines = serde_json::to_vec(first)?;
        lines.push(b'\n');
        while lines.len() < CHUNK {
            let event = match self.events.try_recv() {
                Ok(event) => event,
                Err(TryRecvError::Lagged(count)) => lost(count),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            };
            serde_json::to_writer(&mut lines, &event)?;
            lines.push(b'\n');
        }
        Ok(lines.into())
    }
}

fn lost(count: u64) -> Event {
    Event::now(EventKind::Lost { count })
}
