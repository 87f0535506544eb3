//! The accepted cost of the data path, `switch-ebpf/budget.toml`, and how a measured one compares with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Deserialize;

use super::cost::{Costs, MapCost, ProgramCost};

/// Written above the figures.
const HEADER: &str = "\
# What the data path may cost: accepted figures, measured by `cargo xtask verifier` and compared by it. Growing one is a
# visible line in a commit that says what it buys; `cargo xtask verifier --write` measures anew.
#
# verified_instructions  what the verifier walks, each path counted; the kernel refuses beyond 1,000,000. Another kernel's
#                        verifier prunes differently: hence the slack.
# stack_bytes            of the program and the deepest function it calls; the kernel refuses beyond 512.
# translated_bytes       the program as the kernel keeps it before it becomes machine code.
# bytes, bytes_per_cpu   kernel memory of an empty map at its default limits: once, and for each possible CPU.
#                        NEIGHBOURS and GUARDS take more as they fill.
";

/// Accepted figures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// By how much a figure may be exceeded, in percent. Below by more than twice that, the budget says nothing any more.
    pub slack_percent: u64,
    /// The figures.
    #[serde(flatten)]
    pub costs: Costs,
}

/// What is said of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// As accepted, give or take.
    Within,
    /// More than accepted.
    Over,
    /// So much less that the budget should be lowered.
    FarUnder,
    /// Measured, but there is no budget for it.
    Unbudgeted,
    /// In the budget, but there is no such program or map.
    Gone,
}

impl Finding {
    /// In the table.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Within => "",
            Self::Over => "OVER BUDGET",
            Self::FarUnder => "far under: lower the budget",
            Self::Unbudgeted => "not in the budget",
            Self::Gone => "no longer there",
        }
    }
}

/// One figure, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Program or map.
    pub subject: String,
    /// What was measured.
    pub figure: &'static str,
    /// How much it is.
    pub measured: u64,
    /// How much was accepted.
    pub accepted: u64,
    /// What to say of it.
    pub finding: Finding,
}

impl Budget {
    /// Every figure of `measured` beside the accepted one, on a machine of so many CPUs.
    #[must_use]
    pub fn compare(&self, measured: &Costs, cpus: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        for name in keys(&self.costs.programs, &measured.programs) {
            let (is, may) = (measured.programs.get(name), self.costs.programs.get(name));
            let mut add = |figure, of: fn(&ProgramCost) -> u64| {
                rows.push(self.row(name, figure, is.map(of), may.map(of)));
            };
            add("verified instructions", |cost| cost.verified_instructions);
            add("stack bytes", |cost| cost.stack_bytes);
            add("translated bytes", |cost| cost.translated_bytes);
        }
        for name in keys(&self.costs.maps, &measured.maps) {
            let memory = |cost: &MapCost| cost.bytes + cost.bytes_per_cpu * cpus;
            let (is, may) = (measured.maps.get(name).map(memory), self.costs.maps.get(name).map(memory));
            rows.push(self.row(name, "bytes", is, may));
        }
        rows
    }

    fn row(&self, subject: &str, figure: &'static str, is: Option<u64>, may: Option<u64>) -> Row {
        let finding = match (is, may) {
            (Some(is), Some(may)) if is * 100 > may * (100 + self.slack_percent) => Finding::Over,
            (Some(is), Some(may)) if is * 100 < may * 100u64.saturating_sub(2 * self.slack_percent) => {
                Finding::FarUnder
            }
            (Some(_), Some(_)) => Finding::Within,
            (_, None) => Finding::Unbudgeted,
            (None, _) => Finding::Gone,
        };
        let (measured, accepted) = (is.unwrap_or(0), may.unwrap_or(0));
        Row { subject: subject.to_owned(), figure, measured, accepted, finding }
    }

    /// As the file reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{HEADER}\nslack_percent = {}\n", self.slack_percent);
        let mut add = |part: std::fmt::Arguments<'_>| {
            text.write_fmt(part).expect("a string takes everything");
        };
        for (name, cost) in &self.costs.programs {
            let ProgramCost { verified_instructions, stack_bytes, translated_bytes } = cost;
            add(format_args!("\n[program.{name}]\nverified_instructions = {verified_instructions}\n"));
            add(format_args!("stack_bytes = {stack_bytes}\ntranslated_bytes = {translated_bytes}\n"));
        }
        for (name, cost) in &self.costs.maps {
            add(format_args!("\n[map.{}]\nbytes = {}\n", key(name), cost.bytes));
            if cost.bytes_per_cpu != 0 {
                add(format_args!("bytes_per_cpu = {}\n", cost.bytes_per_cpu));
            }
        }
        text
    }
}

/// The names in either, once each.
fn keys<'a, T>(a: &'a BTreeMap<String, T>, b: &'a BTreeMap<String, T>) -> BTreeSet<&'a str> {
    a.keys().chain(b.keys()).map(String::as_str).collect()
}

/// As a key in the file: the compiler's own maps begin with a dot.
fn key(name: &str) -> String {
    let is_bare = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if is_bare { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(instructions: u64, bytes: u64) -> Costs {
        let program =
            ProgramCost { verified_instructions: instructions, stack_bytes: 100, translated_bytes: 1000 };
        Costs {
            programs: [("p".to_owned(), program)].into(),
            maps: [("M".to_owned(), MapCost { bytes, bytes_per_cpu: 10 })].into(),
        }
    }

    fn findings(measured: &Costs) -> Vec<Finding> {
        let budget = Budget { slack_percent: 10, costs: costs(1000, 80) };
        budget.compare(measured, 2).into_iter().map(|row| row.finding).collect()
    }

    #[test]
    fn the_slack_is_allowed_and_no_more() {
        use Finding::{FarUnder, Over, Within};
        assert_eq!(findings(&costs(1100, 90)), [Within, Within, Within, Within]);
        assert_eq!(findings(&costs(1101, 91)), [Over, Within, Within, Over]);
        assert_eq!(findings(&costs(800, 60)), [Within, Within, Within, Within]);
        assert_eq!(findings(&costs(799, 59)), [FarUnder, Within, Within, FarUnder]);
    }

    #[test]
    fn what_is_new_or_gone_is_said() {
        let mut measured = costs(1000, 80);
        let map = measured.maps.remove("M").expect("it was just made");
        measured.maps.insert("N".to_owned(), map);
        assert_eq!(findings(&measured)[3..], [Finding::Gone, Finding::Unbudgeted]);
    }

    #[test]
    fn the_file_reads_as_it_was_written() {
        let mut costs = costs(1000, 80);
        costs.maps.insert(".rodata".to_owned(), MapCost { bytes: 1, bytes_per_cpu: 0 });
        let budget = Budget { slack_percent: 10, costs };
        assert_eq!(toml::from_str::<Budget>(&budget.text()).expect("it is valid"), budget);
    }
}
