//! `cargo xtask verifier --kernel SERIES`: the data path on an older kernel, Debian's, in an emulated machine.
//!
//! The machine has nothing but busybox, iproute2, ping and vswitch. It loads the programs, pings across two veth ports at tc
//! (clsact, for there is no tcx before Linux 6.6) and at XDP, traces a frame, and takes all of it down again. Without what it
//! needs it is skipped, and says so. It is emulated, not virtualised: a few minutes, but the same everywhere.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::build;
use crate::process::run as run_command;

/// What the machine does.
const INIT: &str = include_str!("init.sh");
/// Kernel modules that it needs.
const MODULES: [&str; 3] = ["veth", "cls_bpf", "sch_ingress"];
/// What it must have said, in any order.
const STEPS: [&str; 7] = ["LOAD 0", "ADD 0", "PING-TC 0", "XDP 0", "PING-XDP 0", "TRACE 0", "TEARDOWN 0"];
/// Longest that it may take.
const LIMIT: Duration = Duration::from_secs(1_200);
const EMULATOR: &str = "qemu-system-x86_64";

/// Boots the newest kernel of a series, like `6.1`.
pub(super) fn run(series: &str) -> Result<()> {
    for tool in [EMULATOR, "busybox", "ip", "ping", "apt-cache", "apt-get", "dpkg-deb", "strip"] {
        if find(tool).is_none() {
            println!("verifier: skipped kernel {series}: there is no {tool} on this machine");
            return Ok(());
        }
    }
    let Some(package) = newest(series)? else {
        println!("verifier: skipped kernel {series}: apt knows no linux-image-{series}…-amd64");
        return Ok(());
    };
    let folder = build::target_dir().join(format!("kernel-{series}"));
    fs::create_dir_all(&folder)?;
    unpack(&folder, &package)?;
    let binary = build::binary(false)?;
    let root = furnish(&folder, &binary)?;
    let archive = "cd \"$0\" && busybox find . | busybox cpio -o -H newc 2> /dev/null > ../initrd";
    run_command(Command::new("busybox").args(["sh", "-c", archive]).arg(&root))?;
    println!("verifier: {package} in {EMULATOR}, some minutes");
    let said = boot(&folder)?;
    judge(&said)
}

fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.exists())
}

/// The series' newest package for servers, by its version's numbers.
fn newest(series: &str) -> Result<Option<String>> {
    let listed = Command::new("apt-cache").args(["pkgnames", &format!("linux-image-{series}.")]).output()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    let numbers = |name: &str| -> Option<Vec<u32>> {
        let version = name.strip_prefix("linux-image-")?.strip_suffix("-amd64")?;
        version.split(['.', '-']).map(|number| number.parse().ok()).collect()
    };
    let named = text.lines().filter_map(|name| Some((numbers(name)?, name)));
    Ok(named.max().map(|(_, name)| name.to_owned()))
}

/// Downloads the package, once, and takes it apart beside everything that is installed.
fn unpack(folder: &Path, package: &str) -> Result<()> {
    let unpacked = folder.join(package);
    if unpacked.exists() {
        return Ok(());
    }
    run_command(
        Command::new("apt-get").args(["--quiet", "--quiet", "download", package]).current_dir(folder),
    )?;
    let files = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let is_it = |file: &PathBuf| {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.starts_with(&format!("{package}_"))
    };
    let file = files.into_iter().find(is_it).context("apt-get downloads into the working folder")?;
    run_command(Command::new("dpkg-deb").arg("-x").arg(&file).arg(&unpacked))?;
    for old in ["vmlinuz", "modules"] {
        let _none = fs::remove_file(folder.join(old));
    }
    Ok(std::os::unix::fs::symlink(&unpacked, folder.join("modules"))?)
}

/// The machine's files: programs with their libraries, modules, and what it does.
fn furnish(folder: &Path, binary: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for place in ["bin", "sbin", "modules", "proc", "sys", "dev", "run", "tmp", "etc", "var/lib"] {
        fs::create_dir_all(root.join(place))?;
    }
    let tool = |name| find(name).context("it was there a moment ago");
    let programs = [
        (tool("busybox")?, "bin/busybox"),
        (tool("ip")?, "sbin/ip"),
        (tool("ping")?, "sbin/ping"),
        (tool("nft").unwrap_or(tool("ip")?), "bin/nft"),
    ];
    for (from, name) in programs {
        fs::copy(fs::canonicalize(&from)?, root.join(name))?;
        with_libraries(&from, &root)?;
    }
    run_command(Command::new("strip").arg("-g").arg(binary).arg("-o").arg(root.join("bin/vswitch")))?;
    with_libraries(binary, &root)?;
    let found = Command::new("find")
        .arg("-L")
        .arg(folder.join("modules/lib/modules"))
        .args(["-name", "*.ko"])
        .output()?;
    for module in String::from_utf8_lossy(&found.stdout).lines().map(Path::new) {
        if module.file_stem().is_some_and(|name| MODULES.iter().any(|wanted| name == *wanted)) {
            let name = module.file_name().context("a module has a name")?;
            fs::copy(module, root.join("modules").join(name))?;
        }
    }
    let init = root.join("init");
    fs::write(&init, INIT)?;
    fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
    Ok(root)
}

/// Copies the libraries that a program is linked with to where it looks for them.
fn with_libraries(program: &Path, root: &Path) -> Result<()> {
    let listed = Command::new("ldd").arg(program).stderr(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a library is in a folder")?)?;
        fs::copy(library, place)?;
    }
    Ok(())
}

/// Runs the machine and returns what it said.
fn boot(folder: &Path) -> Result<String> {
    let images = fs::read_dir(folder.join("modules/boot"))?.flatten().map(|entry| entry.path());
    let image = images
        .into_iter()
        .find(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz")))
        .context("a kernel package has a kernel")?;
    let log = folder.join("boot.log");
    let mut machine = Command::new(EMULATOR)
        .args(["-accel", "tcg", "-cpu", "max", "-m", "1024", "-nographic", "-no-reboot"])
        .arg("-kernel")
        .arg(&image)
        .arg("-initrd")
        .arg(folder.join("initrd"))
        .args(["-append", "console=ttyS0 panic=-1 quiet"])
        .stdin(Stdio::null())
        .stdout(fs::File::create(&log)?)
        .spawn()
        .with_context(|| format!("cannot start {EMULATOR}"))?;
    let start = Instant::now();
    while machine.try_wait()?.is_none() {
        if start.elapsed() > LIMIT {
            machine.kill()?;
            machine.wait()?;
            bail!("the machine did not end within {} s: see {}", LIMIT.as_secs(), log.display());
        }
        sleep(Duration::from_millis(500));
    }
    Ok(String::from_utf8_lossy(&fs::read(&log)?).into_owned())
}

/// Prints what the machine said of vswitch, and whether that is all it should have.
fn judge(said: &str) -> Result<()> {
    let begin = said.find("KERNEL ").context("the machine did not come up: see target/kernel-…/boot.log")?;
    let lines: Vec<&str> = said[begin..].lines().map(str::trim_end).collect();
    lines.iter().for_each(|line| println!("  {line}"));
    let missing: Vec<&str> = STEPS.into_iter().filter(|step| !lines.contains(step)).collect();
    ensure!(missing.is_empty(), "on this kernel these did not end well: {}", missing.join(", "));
    println!("verifier: the data path works on this kernel");
    Ok(())
}
