//! Replies as text: aligned tables without lines, as `docker ls` prints them, and `key  value` for one thing in detail.
//!
//! No colour and no line breaks inside cells: what a terminal shows is what `awk` gets. Text that came from links, users
//! or containers cannot move a terminal's cursor: control characters are shown as U+FFFD.

mod event;
mod fdb;
mod mdb;
mod network;
mod overview;
mod port;
mod publish;
mod stats;
mod status;
mod trace;
mod upgrade;

use std::fmt::Display;

use comfy_table::{Table, presets};

pub(super) use event::event;
pub(super) use fdb::entries;
pub(super) use mdb::members;
pub(super) use network::networks;
pub(super) use overview::Overview;
pub(super) use port::{ports, ports_in_detail};
pub(super) use publish::publishes;
pub(super) use stats::{rates, stats};
pub(super) use status::status;
pub(super) use trace::{captured, trace};
pub(super) use upgrade::{build, upgrade};

/// Stands for nothing in a cell, so that columns can be counted.
const NOTHING: &str = "-";

/// Spaces between columns.
const GAP: u16 = 2;

/// Aligned columns under their titles.
fn table<const N: usize>(titles: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = bare();
    table.set_header(titles);
    lines(table, rows)
}

/// Aligned `key  value` lines.
fn pairs(rows: impl IntoIterator<Item = (impl Display, String)>) -> String {
    lines(bare(), rows.into_iter().map(|(key, value)| [key.to_string(), value]))
}

fn bare() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

fn lines<const N: usize>(mut table: Table, rows: impl IntoIterator<Item = [String; N]>) -> String {
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP));
    }
    table.trim_fmt() + "\n"
}

pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A value, or what stands for none.
fn or_nothing<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_string(), |value| value.to_string())
}

/// Values separated by commas, or what stands for none.
fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    if values.is_empty() { NOTHING.to_string() } else { values.join(",") }
}

fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_end_without_blanks() {
        let rows = [["a".to_string(), "1".to_string()], ["longer".to_string(), String::new()]];
        assert_eq!(table(["NAME", "N"], rows), "NAME    N\na       1\nlonger\n");
    }

    #[test]
    fn a_table_without_rows_has_its_titles() {
        assert_eq!(table(["NAME", "N"], []), "NAME  N\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let text = pairs([("name", "we\u{1b}[2Jb\n".to_string())]);
        assert_eq!(text, "name  we\u{fffd}[2Jb\u{fffd}\n");
    }
}
