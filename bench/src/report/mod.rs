//! What readers get to see: `RESULTS.md` and its plots, made from a record and nothing else.

mod bars;
mod lines;
mod tables;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::metric::Metric;
use crate::record::Record;
use crate::scale::{CURVES, Curve};
use crate::traffic::WORKS;
use crate::verdicts::baseline;

/// Folder of the record and the plots, beside `RESULTS.md`.
pub(crate) const FOLDER: &str = "results";

/// Name of the record in it.
pub(crate) const RECORD: &str = "latest.json";

/// Writes `RESULTS.md` and the plots into the bench's folder.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write(record: &Record, bench: &Path) -> Result<()> {
    let folder = bench.join(FOLDER);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for metric in measured(record) {
        let path = folder.join(format!("{}.svg", metric.key));
        fs::write(&path, bars::plot(metric, record))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    for curve in drawn(record) {
        let path = folder.join(format!("{}.svg", curve.metric.key));
        fs::write(&path, lines::plot(curve, record))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let path = bench.join("RESULTS.md");
    fs::write(&path, tables::page(record, baseline(bench)?.as_ref()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The metrics that have a value.
fn measured(record: &Record) -> Vec<&'static Metric> {
    let all = WORKS.iter().flat_map(|work| work.metrics);
    all.filter(|metric| record.series.iter().any(|series| series.metric == metric.key)).collect()
}

/// The curves that have a point.
fn drawn(record: &Record) -> Vec<&'static Curve> {
    let has_point = |curve: &&Curve| record.series.iter().any(|series| series.metric == curve.metric.key);
    CURVES.iter().copied().filter(has_point).collect()
}

/// The places along a curve's axis at which something was measured, rising.
fn places(curve: &Curve, record: &Record) -> Vec<u64> {
    let of_curve = record.series.iter().filter(|series| series.metric == curve.metric.key);
    let mut places: Vec<u64> = of_curve.filter_map(|series| series.at).collect();
    places.sort_unstable();
    places.dedup();
    places
}
