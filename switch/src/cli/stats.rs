//! `vswitch stats`: counters per port and per drop reason.

use std::time::Duration;

use clap::Args;
use tokio::time::MissedTickBehavior;

use super::failure::Failure;
use super::session::Session;
use super::show;

/// Counters per port and per drop reason
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch stats
  vswitch stats veth-web --watch 1
  vswitch stats --json")]
pub(super) struct StatsOptions {
    /// Link name of one port
    pub(super) link: Option<String>,
    /// Print again every so many seconds: rates a second as text, counters with --json, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) watch: Option<u32>,
}

impl StatsOptions {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        match self.watch {
            None => {
                let stats = session.stats(self.link).await?;
                session.print(&stats, || show::stats(&stats))
            }
            Some(seconds) => {
                tokio::select! {
                    ended = watch(self.link, seconds, session) => ended,
                    _ = tokio::signal::ctrl_c() => Ok(()),
                }
            }
        }
    }
}

async fn watch(link: Option<String>, seconds: u32, session: &mut Session<'_>) -> Result<(), Failure> {
    let mut ticks = tokio::time::interval(Duration::from_secs(seconds.into()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = session.stats(link.clone()).await?;
    session.print(&before, || show::stats(&before))?;
    loop {
        ticks.tick().await;
        let now = session.stats(link.clone()).await?;
        session.print(&now, || format!("\n{}", show::rates(&before, &now, seconds)))?;
        before = now;
    }
}
