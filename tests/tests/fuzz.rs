//! Each fuzz target over its corpus, over what it once found, and for a moment over new inputs: so that a target that no
//! longer works is noticed. `cargo xtask fuzz` does it for longer.

use vswitch_tests::fuzz::{self, Target, Until};
use vswitch_tests::hooks::skip;
use vswitch_tests::program::obstacle;

/// Always the same.
const SEED: u64 = 1;

fn holds(target: Target, executions: u64) {
    if let (Target::Program, Some(obstacle)) = (target, obstacle()) {
        return skip("the programs hold against any frame", obstacle);
    }
    assert!(fuzz::replay(target) > 0, "the target has no corpus");
    let report = fuzz::run(target, SEED, Until::Executions(executions));
    eprintln!("{}: {} outcomes in {:.1?}", target.name(), report.outcomes, report.elapsed);
    assert_eq!(report.finding, None);
    assert!(report.outcomes > 3, "what becomes of inputs is always the same: the target checks nothing");
}

#[test]
fn what_is_read_of_a_frame_holds_against_any_octets() {
    holds(Target::Frame, 20_000);
}

#[test]
fn the_decisions_hold_against_any_values() {
    holds(Target::Pipeline, 50_000);
}

#[test]
fn the_programs_hold_against_any_frame() {
    holds(Target::Program, 3_000);
}

#[test]
fn the_api_holds_against_any_body() {
    holds(Target::Api, 20_000);
}

#[test]
fn the_configuration_holds_against_any_file() {
    holds(Target::Config, 5_000);
}

#[test]
fn captures_hold_against_any_file() {
    holds(Target::Capture, 20_000);
}

#[test]
fn names_hold_against_any_query() {
    holds(Target::Dns, 20_000);
}

#[test]
fn membership_holds_against_any_messages() {
    holds(Target::Groups, 20_000);
}
