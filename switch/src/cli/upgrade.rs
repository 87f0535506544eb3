//! `vswitch upgrade`: the running controller becomes the binary that lies in its place now. And `vswitch about`, by which
//! one build asks another what it is.

use std::time::{Duration, Instant};

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::{Request, Upgrade, UpgradeSpec};
use crate::controller::upgrade::build;
use crate::datapath;

/// How long the successor may take to serve, and how often to ask.
const START_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);

/// Let the binary that was installed meanwhile take over from the running controller
#[derive(Debug, Args)]
#[command(after_help = "\
The controller becomes the binary that lies where it was started from. Programs on links are replaced one by one without a frame
lost; maps are kept, or migrated where the new binary has others. What cannot take over is refused, and nothing changes.

Examples:
  vswitch upgrade --check
  vswitch upgrade")]
pub(super) struct UpgradeOptions {
    /// Only say what would happen
    #[arg(long)]
    check: bool,
}

/// What this build is, for another one that it is to replace
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch about --try --json")]
pub(super) struct AboutOptions {
    /// Load the programs too, and fail if the kernel refuses
    #[arg(long = "try")]
    is_trial: bool,
}

impl UpgradeOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let upgrade = session.upgrade(self.request()).await?;
        if !self.check {
            wait_for_successor(session, &upgrade).await?;
        }
        session.print(&upgrade, || show::upgrade(&upgrade))
    }

    /// What to ask of the controller.
    pub(super) fn request(&self) -> Request {
        Request::Upgrade(UpgradeSpec { check: self.check })
    }
}

async fn wait_for_successor(session: &Session<'_>, upgrade: &Upgrade) -> Result<(), ApiError> {
    let until = Instant::now() + START_LIMIT;
    loop {
        match session.status().await {
            Ok(status) if status.started_ns != upgrade.started_ns => return Ok(()),
            _ if Instant::now() > until => {
                let message = format!(
                    "upgrade: {} took over, but does not serve after {} s: look at its log; the ports go on forwarding",
                    upgrade.binary,
                    START_LIMIT.as_secs()
                );
                return Err(ApiError::new(ErrorCode::Timeout, message));
            }
            // Between the one and the other nobody listens.
            _ => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl AboutOptions {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        if self.is_trial {
            datapath::try_programs().map_err(|error| {
                ApiError::new(ErrorCode::Kernel, format!("{}: see `dmesg`", crate::error::chain(&error)))
            })?;
        }
        let build = build();
        session.print(&build, || show::build(&build))
    }
}
