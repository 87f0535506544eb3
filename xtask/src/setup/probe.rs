//! Whether a toolchain really works: builds the smallest program for the kernel, the way `switch/build.rs` builds ours.
//!
//! Versions alone do not tell. The source of `core` may belong to another rustc, and bpf-linker finds out only at its
//! first link that it cannot use an LLVM.

use std::fs;

use anyhow::{Context as _, Result, ensure};

use crate::ebpf_cargo::{TARGET, command};
use crate::process::{read, root_dir};

const MANIFEST: &str = r#"[package]
name = "probe"
edition = "2024"
[workspace]
"#;

const PROGRAM: &str = r#"#![no_std]
#![no_main]
#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub extern "C" fn probe() -> u32 {
    2
}
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
"#;

/// Builds the program with the toolchain that `record` describes.
pub(crate) fn build(record: &str) -> Result<()> {
    let folder = root_dir().join(".tools/probe");
    fs::create_dir_all(folder.join("src")).with_context(|| format!("cannot make {}", folder.display()))?;
    fs::write(folder.join("Cargo.toml"), MANIFEST).context("cannot write the probe's manifest")?;
    fs::write(folder.join("src/main.rs"), PROGRAM).context("cannot write the probe's program")?;
    let mut cargo = command(record, std::env::consts::ARCH).map_err(anyhow::Error::msg)?;
    cargo.args(["--quiet", "--target-dir", "target"]).current_dir(&folder);
    let built = read(&mut cargo).and_then(|_| {
        let object = folder.join("target").join(TARGET).join("release/probe");
        let bytes = fs::read(&object).with_context(|| format!("cannot read {}", object.display()))?;
        ensure!(is_bpf_object(&bytes), "what it built is not an object for the kernel");
        Ok(())
    });
    fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    built
}

/// An ELF file whose machine (bytes 18 and 19, little-endian) is EM_BPF.
fn is_bpf_object(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") && bytes.get(18..20) == Some(&[247, 0])
}
