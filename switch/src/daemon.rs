//! The controller as a process: opens the control socket, says that it is ready, serves until it is told to stop.

use std::io::{self, Write as _};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::api::error::{ApiError, ErrorCode};
use crate::api::handle::{Call, Handle};
use crate::api::server::{Bounds, serve};
use crate::api::socket::ControlSocket;
use crate::api::types::Done;
use crate::config::{Config, Paths};

/// Runs the controller until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start; an [`ApiError`] inside where the user can do something about it.
pub fn run(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("async runtime")?;
    runtime.block_on(serve_until_told(config))
}

/// Removes what vswitch made while no controller runs.
///
/// # Errors
/// `not-running`: only a running controller can do it as yet.
pub fn teardown_offline(paths: &Paths) -> Result<Done, ApiError> {
    let path = paths.socket.display();
    let message = format!("no controller answers at {path}: start one with `vswitch run`, then tear it down");
    Err(ApiError::new(ErrorCode::NotRunning, message))
}

async fn serve_until_told(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let socket = ControlSocket::bind(&config.paths.socket).await?;
    let (handle, mut calls) = Handle::new();
    let (stop, stopped) = watch::channel(false);
    let server = tokio::spawn(serve(socket, handle, Bounds::default(), stopped));
    let mut out = io::stdout();
    writeln!(out, "ready {}", config.paths.socket.display())
        .and_then(|()| out.flush())
        .context("standard output")?;
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        warn!(%error, "systemd cannot be told that the controller is ready");
    }
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) => answer(call),
                None => break,
            },
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    info!("told to stop");
    stop.send_replace(true);
    server.await.context("control socket's server")
}

fn answer(call: Call) {
    let refusal = ApiError::new(
        ErrorCode::Unsupported,
        "the controller's loop is not part of this build",
    );
    let _caller_gone = call.reply.send(Err(refusal));
}
