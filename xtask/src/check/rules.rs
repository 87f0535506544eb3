//! The house rules that no compiler knows. Each is a function from a file's text to a complaint.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::security;
use crate::process::read;

/// A file that one can still hold in one's head.
const LINES_MAX: usize = 400;

/// The only modules (files or folders) that may hold `unsafe`.
const UNSAFE_MODULES: [&str; 5] = ["sys", "packet", "maps", "clock", "pod"];

/// Prints every complaint, then fails if there was one.
pub(crate) fn check() -> Result<()> {
    let list = read(Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]))
        .context("the rules are checked on what git knows")?;
    // A file that was deleted but is still in the index is of no interest.
    let files: Vec<&Path> = list.lines().map(Path::new).filter(|path| path.is_file()).collect();
    let mut complaints = folders_without_readme(&files);
    let mut texts = Vec::new();
    for path in files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        texts.push((*path, text));
    }
    let texts: Vec<(&Path, &str)> = texts.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let page = fs::read_to_string(security::PAGE).context(security::PAGE)?;
    complaints.extend(security::missing_tests(&page, &texts));
    for (path, text) in texts {
        complaints.extend(too_long(path, text));
        complaints.extend(misplaced_unsafe(path, text));
        complaints.extend(ignored_tests(path, text));
    }
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints.len() {
        0 => Ok(()),
        count => bail!("{count} complaints"),
    }
}

fn too_long(path: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_MAX).then(|| {
        format!("{}: {lines} lines, at most {LINES_MAX}: split it where it has two subjects", path.display())
    })
}

fn misplaced_unsafe(path: &Path, text: &str) -> Vec<String> {
    let named = path.components().any(|part| {
        UNSAFE_MODULES.iter().any(|name| Path::new(part.as_os_str()).file_stem() == Some(name.as_ref()))
    });
    let lines = text.lines().enumerate().filter(|(_, line)| !named && is_unsafe(line));
    lines
        .map(|(index, _)| {
            let modules = UNSAFE_MODULES.join(", ");
            format!("{}:{}: unsafe belongs into one of the modules {modules}", path.display(), index + 1)
        })
        .collect()
}

/// Whether a line of code opens an unsafe block or item. The attribute `#[unsafe(no_mangle)]` is not one.
fn is_unsafe(line: &str) -> bool {
    let code = line.split('/').next().unwrap_or_default();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("unsafe") {
        let starts_word =
            !before.ends_with(|character: char| character.is_alphanumeric() || "_\"`".contains(character));
        let next = after.trim_start();
        if starts_word
            && ["{", "fn ", "impl ", "impl<", "extern", "trait "].iter().any(|word| next.starts_with(word))
        {
            return true;
        }
        rest = after;
    }
    false
}

fn ignored_tests(path: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("#[ignore"));
    lines
        .map(|(index, _)| {
            format!(
                "{}:{}: a test is never ignored; let it skip aloud with its reason",
                path.display(),
                index + 1
            )
        })
        .collect()
}

/// Folders say in a README what they are; below a `src`, the `//!` of the module does.
fn folders_without_readme(files: &[&Path]) -> Vec<String> {
    let is_described_elsewhere = |part: Component<'_>| {
        part.as_os_str() == "src" || part.as_os_str().to_str().is_some_and(|name| name.starts_with('.'))
    };
    let folders: BTreeSet<&Path> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1))
        .filter(|folder| !folder.components().any(is_described_elsewhere))
        .collect();
    let lacks_readme = |folder: &&Path| !files.contains(&folder.join("README.md").as_path());
    let complaint = |folder: &Path| format!("{}: has no README.md", Path::new(".").join(folder).display());
    folders.into_iter().filter(lacks_readme).map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_401_lines_is_too_long() {
        assert_eq!(too_long(Path::new("a.rs"), &"x\n".repeat(400)), None);
        let complaint = too_long(Path::new("a.rs"), &"x\n".repeat(401)).expect("one line too many");
        assert!(complaint.starts_with("a.rs: 401 lines"), "{complaint}");
    }

    #[test]
    fn block_outside_the_named_modules_is_misplaced() {
        let text = format!("fn f() {{\n    {} {{ g() }}\n}}\n", "unsafe");
        assert_eq!(misplaced_unsafe(Path::new("switch/src/daemon.rs"), &text).len(), 1);
        assert!(misplaced_unsafe(Path::new("switch/src/sys.rs"), &text).is_empty());
        assert!(misplaced_unsafe(Path::new("switch/src/sys/mount.rs"), &text).is_empty());
        assert_eq!(misplaced_unsafe(Path::new("switch/src/system.rs"), &text).len(), 1);
    }

    #[test]
    fn comments_attributes_and_longer_words_are_not_unsafe() {
        for line in ["// unsafe { }", "#[unsafe(no_mangle)]", "#![deny(unsafe_code)]", "let is_unsafe = {"] {
            assert!(!is_unsafe(line), "{line}");
        }
        for item in ["impl Pod for X {}", "fn f() {}", "extern \"C\" {", "{ f() }"] {
            assert!(is_unsafe(&format!("pub {} {item}", "unsafe")), "{item}");
        }
    }

    #[test]
    fn ignored_test_is_found() {
        let text = format!("    #[{}]\n", "ignore = \"slow\"");
        assert_eq!(ignored_tests(Path::new("t.rs"), &text).len(), 1);
    }

    #[test]
    fn folder_outside_src_needs_a_readme() {
        let files = ["README.md", "switch/src/cli/port.rs", "switch/adr/1.md", ".ci/run"].map(Path::new);
        assert_eq!(
            folders_without_readme(&files),
            ["./switch: has no README.md", "./switch/adr: has no README.md"]
        );
    }
}
