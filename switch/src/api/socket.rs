//! The control socket as a file: made so that it is never reachable with the wrong mode, never taken from a living
//! controller, and removed only by whoever made it.
//!
//! The socket is bound in a private folder beside its place, given owner and mode, and renamed into place: connecting
//! works from the rename on, and whoever renames wins. Controllers that start at once are kept apart by a lock on the
//! parent folder, which leaves no file behind.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Group;
use tokio::net::{UnixListener, UnixStream};

use super::error::{ApiError, ErrorCode};

/// Members of this group may use the control socket; without the group only root may.
pub const SOCKET_GROUP: &str = "vswitch";

/// Who may connect to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner, and the members of [`SOCKET_GROUP`].
    Group,
    /// Root alone.
    Owner,
}

impl Access {
    /// Reading and writing, which for a socket is connecting.
    fn mode(self) -> u32 {
        match self {
            Self::Group => 0o660,
            Self::Owner => 0o600,
        }
    }
}

/// How long another process may hold the parent folder's lock, and how often to look.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// How long a controller that may be there has to accept a connection.
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// A listening control socket; dropping it removes the file, unless another one stands there by then.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
    gid: u32,
}

impl ControlSocket {
    /// [`ControlSocket::bind_for`] the group too.
    ///
    /// # Errors
    /// As there.
    pub async fn bind(path: &Path) -> Result<Self, ApiError> {
        Self::bind_for(path, Access::Group).await
    }

    /// Makes the socket, and its folder where that is missing. A socket that nobody answers at is replaced.
    ///
    /// # Errors
    /// `already-running` when a controller answers there, `invalid-argument` when something else is in the place,
    /// `kernel` when a step fails.
    pub async fn bind_for(path: &Path, access: Access) -> Result<Self, ApiError> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        fs::create_dir_all(&parent).map_err(|e| failed(path, "cannot make its folder", &e))?;
        let _lock = lock(&parent, path).await?;
        refuse_if_taken(path).await?;
        let private = PrivateFolder::make(path, &parent)?;
        let bound = private.socket();
        let listener = UnixListener::bind(&bound).map_err(|e| failed(path, "cannot listen", &e))?;
        let group = Group::from_name(SOCKET_GROUP).ok().flatten();
        if let Some(group) = group.filter(|_| access == Access::Group) {
            chown(&bound, None, Some(group.gid.as_raw()))
                .map_err(|e| failed(path, "cannot set its group", &e))?;
        }
        fs::set_permissions(&bound, Permissions::from_mode(access.mode()))
            .map_err(|e| failed(path, "cannot set its mode", &e))?;
        let made = fs::symlink_metadata(&bound).map_err(|e| failed(path, "cannot read its owner", &e))?;
        fs::rename(&bound, path).map_err(|e| failed(path, "cannot put it in place", &e))?;
        Ok(Self { listener, path: path.to_path_buf(), identity: (made.dev(), made.ino()), gid: made.gid() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The group that owns the socket now: an administrator may change it while the controller runs.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.own_file().map_or(self.gid, |file| file.gid())
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    /// What accept(2) says, such as too many open files.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _address)| stream)
    }

    fn own_file(&self) -> Option<fs::Metadata> {
        let file = fs::symlink_metadata(&self.path).ok()?;
        ((file.dev(), file.ino()) == self.identity).then_some(file)
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        if self.own_file().is_some() {
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

async fn lock(folder: &Path, path: &Path) -> Result<Flock<File>, ApiError> {
    let mut file = File::open(folder).map_err(|e| failed(path, "cannot open its folder", &e))?;
    for _ in 0..LOCK_TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, nix::errno::Errno::EWOULDBLOCK)) => file = back,
            Err((_, errno)) => return Err(failed(path, "cannot lock its folder", &errno.into())),
        }
        tokio::time::sleep(LOCK_PAUSE).await;
    }
    Err(ApiError::new(
        ErrorCode::AlreadyRunning,
        format!(
            "{}: another process keeps {} locked: is a controller starting there?",
            path.display(),
            folder.display()
        ),
    ))
}

/// Whether the place is free: nothing there, or a socket that refuses connections.
async fn refuse_if_taken(path: &Path) -> Result<(), ApiError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "cannot look at it", &error)),
        Ok(file) if !file.file_type().is_socket() => {
            return Err(ApiError::new(
                ErrorCode::InvalidArgument,
                format!(
                    "{}: is in the way and is no socket: name another path with --socket or --docker-plugin",
                    path.display()
                ),
            ));
        }
        Ok(_) => {}
    }
    // Refused is the only sure sign that nobody listens; a full queue or a timeout is a living, busy controller.
    match tokio::time::timeout(PROBE_LIMIT, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(ApiError::new(
            ErrorCode::AlreadyRunning,
            format!(
                "{}: a controller answers there already: stop it, or give this one its own --socket, --state-dir, --bpffs and --docker-plugin",
                path.display()
            ),
        )),
    }
}

/// A folder that only this user can enter, beside the socket's place; removed when dropped.
struct PrivateFolder(PathBuf);

impl PrivateFolder {
    fn make(path: &Path, parent: &Path) -> Result<Self, ApiError> {
        let name = path.file_name().ok_or_else(|| {
            ApiError::new(
                ErrorCode::InvalidArgument,
                format!("{}: is no file name: name a path that has one", path.display()),
            )
        })?;
        let folder = parent.join(format!(".{}.new", name.to_string_lossy()));
        // Left by a controller that was killed between two steps; only our own folder is entered and cleared.
        let left = fs::symlink_metadata(&folder).ok();
        if left.is_some_and(|left| left.is_dir() && left.uid() == nix::unistd::geteuid().as_raw()) {
            drop(Self(folder.clone()));
        }
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.map_err(|e| failed(path, "cannot make a folder beside it", &e))?;
        Ok(Self(folder))
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _moved_away = fs::remove_file(self.socket());
        let _not_empty = fs::remove_dir(&self.0);
    }
}

fn failed(path: &Path, step: &str, error: &io::Error) -> ApiError {
    let (code, remedy) = match error.kind() {
        io::ErrorKind::PermissionDenied => (ErrorCode::PermissionDenied, "run as root, or name another path"),
        io::ErrorKind::InvalidInput => (ErrorCode::InvalidArgument, "name a shorter path"),
        _ => (ErrorCode::Kernel, "mend that, or name another path"),
    };
    ApiError::new(code, format!("socket {}: {step}: {error}: {remedy}", path.display()))
}
