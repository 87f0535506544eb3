//! `vswitch show`: networks, ports, who is behind them and what they carry, in one table.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::types::{PortFilter, Request};

/// Networks, ports, who is behind them, and traffic
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch show
  vswitch show --json")]
pub(super) struct ShowOptions {}

impl ShowOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let networks = session.networks(Request::NetworkList).await?;
        let ports = session.ports(Request::PortShow(PortFilter::default())).await?;
        let overview = show::Overview::new(&networks, &ports);
        session.print(&overview, || overview.table())
    }
}
