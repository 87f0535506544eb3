//! The conformance table: every row runs against vswitch at both hooks, and the file says what comes out.

use vswitch_tests::conformance::{Candidate, Table};
use vswitch_tests::hooks::skip;
use vswitch_tests::prelude::*;

#[test]
fn vswitch_does_what_every_row_says_at_both_hooks() {
    if Rival::from_environment() != Rival::Vswitch {
        return skip("conformance", "rivals have their own columns: cargo xtask conformance");
    }
    let faults = Table::measure(&[Candidate::Xdp, Candidate::Tc]).faults();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_file_lists_every_row_and_says_that_vswitch_does_it() {
    let file = include_str!("../CONFORMANCE.md");
    assert!(Table::is_listed(file, 2), "rows came, went or failed: cargo xtask conformance --write");
}
