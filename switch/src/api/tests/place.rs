//! The socket's file: its mode, whose place it takes, and what it leaves.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use tempfile::TempDir;

use super::super::error::ErrorCode;
use super::super::socket::ControlSocket;

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("the folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn the_socket_is_for_owner_and_group_and_goes_with_its_controller() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("made/for/it/vswitch.sock");
    let socket = ControlSocket::bind(&path).await.expect("a free place");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o7777, 0o660);
    assert_eq!(socket.gid(), fs::metadata(&path).expect("a file").gid());
    drop(socket);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_stale_socket_and_what_a_killed_start_left_are_replaced() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.sock");
    drop(UnixListener::bind(&path).expect("a socket nobody will answer at"));
    fs::create_dir(folder.path().join(".vswitch.sock.new")).expect("a folder left behind");
    drop(UnixListener::bind(folder.path().join(".vswitch.sock.new/s")).expect("a socket left behind"));
    let _socket = ControlSocket::bind(&path).await.expect("the stale socket's place");
    assert_eq!(names(&folder), ["vswitch.sock"]);
}

#[tokio::test]
async fn a_living_controller_keeps_its_socket() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.sock");
    let _first = ControlSocket::bind(&path).await.expect("a free place");
    let error = ControlSocket::bind(&path).await.expect_err("the place is taken");
    assert_eq!(error.code, ErrorCode::AlreadyRunning);
    assert!(error.message.contains("vswitch.sock") && error.message.contains("--socket"), "{error}");
    assert_eq!(names(&folder), ["vswitch.sock"]);
}

#[tokio::test]
async fn of_two_controllers_that_start_at_once_one_gets_the_socket() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.sock");
    let (first, second) = tokio::join!(ControlSocket::bind(&path), ControlSocket::bind(&path));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("notes.txt");
    fs::write(&path, "mine").expect("a file");
    let error = ControlSocket::bind(&path).await.expect_err("something is in the way");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert_eq!(fs::read_to_string(&path).expect("still there"), "mine");
}

#[tokio::test]
async fn a_controller_does_not_remove_the_socket_of_its_successor() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vswitch.sock");
    let first = ControlSocket::bind(&path).await.expect("a free place");
    fs::remove_file(&path).expect("an administrator removes it");
    let _second = ControlSocket::bind(&path).await.expect("a free place");
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn a_path_too_long_for_a_socket_is_refused_with_the_remedy() {
    let folder = TempDir::new().expect("a temporary folder");
    let error = ControlSocket::bind(&folder.path().join("s".repeat(120))).await.expect_err("too long");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(error.message.contains("shorter"), "{error}");
    assert!(names(&folder).is_empty());
}
