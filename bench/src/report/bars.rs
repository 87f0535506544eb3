//! One plot: a bar a rival with its median, and a line from the least to the most.

use std::fmt::Write as _;

use crate::metric::{Better, Metric};
use crate::record::Record;
use crate::rivals::Kind;
use crate::statistics::{Summary, short};

/// Pixels of the plot: where bars begin, how long the longest is, how high a row.
const LEFT: f64 = 110.0;
const LENGTH: f64 = 460.0;
const ROW: f64 = 26.0;
const TOP: f64 = 40.0;

/// The plot as SVG; black on white in any theme.
pub(super) fn plot(metric: &Metric, record: &Record) -> String {
    let rows: Vec<(Kind, Summary)> = Kind::ALL
        .into_iter()
        .filter_map(|kind| {
            let values = record.values(metric.key, kind.key(), None)?;
            Some((kind, Summary::of(values.iter().flatten().copied())?))
        })
        .collect();
    let most = rows.iter().map(|(_, summary)| summary.most).fold(f64::MIN_POSITIVE, f64::max);
    let height = TOP + ROW * rows.len() as f64 + 10.0;
    let width = LEFT + LENGTH + 90.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-weight=\"bold\">{}, {} ({})</text>\n",
        metric.title,
        metric.unit,
        match metric.better {
            Better::More => "more is better",
            Better::Less => "less is better",
        }
    );
    for (row, (kind, summary)) in rows.iter().enumerate() {
        row_of(&mut svg, TOP + ROW * row as f64, *kind, summary, LENGTH / most);
    }
    svg.push_str("</svg>\n");
    svg
}

fn row_of(svg: &mut String, y: f64, kind: Kind, summary: &Summary, scale: f64) {
    let colour = if kind.hook().is_some() { "#2a6fb0" } else { "#b8bec6" };
    let (bar, from, to) = (summary.median * scale, LEFT + summary.least * scale, LEFT + summary.most * scale);
    let (middle, base) = (y + ROW / 2.0 - 2.0, y + ROW / 2.0 + 3.0);
    let _infallible = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{base:.1}\" text-anchor=\"end\">{}</text>\n\
         <rect x=\"{LEFT:.1}\" y=\"{y:.1}\" width=\"{bar:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
         <path d=\"M{from:.1} {middle:.1}H{to:.1}\" stroke=\"#222\" stroke-width=\"2\"/>\n\
         <text x=\"{:.1}\" y=\"{base:.1}\">{}</text>\n",
        LEFT - 8.0,
        kind.key(),
        ROW - 6.0,
        to + 8.0,
        short(summary.median)
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    #[test]
    fn longest_bar_fills_the_plot_and_absent_rivals_have_none() {
        let mut record = Record::new(String::new(), Machine::default(), 1);
        let metric = Metric::more("speed", "speed", "m/s");
        record.add(&metric, "veth", None, 0, 2.0);
        record.add(&metric, "xdp", None, 0, 1.0);
        let svg = plot(&metric, &record);
        assert!(svg.contains("width=\"460.0\"") && svg.contains("width=\"230.0\""));
        assert!(svg.contains(">veth<") && svg.contains(">xdp<") && !svg.contains(">bridge<"));
    }
}
