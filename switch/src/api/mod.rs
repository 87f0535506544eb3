//! The control API: HTTP and JSON on a Unix socket.
//!
//! Reading order: what is said (`types`, `error`), how it travels (`wire`), then the two ends: `server` with its `routes`
//! hands requests to the controller's loop by a `handle`, `client` is what the CLI uses.

pub mod error;
pub mod types;

pub mod wire;

pub mod handle;

pub mod peer;
pub mod socket;

mod events;
mod extract;
mod places;
mod routes;
pub mod server;

pub mod client;

mod sys;

#[cfg(test)]
pub(crate) mod tests;
