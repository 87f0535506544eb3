//! `vswitch takeover` and `vswitch release`: replacing a Linux bridge under running containers, and the way back.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::types::Request;

/// Make the ports of a Linux bridge, present and future, ports of a network of its name
#[derive(Debug, Args)]
#[command(after_help = "\
The bridge stays as the gateway, with its address and the firewall rules of whoever made it. Running connections go on.

Examples:
  vswitch takeover docker0
  vswitch takeover virbr0 --json")]
pub(super) struct TakeoverOptions {
    /// The bridge
    bridge: String,
}

/// Give the ports of a bridge that was taken over back to it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch release docker0")]
pub(super) struct ReleaseOptions {
    /// The bridge
    bridge: String,
}

impl TakeoverOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let ports = session.ports(self.request()).await?;
        session.print(&ports, || show::ports(&ports))
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Request {
        Request::Takeover { bridge: self.bridge }
    }
}

impl ReleaseOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let done = session.done(self.request()).await?;
        session.print(&done, String::new)
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Request {
        Request::Release { bridge: self.bridge }
    }
}
