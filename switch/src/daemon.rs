//! The controller as a process: opens data path, state and control socket, says that it is ready, serves until it is told
//! to stop. The data path goes on without it.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use nix::mount::{MsFlags, mount};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};
use vswitch_common::event::{Notice, PuntRecord, Snoop};

use crate::api::error::{ApiError, ErrorCode};
use crate::api::handle::Handle;
use crate::api::server::{Bounds, serve};
use crate::api::socket::{Access, ControlSocket};
use crate::api::types::{self, Done, Event};
use crate::config::{Config, Paths, TcAttach};
use crate::controller::state::State;
use crate::controller::store::Store;
use crate::controller::view::View;
use crate::controller::{Controller, Ended, Open, Sources};
use crate::datapath::{Bpf, DatapathError, Rings, Settings, TcMode, events};
use crate::docker;
use crate::error::chain;
use crate::netlink::Netlink;
use crate::netlink::monitor::Monitor;

/// Notices and punts that may wait for the loop; what comes beyond stays in the kernel's rings.
const QUEUE: usize = 1_024;

/// The usual place of the BPF file system.
const BPFFS: &str = "/sys/fs/bpf";

/// Runs the controller until SIGTERM or SIGINT, or until it is torn down.
///
/// # Errors
/// When it cannot start; an [`ApiError`] inside where the user can do something about it.
pub fn run(config: Config) -> anyhow::Result<()> {
    runtime()?.block_on(serve_until_told(config))
}

/// Removes what vswitch made while no controller runs.
///
/// # Errors
/// When there is nothing of the kind, another controller has it, or the kernel refuses.
pub fn teardown_offline(paths: &Paths) -> Result<Done, ApiError> {
    if !paths.bpffs.exists() && !paths.state_dir.exists() {
        let message = format!(
            "no controller answers at {}, and there is nothing to remove under {} and {}",
            paths.socket.display(),
            paths.bpffs.display(),
            paths.state_dir.display()
        );
        return Err(ApiError::new(ErrorCode::NotRunning, message));
    }
    let config = Config { paths: paths.clone(), ..Config::default() };
    let runtime = runtime().map_err(|error| ApiError::internal(format!("{error:#}")))?;
    runtime.block_on(async {
        let (handle, _calls) = Handle::new();
        let (controller, _rings) = open(&config, handle, Arc::default()).await?;
        let done = controller.tear_down_now().await?;
        // A killed controller leaves its socket behind; that nobody answers there was found out before.
        let _gone = std::fs::remove_file(&paths.socket);
        Ok(done)
    })
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("async runtime")
}

async fn serve_until_told(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let socket = ControlSocket::bind(&config.paths.socket).await?;
    let (handle, calls) = Handle::new();
    let view = Arc::<View>::default();
    let netlink = Netlink::open().context("netlink")?;
    let monitor = Monitor::open(&netlink).await.context("netlink")?;
    let (mut controller, rings) = open(&config, handle.clone(), Arc::clone(&view)).await?;
    let (stop_loop, stop) = mpsc::channel(1);
    let (punts, notices, snoops) = read_rings(rings, handle.clone(), view);
    let (stop_server, stopped) = watch::channel(false);
    let plugin = match &config.docker_plugin {
        Some(path) => {
            let socket = ControlSocket::bind_for(path, Access::Owner).await?;
            let engine = config.docker_engine.clone();
            Some(tokio::spawn(docker::serve(socket, handle.clone(), engine, stopped.clone())))
        }
        None => None,
    };
    let server = tokio::spawn(serve(socket, handle, Bounds::default(), stopped));
    let sources = Sources { calls, monitor, notices, punts, snoops, stop };
    let mut served = tokio::spawn(async move { controller.run(sources).await });
    say_ready(&config)?;
    let ended = tokio::select! {
        ended = &mut served => ended.context("the controller's loop")?,
        _ = terminate.recv() => stop_and_join(stop_loop, served).await?,
        _ = interrupt.recv() => stop_and_join(stop_loop, served).await?,
    };
    match &ended {
        Ended::Left => {
            let _nobody_asks = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
            info!("leaving; the data path goes on");
        }
        Ended::TornDown => info!("everything that vswitch made is removed"),
        Ended::HandedOver(binary) => info!(binary = %binary.display(), "handing over"),
    }
    stop_server.send_replace(true);
    if let Some(plugin) = plugin {
        plugin.await.context("Docker plugin's server")?;
    }
    server.await.context("control socket's server")?;
    match ended {
        Ended::HandedOver(binary) => become_successor(&binary),
        Ended::Left | Ended::TornDown => Ok(()),
    }
}

/// Runs the binary in place of this one, with the same arguments and environment, under the same process number. Files are
/// closed on the way, and with them the lock on the state folder is left.
fn become_successor(binary: &Path) -> anyhow::Result<()> {
    let error = std::process::Command::new(binary).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot run {}: start it by hand; the ports go on", binary.display()))
}

async fn stop_and_join(
    stop: mpsc::Sender<()>,
    served: tokio::task::JoinHandle<Ended>,
) -> anyhow::Result<Ended> {
    let _ended_already = stop.send(()).await;
    served.await.context("the controller's loop")
}

/// Says on standard output and to systemd that requests are served.
fn say_ready(config: &Config) -> anyhow::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "ready {}", config.paths.socket.display())
        .and_then(|()| out.flush())
        .context("standard output")?;
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        warn!(%error, "systemd cannot be told that the controller is ready");
    }
    Ok(())
}

/// Opens state and data path and brings every port about.
async fn open(config: &Config, handle: Handle, view: Arc<View>) -> Result<(Controller, Rings), ApiError> {
    let of_store = |error| ApiError::new(ErrorCode::State, chain(&error));
    let store = Store::open(&config.paths.state_dir).map_err(of_store)?;
    let mut state = store.load().map_err(of_store)?.unwrap_or_default();
    mount_bpffs(&config.paths.bpffs, &mut state)?;
    let settings = Settings {
        pins: config.paths.bpffs.clone(),
        fdb_dynamic: config.limits.fdb_entries,
        station_moves: config.limits.station_moves,
        tc_mode: match config.tc_attach {
            TcAttach::Auto => None,
            TcAttach::Tcx => Some(TcMode::Tcx),
            TcAttach::Clsact => Some(TcMode::Clsact),
        },
    };
    let (datapath, rings, adopted) = Bpf::open(&settings).map_err(|error| not_opened(&error))?;
    let netlink = Netlink::open().map_err(|error| ApiError::new(ErrorCode::Kernel, chain(&error)))?;
    let show = |path: &Path| path.display().to_string();
    let paths = types::Paths {
        socket: show(&config.paths.socket),
        state_dir: show(&config.paths.state_dir),
        bpffs: show(&config.paths.bpffs),
    };
    let open = Open {
        datapath: Box::new(datapath),
        adopted,
        netlink,
        store,
        state,
        handle,
        view,
        limits: config.limits,
        docker_user: config.docker_user,
        paths,
    };
    Ok((Controller::open(open).await?, rings))
}

fn not_opened(error: &DatapathError) -> ApiError {
    let code = match error {
        DatapathError::ForeignAbi { .. } => ErrorCode::State,
        _ => ErrorCode::Kernel,
    };
    let remedy = match error.errno() {
        Some(libc::EPERM) => ": run vswitch as root, or with CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN",
        Some(libc::EINVAL | libc::ENOSYS) => ": vswitch needs Linux 5.18 or later, with CONFIG_BPF_SYSCALL",
        _ => "",
    };
    ApiError::new(code, format!("{}{remedy}", chain(error)))
}

/// Mounts a bpffs where the pins are to be, unless there is one. Noted in the state, so that a teardown unmounts it.
fn mount_bpffs(pins: &Path, state: &mut State) -> Result<(), ApiError> {
    let existing = pins.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    if statfs(existing).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    let place = if pins.starts_with(BPFFS) { PathBuf::from(BPFFS) } else { pins.to_owned() };
    let failed = |error: &dyn std::error::Error| {
        let place = place.display();
        ApiError::new(
            ErrorCode::Kernel,
            format!(
                "cannot mount a bpffs at {place} ({error}): `mount -t bpf bpf {place}`, or give another --bpffs"
            ),
        )
    };
    std::fs::create_dir_all(&place).map_err(|error| failed(&error))?;
    mount(Some("bpf"), &place, Some("bpf"), MsFlags::empty(), None::<&str>)
        .map_err(|error| failed(&error))?;
    info!(path = %place.display(), "mounted a bpffs");
    state.mounted = Some(place);
    Ok(())
}

/// Reads the rings: notices become events for whoever watches, and what the loop needs goes to the loop.
fn read_rings(
    rings: Rings,
    handle: Handle,
    view: Arc<View>,
) -> (mpsc::Receiver<PuntRecord>, mpsc::Receiver<Notice>, mpsc::Receiver<Snoop>) {
    let (to_punts, punts) = mpsc::channel(QUEUE);
    let (to_loop, for_loop) = mpsc::channel(QUEUE);
    let (to_snoops, snoops) = mpsc::channel(QUEUE);
    let (to_notices, mut notices) = mpsc::channel::<Notice>(QUEUE);
    tokio::spawn(async move { log_end("punts", events::read_punts(rings.punts, to_punts).await) });
    tokio::spawn(async move { log_end("membership", events::read_snoops(rings.snoops, to_snoops).await) });
    tokio::spawn(async move { log_end("notices", events::read_notices(rings.events, to_notices).await) });
    tokio::spawn(async move {
        while let Some(notice) = notices.recv().await {
            if let Some(what) = view.event(&notice) {
                handle.publish(Event::now(what));
            } else {
                // A loop that is behind hears of the neighbour with its next packet, and of a quarantine with its next tick.
                let _later = to_loop.try_send(notice);
            }
        }
    });
    (punts, for_loop, snoops)
}

fn log_end(ring: &str, ended: io::Result<()>) {
    if let Err(error) = ended {
        warn!(ring, %error, "cannot read a ring any more");
    }
}
