//! The control API: HTTP and JSON on a Unix socket.

pub mod types;
