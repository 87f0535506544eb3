//! Medians, spread, and ratios round by round. A ratio of medians would mix rounds that were not run side by side.

use std::fmt;

/// Middle, least and most of several values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Median; of an even number of values the mean of the two in the middle.
    pub(crate) median: f64,
    /// Least.
    pub(crate) least: f64,
    /// Most.
    pub(crate) most: f64,
}

impl Summary {
    /// Of the values that are there; none if none is.
    #[must_use]
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { median, least, most })
    }

    /// Of the ratios of two series, round by round.
    #[must_use]
    pub(crate) fn of_ratios(values: &[Option<f64>], base: &[Option<f64>]) -> Option<Self> {
        let pairs = values.iter().zip(base).filter_map(|(value, base)| Some((*value)? / (*base)?));
        Self::of(pairs.filter(|ratio| ratio.is_finite()))
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}–{})", short(self.median), short(self.least), short(self.most))
    }
}

/// Three significant digits, as many as such measurements are worth.
#[must_use]
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    let decimals = if size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else if size >= 0.9995 || size == 0.0 {
        2
    } else if size >= 0.09995 {
        3
    } else {
        4
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_is_of_values_of_one_round() {
        let (values, base) = ([Some(2.0), Some(30.0), None], [Some(1.0), Some(10.0), Some(5.0)]);
        let summary = Summary::of_ratios(&values, &base).expect("two rounds have both");
        assert_eq!(summary, Summary { median: 2.5, least: 2.0, most: 3.0 });
        assert_eq!(Summary::of_ratios(&values, &[None, None, None]), None);
    }

    #[test]
    fn three_digits_are_shown() {
        let shown = [1725.4, 99.96, 14.93, 1.005, 0.8251, 0.0963, 0.0].map(short);
        assert_eq!(shown, ["1725", "100", "14.9", "1.00", "0.825", "0.0963", "0.00"]);
    }
}
