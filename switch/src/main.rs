//! The `vswitch` binary: the controller (`vswitch run`) and its clients (everything else).

use std::process::ExitCode;

fn main() -> ExitCode {
    vswitch::cli::main()
}
