//! `vswitch teardown`: removes everything that vswitch made, with or without a running controller.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::run::PathOptions;
use super::session::Session;
use crate::api::client::Client;
use crate::api::error::{ApiError, ErrorCode};
use crate::api::types::Request;
use crate::daemon;

/// Remove every program, map, pin, rule and link that vswitch made, and nothing else
#[derive(Debug, Args)]
#[command(after_help = "\
The paths count when no controller runs: what an earlier one left is removed then.

Examples:
  vswitch teardown
  vswitch teardown --yes")]
pub(super) struct TeardownOptions {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    paths: PathOptions,
}

impl TeardownOptions {
    pub(super) async fn run(self, socket: Option<PathBuf>, session: &mut Session<'_>) -> Result<(), Failure> {
        let config = self.paths.load(socket)?;
        session.client = Client::new(&config.paths.socket);
        if !self.yes {
            confirm(io::stdin().is_terminal(), ask)?;
        }
        let done = match session.done(Request::Teardown).await {
            // Only when nobody answers: beside a living controller this would pull its maps from under it.
            Err(error) if error.code == ErrorCode::NotRunning => {
                let offline = tokio::task::spawn_blocking(move || daemon::teardown_offline(&config.paths));
                offline.await.map_err(|error| ApiError::internal(format!("teardown: {error}")))??
            }
            answered => answered?,
        };
        session.print(&done, String::new)
    }
}

/// Refuses unless someone at a terminal says yes.
fn confirm(terminal: bool, ask: impl FnOnce() -> io::Result<String>) -> Result<(), ApiError> {
    let refused = |message| Err(ApiError::new(ErrorCode::NotConfirmed, message));
    if !terminal {
        return refused("teardown: cuts off every port and there is no terminal to ask at: say --yes");
    }
    match ask() {
        Ok(answer) if matches!(answer.trim(), "y" | "Y" | "yes") => Ok(()),
        _ => refused("teardown: not confirmed: nothing was changed"),
    }
}

fn ask() -> io::Result<String> {
    // On stderr: stdout may be read by a program.
    let mut err = io::stderr();
    write!(err, "This removes all that vswitch made: every port stops forwarding. Go on? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(terminal: bool, answer: &str) -> Option<ErrorCode> {
        confirm(terminal, || Ok(answer.to_string())).err().map(|error| error.code)
    }

    #[test]
    fn teardown_goes_on_only_after_a_yes_at_a_terminal() {
        assert_eq!(code(true, "y\n"), None);
        assert_eq!(code(true, "yes\n"), None);
        for answer in ["\n", "", "n\n", "yep\n"] {
            assert_eq!(code(true, answer), Some(ErrorCode::NotConfirmed), "{answer:?}");
        }
    }

    #[test]
    fn without_a_terminal_teardown_names_the_option() {
        let error = confirm(false, || unreachable!("nobody to ask")).expect_err("refused");
        assert!(error.message.contains("--yes"), "{error}");
    }
}
