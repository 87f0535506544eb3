//! The rules of all gateways: one nftables table of our own, replaced as a whole by one transaction.
//!
//! So there is no moment without rules, and nothing of anybody else's is read or written. The table stays when the
//! controller leaves, and connections that are under way do not notice its replacement: what was decided about them is in
//! conntrack. Chains have the usual priorities; what another table drops stays dropped, and what we accept another may drop.

mod expression;
mod rules;
mod survey;

use std::io;
use std::process::Stdio;

use nftables::schema::Nftables;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub use rules::{Side, remove, replace};
pub use survey::{Obstacle, Passage, keeps_apart, survey};

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum NatError {
    /// No program for it.
    #[error("nft is not installed, which networks with a subnet need: install the package nftables")]
    NoNft,
    /// The program does not run.
    #[error("cannot run nft")]
    Run(#[source] io::Error),
    /// The kernel or nft refuses the rules.
    #[error("nft refuses the rules: {0}")]
    Refused(String),
}

/// A table as nft lists it, handles included; none if there is none of the name.
///
/// # Errors
/// [`NatError::NoNft`], [`NatError::Run`].
pub async fn list(table: &str) -> Result<Option<String>, NatError> {
    let mut command = Command::new("nft");
    command.args(["-j", "list", "table", "inet", table]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().await.map_err(not_run)?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn not_run(error: io::Error) -> NatError {
    match error.kind() {
        io::ErrorKind::NotFound => NatError::NoNft,
        _ => NatError::Run(error),
    }
}

/// Carries out a transaction.
///
/// # Errors
/// [`NatError`]; then nothing was changed.
pub async fn apply(transaction: &Nftables<'_>) -> Result<(), NatError> {
    let text = serde_json::to_vec(transaction).map_err(|error| NatError::Run(error.into()))?;
    run(&["-j", "-f", "-"], Some(&text)).await.map(drop)
}

/// What nft prints.
async fn run(arguments: &[&str], input: Option<&[u8]>) -> Result<Vec<u8>, NatError> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut nft = command.spawn().map_err(not_run)?;
    if let (Some(mut stdin), Some(input)) = (nft.stdin.take(), input) {
        // If it ends before it has read all, it says why.
        let _broken = stdin.write_all(input).await;
    }
    let output = nft.wait_with_output().await.map_err(NatError::Run)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(NatError::Refused(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
