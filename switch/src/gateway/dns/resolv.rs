//! The host's name servers, as its resolv.conf says (resolv.conf(5)).
//!
//! A file that names no server is one that somebody is writing, has emptied or has removed: the servers of before stay, as
//! the best that is known. While nobody follows the file (`follow`), it is looked at with each question.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

/// Servers of the file that count (`MAXNS` of resolv.h).
const SERVERS_MOST: usize = 3;

/// Octets of the file that are read; three servers stand at its head.
const FILE_BYTES: u64 = 65_536;

const DNS_PORT: u16 = 53;

/// The file, and what it said last.
#[derive(Debug)]
pub(super) struct Resolv {
    path: PathBuf,
    /// Whether somebody looks whenever it changes.
    is_followed: AtomicBool,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    /// Which file was read: device, inode, time of change, length.
    file: Option<(u64, u64, i64, i64, u64)>,
    /// What it said, or the last that said something.
    servers: Vec<SocketAddr>,
}

impl Resolv {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, is_followed: AtomicBool::new(false), read: Mutex::default() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Says whether [`Resolv::look`] is called upon each change, so that nobody need look with a question.
    pub(super) fn set_followed(&self, is_followed: bool) {
        self.is_followed.store(is_followed, Ordering::Release);
    }

    /// The servers now, in the file's order.
    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        if !self.is_followed.load(Ordering::Acquire) && self.lock().file != identity(&self.path) {
            self.look();
        }
        self.lock().servers.clone()
    }

    /// Reads the file, also one that seems to be the same: two changes may have one time and one length.
    pub(super) fn look(&self) {
        let file = identity(&self.path);
        let text = read(&self.path);
        let found = servers(&text);
        let mut read = self.lock();
        if found.is_empty() && !read.servers.is_empty() && read.file != file {
            tracing::info!(file = %self.path.display(), kept = ?read.servers, "names no server: the last ones stay");
        } else if !found.is_empty() && found != read.servers {
            tracing::info!(file = %self.path.display(), servers = ?found, "other names are asked of these");
            read.servers = found;
        }
        read.file = file;
    }

    fn lock(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What tells one state of a file from another, nearly always.
fn identity(path: &Path) -> Option<(u64, u64, i64, i64, u64)> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.mtime(), file.mtime_nsec(), file.len()))
}

/// The file's text; none of what cannot be read, or is no file and might keep the reader waiting.
fn read(path: &Path) -> String {
    let mut octets = Vec::new();
    if fs::metadata(path).is_ok_and(|file| file.is_file())
        && let Ok(file) = File::open(path)
    {
        let _as_far_as_it_went = file.take(FILE_BYTES).read_to_end(&mut octets);
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// `nameserver ADDRESS` lines; others, and addresses with a zone, are passed over.
fn servers(text: &str) -> Vec<SocketAddr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let is_server = words.next()? == "nameserver";
        let ip: IpAddr = words.next().filter(|_| is_server)?.parse().ok()?;
        Some(SocketAddr::new(ip, DNS_PORT))
    };
    text.lines().filter_map(address).take(SERVERS_MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(servers: &[SocketAddr]) -> Vec<String> {
        servers.iter().map(|server| server.ip().to_string()).collect()
    }

    #[test]
    fn three_servers_of_the_file_count() {
        let text = "# nameserver 9.9.9.9\nsearch example.org\nnameserver 192.0.2.1\n nameserver\t2001:db8::1 \n\
                    nameserver fe80::1%eth0\nnameserver\nnameserver 192.0.2.2\nnameserver 192.0.2.3\n";
        assert_eq!(ips(&servers(text)), ["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
    }

    #[test]
    fn what_is_no_address_is_no_server() {
        for text in [
            "",
            "\0\0\0",
            "nameserver",
            "nameserver 192.0.2",
            "nameserver one.example",
            "nameserver 192.0.2.1.7",
            "nameserver=192.0.2.1",
            "Nameserver 192.0.2.1",
            "; nameserver 192.0.2.1",
            "options nameserver 192.0.2.1",
        ] {
            assert!(servers(text).is_empty(), "{text:?}");
        }
        assert_eq!(ips(&servers("nameserver 192.0.2.1 # ours\r\n")), ["192.0.2.1"]);
    }

    #[test]
    fn a_file_that_nobody_follows_is_looked_at_with_each_question() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let resolv = Resolv::new(path.clone());
        assert!(resolv.servers().is_empty());
        for ip in ["192.0.2.1", "192.0.2.77"] {
            let other = folder.path().join("new");
            fs::write(&other, format!("nameserver {ip}\n")).expect("written");
            fs::rename(&other, &path).expect("replaced");
            assert_eq!(ips(&resolv.servers()), [ip]);
        }
        resolv.set_followed(true);
        fs::write(&path, "nameserver 192.0.2.3\n").expect("written");
        assert_eq!(ips(&resolv.servers()), ["192.0.2.77"], "whoever follows will say");
    }

    #[test]
    fn a_file_that_names_no_server_leaves_the_last_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("resolv.conf");
        let resolv = Resolv::new(path.clone());
        fs::write(&path, "nameserver 192.0.2.1\n").expect("written");
        resolv.look();
        for text in ["", "nameser", "\u{0}\u{1}nonsense\n", "search example.org\n"] {
            fs::write(&path, text).expect("written");
            resolv.look();
            assert_eq!(ips(&resolv.servers()), ["192.0.2.1"], "{text:?}");
        }
        fs::remove_file(&path).expect("removed");
        assert_eq!(ips(&resolv.servers()), ["192.0.2.1"]);
        // What might make the reader wait for ever.
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
        assert_eq!(ips(&resolv.servers()), ["192.0.2.1"]);
        fs::remove_file(&path).expect("removed");
        fs::write(&path, "nameserver 192.0.2.2\n").expect("written");
        assert_eq!(ips(&resolv.servers()), ["192.0.2.2"]);
    }
}
