//! `vswitch show`: networks, ports, who is behind them and what they carry, in one table.

use std::path::PathBuf;

use clap::Args;

use super::containers;
use super::failure::Failure;
use super::session::Session;
use super::show;
use crate::api::types::{PortFilter, Request};
use crate::engine::DEFAULT_SOCKET;

/// Networks, ports, who is behind them, and traffic
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch show
  vswitch show --json
  vswitch show --docker-engine /run/podman/podman.sock")]
pub(super) struct ShowOptions {
    /// Socket of a Docker engine that knows its containers' names; none is no error [default: /run/docker.sock]
    #[arg(long, value_name = "SOCKET", alias = "engine")]
    docker_engine: Option<PathBuf>,
}

impl ShowOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let networks = session.networks(Request::NetworkList).await?;
        let mut ports = session.ports(Request::PortShow(PortFilter::default())).await?;
        let engine = self.docker_engine.unwrap_or_else(|| DEFAULT_SOCKET.into());
        containers::name(&mut ports, &containers::running(&engine).await);
        let overview = show::Overview::new(&networks, &ports);
        session.print(&overview, || overview.table())
    }
}
