//! The programs of the data path by themselves: loaded as the controller loads them, run by `BPF_PROG_TEST_RUN` over
//! frames of our making, attached to nothing.

mod apart;

mod budget;
mod cost;

pub use apart::{apart, obstacle};
pub use budget::{Budget, Finding, Row};
pub use cost::{Costs, MapCost, ProgramCost, cpus};
