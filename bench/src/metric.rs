//! What is measured: names, units, and which way is better.

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Throughput and rates.
    More,
    /// Times and memory.
    Less,
}

/// A quantity.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metric {
    /// Its name in the JSON.
    pub(crate) key: &'static str,
    /// Its name for readers.
    pub(crate) title: &'static str,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// Which way is better.
    pub(crate) better: Better,
}

impl Metric {
    /// More is better.
    pub(crate) const fn more(key: &'static str, title: &'static str, unit: &'static str) -> Self {
        Self { key, title, unit, better: Better::More }
    }

    /// Less is better.
    pub(crate) const fn less(key: &'static str, title: &'static str, unit: &'static str) -> Self {
        Self { key, title, unit, better: Better::Less }
    }
}
