//! `vswitch generate`: man pages and shell completions, from the same definitions that parse the command line. Hidden: it is
//! for `cargo xtask install` and for packagers.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;

use super::Cli;
use super::failure::Failure;
use super::session::Session;

/// Write man pages and shell completions below a folder
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vswitch generate /usr/local/share")]
pub(super) struct GenerateOptions {
    /// Such as /usr/local/share
    folder: PathBuf,
}

/// Where a shell looks, below `share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions/vswitch"),
    (Shell::Zsh, "zsh/site-functions/_vswitch"),
    (Shell::Fish, "fish/vendor_completions.d/vswitch.fish"),
];

impl GenerateOptions {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let mut written = Vec::new();
        for (shell, place) in COMPLETIONS {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "vswitch", &mut text);
            written.push(write(&self.folder.join(place), &text)?);
        }
        let mut command = Cli::command();
        command.build();
        self.write_pages(&command, "vswitch", &mut written)?;
        session.print(&written, || written.join("\n") + "\n")
    }

    /// One page a command: vswitch.1, vswitch-port.1, vswitch-port-add.1.
    fn write_pages(&self, command: &Command, name: &str, written: &mut Vec<String>) -> Result<(), Failure> {
        let mut text = Vec::new();
        let page = command.clone().display_name(name.to_owned()).bin_name(name.replace('-', " "));
        clap_mangen::Man::new(page).title(name.to_uppercase()).render(&mut text)?;
        written.push(write(&self.folder.join(format!("man/man1/{name}.1")), &text)?);
        let shown = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set() && command.get_name() != "help");
        shown.into_iter().try_for_each(|command| {
            self.write_pages(command, &format!("{name}-{}", command.get_name()), written)
        })
    }
}

fn write(path: &Path, text: &[u8]) -> Result<String, Failure> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::File::create(path)?.write_all(text)?;
    Ok(path.display().to_string())
}
