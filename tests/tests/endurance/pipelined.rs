//! A client that keeps its connection and sends many requests before it reads an answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Requests sent at once.
pub(crate) const PIPELINED: u64 = 32;

/// The connection.
pub(crate) struct Pipelined(BufReader<UnixStream>);

impl Pipelined {
    pub(crate) fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the controller listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("the timeout is not zero");
        Self(BufReader::with_capacity(256 << 10, stream))
    }

    /// Asks the same [`PIPELINED`] times, and reads as many answers, each of which must be 200.
    pub(crate) fn ask(&mut self, target: &str) {
        let text = format!("GET {target} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(PIPELINED as usize);
        self.0.get_mut().write_all(text.as_bytes()).expect("the controller reads");
        let mut line = String::new();
        for _ in 0..PIPELINED {
            let mut length = 0;
            for number in 0.. {
                line.clear();
                self.0.read_line(&mut line).expect("an answer");
                assert!(number > 0 || line.starts_with("HTTP/1.1 200"), "{line}");
                length = line
                    .strip_prefix("content-length: ")
                    .map_or(length, |n| n.trim().parse().expect("a number"));
                if line == "\r\n" {
                    break;
                }
            }
            std::io::copy(&mut self.0.by_ref().take(length), &mut std::io::sink())
                .expect("the answer's body");
        }
    }
}
