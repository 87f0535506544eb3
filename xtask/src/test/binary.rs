//! Test binaries: which there are, and running one.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::WORKSPACE;
use crate::build;
use crate::process::cargo;

/// One harness with its tests.
pub(super) struct TestBinary {
    name: String,
    program: PathBuf,
    folder: PathBuf,
}

/// Builds all of them.
pub(super) fn build_all() -> Result<Vec<TestBinary>> {
    let mut build = cargo("test");
    build.args(WORKSPACE).args(["--no-run", "--message-format", "json-render-diagnostics"]);
    let mut running = build.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let messages = BufReader::new(running.stdout.take().expect("it is piped"));
    let binaries = messages.lines().filter_map(|line| TestBinary::of(&line.ok()?)).collect();
    ensure!(running.wait()?.success(), "the tests do not build");
    Ok(binaries)
}

impl TestBinary {
    /// From what cargo says of something that it built, if that is one.
    fn of(message: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        let is_harness = message["profile"]["test"].as_bool()?;
        let program = PathBuf::from(message["executable"].as_str().filter(|_| is_harness)?);
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let package = folder.file_name()?.to_string_lossy().into_owned();
        let target = message["target"]["name"].as_str()?;
        Some(Self { name: format!("{package}/{target}"), program, folder })
    }

    /// Folder of the package, and name of the target in it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs those of its tests that the filter leaves; what it said, which is nothing if it had none. A failure carries that.
    pub(super) fn run(
        &self,
        filter: Option<&str>,
        threads: usize,
        environment: &[(&str, PathBuf)],
    ) -> Result<String> {
        let log = self.log()?;
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let start = Instant::now();
        let status = Command::new(&self.program)
            .args(filter)
            .args(["--test-threads", &threads.to_string()])
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .envs(environment.iter().map(|(name, path)| (name, path)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .status()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
        let head = format!("test: {} ({:.1} s)", self.name, start.elapsed().as_secs_f32());
        if !status.success() {
            bail!("{head}: FAILED: {status}\n{said}");
        }
        if said.trim_start().starts_with("running 0 tests") { Ok(String::new()) } else { Ok(head + &said) }
    }

    /// Where its output is, also while it runs.
    fn log(&self) -> Result<PathBuf> {
        let folder = build::target_dir().join("test-output");
        fs::create_dir_all(&folder)?;
        // A library and a program may have one name, and run at a time: what cargo calls the file is its own.
        let file = self.program.file_name().context("a program has a name")?;
        Ok(folder.join(file).with_extension("log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harnesses_are_found_among_what_cargo_builds() {
        let artifact = |is_test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/p/tests/Cargo.toml","target":{{"name":"arp"}},"profile":{{"test":{is_test}}},"executable":{executable}}}"#
            )
        };
        let found = TestBinary::of(&artifact(true, r#""/p/target/arp-1""#)).expect("a harness");
        assert_eq!((found.name(), found.folder.as_path()), ("tests/arp", Path::new("/p/tests")));
        assert!(TestBinary::of(&artifact(false, r#""/p/target/arp""#)).is_none());
        assert!(TestBinary::of(&artifact(true, "null")).is_none());
        assert!(TestBinary::of(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(TestBinary::of("noise").is_none());
    }
}
