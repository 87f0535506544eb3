//! `vswitch` with a made-up next ABI version (feature `next-abi`): what tests upgrade to, and back from.

use std::process::ExitCode;

fn main() -> ExitCode {
    vswitch::cli::main()
}
