//! What a bench measured, as it is kept: every single value, so that tables and plots can be made anew from it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::metric::Metric;

/// The version of the file's shape.
const SCHEMA: u32 = 1;

/// One bench.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Version of this shape.
    schema: u32,
    /// What was typed.
    pub(crate) command: String,
    /// Where it ran.
    pub(crate) machine: Machine,
    /// Interleaved rounds.
    pub(crate) rounds: usize,
    /// All values.
    pub(crate) series: Vec<Series>,
    /// Rivals that have no value for a kind of work, and why.
    pub(crate) gaps: Vec<Gap>,
}

/// The values of one rival for one metric, at one point if it is a curve.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Series {
    /// Key of the metric.
    pub(crate) metric: String,
    /// Key of the rival.
    pub(crate) rival: String,
    /// Place along a curve: how many ports, addresses, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<u64>,
    /// A value a round.
    pub(crate) values: Vec<Option<f64>>,
}

/// A rival that has no value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gap {
    /// Key of the kind of work.
    pub(crate) work: String,
    /// Key of the rival.
    pub(crate) rival: String,
    /// Why.
    pub(crate) why: String,
    /// Whether something went wrong; otherwise the work makes no sense for the rival.
    pub(crate) is_failure: bool,
}

impl Record {
    /// An empty one.
    pub(crate) fn new(command: String, machine: Machine, rounds: usize) -> Self {
        Self { schema: SCHEMA, command, machine, rounds, series: Vec::new(), gaps: Vec::new() }
    }

    /// Notes a value.
    pub(crate) fn add(&mut self, metric: &Metric, rival: &str, at: Option<u64>, round: usize, value: f64) {
        let rounds = self.rounds;
        let is_it = |series: &Series| series.metric == metric.key && series.rival == rival && series.at == at;
        let place = self.series.iter().position(is_it).unwrap_or_else(|| {
            let (metric, rival) = (metric.key.to_owned(), rival.to_owned());
            self.series.push(Series { metric, rival, at, values: vec![None; rounds] });
            self.series.len() - 1
        });
        self.series[place].values[round] = Some(value);
    }

    /// Notes that there is none; the first reason counts.
    pub(crate) fn add_gap(&mut self, gap: Gap) {
        if !self.gaps.iter().any(|known| known.work == gap.work && known.rival == gap.rival) {
            self.gaps.push(gap);
        }
    }

    /// The values of a rival for a metric.
    #[must_use]
    pub(crate) fn values(&self, metric: &str, rival: &str, at: Option<u64>) -> Option<&[Option<f64>]> {
        let mut series = self.series.iter();
        let found =
            series.find(|series| series.metric == metric && series.rival == rival && series.at == at)?;
        Some(&found.values)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is not there, or of another shape.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let record: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is no record of a bench of this version", path.display()))?;
        anyhow::ensure!(record.schema == SCHEMA, "{}: shape {}", path.display(), record.schema);
        Ok(record)
    }

    /// Writes it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_comes_back_as_it_was_kept() {
        let mut record = Record::new("bench".to_owned(), Machine::default(), 2);
        let metric = Metric::more("speed", "speed", "m/s");
        record.add(&metric, "veth", None, 0, 1.5);
        record.add(&metric, "veth", Some(10), 1, 2.5);
        let again: Record = serde_json::from_str(&serde_json::to_string(&record).expect("it is plain data"))
            .expect("as it was");
        assert_eq!(again.values("speed", "veth", None), Some(&[Some(1.5), None][..]));
        assert_eq!(again.values("speed", "veth", Some(10)), Some(&[None, Some(2.5)][..]));
        assert_eq!(again.values("speed", "bridge", None), None);
    }
}
