//! The script of people's Docker commands with vswitch as the driver, and the table of what came of it with both.

use vswitch_tests::docker::{Binaries, Driver, script, table};

/// Runs one chapter with vswitch.
#[track_caller]
fn chapter(number: usize) {
    let (_, steps) = script::chapters().swap_remove(number);
    let outcomes = script::run(Driver::Vswitch, &Binaries::chosen(), steps);
    let is_good =
        |outcome: &script::Outcome| outcome.missed.is_none() == outcome.expected.of(Driver::Vswitch);
    let missed: Vec<_> = outcomes.into_iter().filter(|outcome| !is_good(outcome)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn containers_and_networks_look_as_docker_wants_them() {
    chapter(0);
}

#[test]
fn containers_reach_whom_they_should_and_nobody_else() {
    chapter(1);
}

#[test]
fn whatever_is_killed_comes_back_and_leaves_nothing() {
    chapter(2);
}

#[test]
fn the_table_has_every_step_of_the_script() {
    let text = table::committed();
    for (chapter, steps) in script::chapters() {
        assert!(text.contains(chapter), "{chapter}: run `cargo run -p vswitch-tests --bin docker_outcomes`");
        for step in steps {
            let title = step.title;
            assert!(text.contains(title), "{title}: run `cargo run -p vswitch-tests --bin docker_outcomes`");
        }
    }
}
