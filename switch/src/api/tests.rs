//! The server and the client, end to end over a socket in a temporary folder, with a loop that answers by heart.

mod mapping;
mod place;
mod refusals;
mod streams;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::handle::Handle;
use super::server::{Bounds, serve};
use super::socket::ControlSocket;
use super::types::{Request, samples};

/// Asked for the counters of this link, the loop never answers.
const STUCK_LINK: &str = "stuck";

/// A server with a loop behind it that answers every request and remembers it.
pub(crate) struct Fixture {
    _folder: TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) handle: Handle,
    asked: Arc<Mutex<Vec<Request>>>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(Bounds::default()).await
    }

    async fn with(bounds: Bounds) -> Self {
        let (handle, mut calls) = Handle::new();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let remembered = asked.clone();
        tokio::spawn(async move {
            let mut stuck = Vec::new();
            while let Some(call) = calls.recv().await {
                if matches!(&call.request, Request::Stats { link: Some(link) } if link == STUCK_LINK) {
                    stuck.push(call);
                    continue;
                }
                let answer = samples::reply_to(&call.request);
                remembered.lock().expect("no panic while it is held").push(call.request);
                let _caller_gone = call.reply.send(Ok(answer));
            }
        });
        let folder = TempDir::new().expect("a temporary folder");
        let socket = folder.path().join("vswitch.sock");
        let control = ControlSocket::bind(&socket).await.expect("a free place");
        let (stop, stopped) = watch::channel(false);
        let server = tokio::spawn(serve(control, handle.clone(), bounds, stopped));
        Self { _folder: folder, socket, handle, asked, stop, server }
    }

    /// The requests that reached the loop.
    fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("no panic while it is held").clone()
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(&self.socket).await.expect("the server listens")
    }

    /// Sends one request and gives back status and JSON body.
    async fn ask(&self, method: &str, target: &str, body: &str) -> (u16, Value) {
        let mut stream = self.connect().await;
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .expect("an answer in time")
            .expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status line");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }
}
