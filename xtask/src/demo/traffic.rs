//! What the hosts send each other: pings, and a file by netcat that must arrive unchanged.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::stage::Host;
use crate::process::{read, shown};

const PORT: &str = "5000";

/// Large enough for segmentation offload to matter.
const FILE_BYTES: u64 = 32 << 20;

/// Seconds a transfer may take before `timeout` ends it.
const LIMIT_S: &str = "30";

/// Three pings; all must be answered within five seconds.
pub(super) fn ping(from: &Host, to: &Host) -> Command {
    let mut command = from.command("ping");
    command.args(["-q", "-c", "3", "-i", "0.2", "-w", "5", &to.address()]);
    command
}

/// A file of random bytes.
pub(super) fn make_file(path: &Path) -> Result<()> {
    let write = || -> std::io::Result<u64> {
        std::io::copy(&mut File::open("/dev/urandom")?.take(FILE_BYTES), &mut File::create(path)?)
    };
    write().map(|_| ()).with_context(|| format!("cannot fill {}", path.display()))
}

/// Sends `file` over TCP and compares the SHA-256 of what arrives, written to `received`.
pub(super) fn send_file(from: &Host, to: &Host, file: &Path, received: &Path) -> Result<()> {
    let mut receive = to.command("timeout");
    receive.args([LIMIT_S, "nc", "-d", "-l", &to.address(), PORT]);
    println!("$ {} > {} &", shown(&receive), received.display());
    let output = File::create(received).with_context(|| format!("cannot write {}", received.display()))?;
    let mut receiver = receive.stdin(Stdio::null()).stdout(output).spawn().context("cannot start nc")?;

    let sent = wait_for_listener(to).and_then(|()| {
        let mut send = from.command("timeout");
        send.args([LIMIT_S, "nc", "-N", &to.address(), PORT]);
        println!("$ {} < {}", shown(&send), file.display());
        let input = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
        let status = send.stdin(input).stdout(Stdio::null()).status().context("cannot start nc")?;
        if status.success() { Ok(()) } else { bail!("{} failed: {status}", shown(&send)) }
    });
    if sent.is_err() {
        // It may have ended by itself.
        let _ = receiver.kill();
    }
    let status = receiver.wait().context("cannot wait for nc")?;
    sent?;
    if !status.success() {
        bail!("{} failed: {status}", shown(&receive));
    }
    compare(file, received)
}

fn wait_for_listener(host: &Host) -> Result<()> {
    let start = Instant::now();
    let filter = format!("sport = :{PORT}");
    while read(host.command("ss").args(["-H", "-l", "-t", "-n", &filter]))?.is_empty() {
        if start.elapsed() > Duration::from_secs(5) {
            bail!("nc does not listen on port {PORT}");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn compare(file: &Path, received: &Path) -> Result<()> {
    let sums = read(Command::new("sha256sum").arg(file).arg(received))?;
    let sums: Vec<&str> = sums.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let bytes = fs::metadata(received).context("cannot look at the file received")?.len();
    let [sent, arrived] = sums[..] else { bail!("sha256sum names two files") };
    if sent != arrived {
        bail!("{FILE_BYTES} bytes were sent with SHA-256 {sent}, {bytes} bytes arrived with {arrived}");
    }
    println!("{bytes} bytes arrived unchanged, SHA-256 {sent}");
    Ok(())
}
