//! The `vswitch` binary: the controller (`vswitch run`) and its clients (everything else).

fn main() {}
