//! `vswitch mdb`: which ports want which multicast groups.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::types::{MdbFilter, Request};

/// Which ports want which multicast groups
#[derive(Debug, Subcommand)]
pub(super) enum MdbCommand {
    /// List groups, their members, and ports with routers behind them
    #[command(visible_aliases = ["list", "ls"], after_help = "\
Examples:
  vswitch mdb show
  vswitch mdb show --network blue --json")]
    Show(ShowOptions),
}

/// Which members to list.
#[derive(Debug, Args)]
pub(super) struct ShowOptions {
    /// Members of one network's groups
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
}

impl MdbCommand {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let members = session.members(self.request()).await?;
        session.print(&members, || show::members(&members))
    }

    /// What to ask of the controller.
    pub(super) fn request(self) -> Request {
        match self {
            Self::Show(ShowOptions { network }) => Request::MdbShow(MdbFilter { network }),
        }
    }
}
