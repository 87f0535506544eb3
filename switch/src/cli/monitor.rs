//! `vswitch monitor`: a line an event, as it happens.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::error::{ApiError, ErrorCode};

/// Print a line (with --json an object) an event, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch monitor
  vswitch monitor --json")]
pub(super) struct MonitorOptions {}

impl MonitorOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        tokio::select! {
            ended = follow(session) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }
}

async fn follow(session: &mut Session<'_>) -> Result<(), Failure> {
    let mut events = session.client.events().await?;
    while let Some(event) = events.next().await? {
        session.print(&event, || show::event(&event))?;
    }
    let socket = session.client.socket().display();
    let message = format!("the controller at {socket} has stopped: start one with `vswitch run`");
    Err(ApiError::new(ErrorCode::NotRunning, message).into())
}
