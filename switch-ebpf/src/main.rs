//! The data path.
fn main() {}
