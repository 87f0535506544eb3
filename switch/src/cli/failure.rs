//! How a command ends when it does not end well: exit status, one line on stderr, an object on stdout with `--json`.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::api::error::{ApiError, ErrorBody, ErrorCode};

/// Refused or failed.
const FAILED: u8 = 1;

/// Wrong usage, as clap has it.
const WRONG_USAGE: u8 = 2;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments do not parse, or help or version was asked for.
    #[error(transparent)]
    Clap(clap::Error),
    /// Refused by this command or by the controller.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// What was to be printed cannot be written.
    #[error("standard output: {0}: send it elsewhere")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Arguments that parse but make no sense together.
    pub(super) fn usage(message: impl AsRef<str>) -> Self {
        Self::Api(ApiError::new(ErrorCode::Usage, message))
    }

    /// No async runtime: out of threads or file descriptors.
    pub(super) fn runtime(error: &io::Error) -> Self {
        Self::Api(ApiError::new(
            ErrorCode::Kernel,
            format!("event loop: {error}: raise the limits of this session"),
        ))
    }

    /// Tells the user, and gives the exit status. Nothing can be done about a stream that is closed.
    pub(super) fn report(self, json: bool, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
        let error = match self {
            Self::Clap(error) if !error.use_stderr() => {
                let _closed = write!(out, "{error}").and_then(|()| out.flush());
                return ExitCode::SUCCESS;
            }
            Self::Clap(error) => {
                let _closed = write!(err, "{error}");
                print_json(json, &usage_error(&error), out);
                return ExitCode::from(WRONG_USAGE);
            }
            // Whoever reads has read enough: `vswitch port show | head -1`.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Output(error) => ApiError::new(ErrorCode::Kernel, Self::Output(error).to_string()),
            Self::Api(error) => error,
        };
        let _closed = writeln!(err, "vswitch: {error}");
        let status = if error.code == ErrorCode::Usage { WRONG_USAGE } else { FAILED };
        print_json(json, &error, out);
        ExitCode::from(status)
    }
}

/// The first line of what clap says: it holds the argument and the cause.
fn usage_error(error: &clap::Error) -> ApiError {
    let text = error.to_string();
    let message = text.lines().find_map(|line| line.strip_prefix("error: "));
    ApiError::new(ErrorCode::Usage, message.unwrap_or("no command: see `vswitch --help`"))
}

fn print_json(json: bool, error: &ApiError, out: &mut dyn Write) {
    if json {
        let body = ErrorBody { error: error.clone() };
        if let Ok(text) = serde_json::to_string(&body) {
            let _closed = writeln!(out, "{text}").and_then(|()| out.flush());
        }
    }
}
