//! One plot of a curve: a line a rival, the axis logarithmic, the values from zero.

use std::fmt::Write as _;

use super::places;
use crate::record::Record;
use crate::rivals::Kind;
use crate::scale::Curve;
use crate::statistics::{Summary, short};

/// Pixels: the drawing's edges and size.
const LEFT: f64 = 70.0;
const TOP: f64 = 44.0;
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 220.0;

/// Colours of the lines, by the rivals' place in the legend.
const COLOURS: [&str; 4] = ["#8a919a", "#2a6fb0", "#c2571a", "#3b8f4e"];

/// The plot as SVG; black on white in any theme.
pub(super) fn plot(curve: &Curve, record: &Record) -> String {
    let places = places(curve, record);
    let median = |kind: Kind, at: u64| {
        let values = record.values(curve.metric.key, kind.key(), Some(at))?;
        Some(Summary::of(values.iter().flatten().copied())?.median)
    };
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|kind| places.iter().any(|at| median(*kind, *at).is_some())).collect();
    let all = kinds.iter().flat_map(|kind| places.iter().filter_map(|at| median(*kind, *at)));
    let most = all.fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = head(curve, most, &places);
    for (number, kind) in kinds.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let points: Vec<(f64, f64)> = places
            .iter()
            .filter_map(|at| Some((x_of(*at, &places), TOP + HEIGHT * (1.0 - median(*kind, *at)? / most))))
            .collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let legend = TOP + 16.0 * number as f64 + 10.0;
        let _infallible = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n\
             <text x=\"{:.1}\" y=\"{legend:.1}\" fill=\"{colour}\">{}</text>",
            path.join(" "),
            LEFT + WIDTH + 16.0,
            kind.key()
        );
        for (x, y) in points {
            let _infallible =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn head(curve: &Curve, most: f64, places: &[u64]) -> String {
    let (width, height) = (LEFT + WIDTH + 100.0, TOP + HEIGHT + 46.0);
    let bottom = TOP + HEIGHT;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"22\" font-weight=\"bold\">{}, {}</text>\n\
         <path d=\"M{LEFT} {TOP}V{bottom}H{:.1}\" fill=\"none\" stroke=\"#222\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n\
         <text x=\"{:.1}\" y=\"{bottom:.1}\" text-anchor=\"end\">0</text>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
        curve.metric.title,
        curve.metric.unit,
        LEFT + WIDTH,
        LEFT - 8.0,
        TOP + 10.0,
        short(most),
        LEFT - 8.0,
        LEFT + WIDTH / 2.0,
        bottom + 38.0,
        curve.axis
    );
    for at in places {
        let _infallible = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{at}</text>",
            x_of(*at, places),
            bottom + 18.0
        );
    }
    svg
}

/// Where a place is along the logarithmic axis.
fn x_of(at: u64, places: &[u64]) -> f64 {
    let log = |at: u64| (at.max(1) as f64).ln();
    let (first, last) = (places.first().copied().unwrap_or(1), places.last().copied().unwrap_or(1));
    let span = log(last) - log(first);
    if span == 0.0 { LEFT + WIDTH / 2.0 } else { LEFT + WIDTH * (log(at) - log(first)) / span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axis_is_logarithmic_from_edge_to_edge() {
        let places = [1, 10, 100];
        assert_eq!(places.map(|at| x_of(at, &places)), [LEFT, LEFT + WIDTH / 2.0, LEFT + WIDTH]);
        assert_eq!(x_of(7, &[7]), LEFT + WIDTH / 2.0);
    }
}
