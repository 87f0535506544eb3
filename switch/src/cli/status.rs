//! `vswitch status`: what the controller is and how it fares.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::show;

/// What the controller is and how it fares
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch status
  vswitch status --json")]
pub(super) struct StatusOptions {}

impl StatusOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let status = session.status().await?;
        session.print(&status, || show::status(&status))
    }
}
