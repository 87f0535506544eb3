//! Writes `tests/DOCKER.md`: what Docker's networks do by vswitch and by bridge. Takes some minutes, and root.

use vswitch_tests::docker::table;

fn main() -> std::io::Result<()> {
    let text = table::make();
    print!("{text}");
    std::fs::write(table::path(), text)
}
