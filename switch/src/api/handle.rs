//! The seam between the API and the controller's loop: calls go in by a bounded queue, events come out by a ring.
//!
//! One loop owns all state, so a call is a message with a return address. Whoever watches events and falls behind loses
//! the oldest ones and is told how many (tokio's broadcast), so that no reader can make the controller wait or grow.

use tokio::sync::{broadcast, mpsc, oneshot};

use super::error::{ApiError, ErrorCode};
use super::types::{Event, Reply, Request};

/// Calls that may wait for the loop; a caller beyond that waits for a place, at most as long as its request may take.
pub const CALL_QUEUE: usize = 64;

/// Events kept for the slowest reader; each is a few names and a MAC.
pub const EVENT_QUEUE: usize = 4096;

/// One request on its way to the loop.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes. The caller may have gone away: a failing send is no error.
    pub reply: oneshot::Sender<Result<Reply, ApiError>>,
}

/// A way to reach the loop; clones reach the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    calls: mpsc::Sender<Call>,
    events: broadcast::Sender<Event>,
}

impl Handle {
    /// A handle, and the end of the queue that the loop reads.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Call>) {
        let (calls, receiver) = mpsc::channel(CALL_QUEUE);
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        (Self { calls, events }, receiver)
    }

    /// Asks the loop and waits for its answer.
    ///
    /// # Errors
    /// The loop's own, or `shutting-down` when it has ended or ends before it answers.
    pub async fn call(&self, request: Request) -> Result<Reply, ApiError> {
        let (reply, answer) = oneshot::channel();
        self.calls.send(Call { request, reply }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// The events from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Tells everyone who watches; nobody watching is fine.
    pub fn publish(&self, event: Event) {
        let _nobody = self.events.send(event);
    }
}

fn stopping() -> ApiError {
    ApiError::new(
        ErrorCode::ShuttingDown,
        "the controller is stopping: ask again when it has been started anew",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_to_a_loop_that_ended_says_so() {
        let (handle, calls) = Handle::new();
        drop(calls);
        let error = handle.call(Request::Status).await.expect_err("no loop");
        assert_eq!(error.code, ErrorCode::ShuttingDown);
    }

    #[tokio::test]
    async fn a_call_that_the_loop_drops_says_so() {
        let (handle, mut calls) = Handle::new();
        let asked = tokio::spawn(async move { handle.call(Request::Status).await });
        drop(calls.recv().await);
        let answer = asked.await.expect("the caller does not panic");
        assert!(answer.is_err());
    }
}
