//! A way past Docker's forward policy: dockerd makes the host's `FORWARD` chain drop what it did not expect, and a drop in
//! any table is final. For just this Docker has the chain `DOCKER-USER`, which it never changes and sends everything through.
//!
//! So a chain of our own is called from there, which accepts what comes from and goes to gateways of Docker's networks.
//! What may pass between networks our own table has decided by then; bridges of Docker's stay as closed as they were. Docker writes its
//! rules by `iptables`, so we do: both would be in one another's way in two dialects.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Where Docker lets others speak.
const USERS: &str = "DOCKER-USER";

/// How Docker's own bridges are called.
const BRIDGES: [&str; 2] = ["docker+", "br-+"];

/// The tools, one for each IP version.
pub const TOOLS: [&str; 2] = ["iptables", "ip6tables"];

/// Whether Docker's chain is there, and whether ours is called from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing of Docker's: nothing drops on its account.
    NoDocker,
    /// Docker's, without ours.
    Closed,
    /// Ours is called.
    Open,
}

/// What is there at the moment. A tool that is missing found nothing.
pub async fn look(tool: &str, chain: &str) -> Found {
    let Some(rules) = run(tool, &["-S", USERS], None).await else { return Found::NoDocker };
    let call = format!("-A {USERS} -j {chain}");
    if rules.lines().any(|line| line.trim() == call) { Found::Open } else { Found::Closed }
}

/// Lets traffic of these links pass.
///
/// # Errors
/// The step that the tool refused.
pub async fn open(tool: &str, chain: &str, links: &[String]) -> Result<(), PassageError> {
    let failed = |step| PassageError { tool: tool.to_owned(), step };
    let restore = format!("{tool}-restore");
    run(&restore, &["--noflush"], Some(&rules(chain, links)))
        .await
        .ok_or_else(|| failed("fill our chain"))?;
    if look(tool, chain).await == Found::Closed {
        let call = ["-I", USERS, "-j", chain];
        run(tool, &call, None).await.ok_or_else(|| failed("call our chain from DOCKER-USER"))?;
    }
    Ok(())
}

/// Takes our chain away, as far as it is there.
pub async fn close(tool: &str, chain: &str) {
    while look(tool, chain).await == Found::Open {
        if run(tool, &["-D", USERS, "-j", chain], None).await.is_none() {
            break;
        }
    }
    for step in ["-F", "-X"] {
        let _not_there = run(tool, &[step, chain], None).await;
    }
}

/// A step of a tool that failed.
#[derive(Debug, thiserror::Error)]
#[error("{tool}: cannot {step}: Docker's rules may drop what its vswitch networks send: see `{tool} -S`")]
pub struct PassageError {
    tool: String,
    step: &'static str,
}

/// All of our chain, whole: declaring it empties it first.
fn rules(chain: &str, links: &[String]) -> String {
    let mut text = format!("*filter\n:{chain} - [0:0]\n");
    for link in links {
        for bridge in BRIDGES {
            text += &format!("-A {chain} -i {link} -o {bridge} -j RETURN\n");
        }
        text += &format!("-A {chain} -i {link} -j ACCEPT\n-A {chain} -o {link} -j ACCEPT\n");
    }
    text + "COMMIT\n"
}

/// Output of a tool that succeeded.
async fn run(tool: &str, arguments: &[&str], input: Option<&str>) -> Option<String> {
    let mut command = Command::new(tool);
    // Docker may be writing at the same moment.
    command.arg("--wait").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.kill_on_drop(true).spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    stdin.write_all(input.unwrap_or_default().as_bytes()).await.ok()?;
    drop(stdin);
    let output = child.wait_with_output().await.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_chain_accepts_gateways_and_leaves_docker_s_bridges_closed() {
        let text = rules("VSWITCH", &["vsw2".to_owned()]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "*filter",
                ":VSWITCH - [0:0]",
                "-A VSWITCH -i vsw2 -o docker+ -j RETURN",
                "-A VSWITCH -i vsw2 -o br-+ -j RETURN",
                "-A VSWITCH -i vsw2 -j ACCEPT",
                "-A VSWITCH -o vsw2 -j ACCEPT",
                "COMMIT"
            ]
        );
    }
}
