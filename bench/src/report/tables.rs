//! `RESULTS.md` as text.

use std::fmt::Write as _;

use super::{FOLDER, RECORD, drawn, measured, places};
use crate::metric::{Better, Metric};
use crate::record::Record;
use crate::rivals::Kind;
use crate::scale::Curve;
use crate::statistics::{Summary, short};
use crate::targets::{Choice, Distance, Standing, TARGETS};
use crate::traffic::WORKS;
use crate::verdicts::{Baseline, SLOWER, VERDICTS};

/// Rivals that others are compared with in the tables.
const BASES: [&str; 6] = ["veth", "redirect", "bridge", "docker0", "other-xdp", "other-tc"];

/// The whole page.
pub(super) fn page(record: &Record, baseline: Option<&Baseline>) -> String {
    let mut page = String::new();
    head(&mut page, record);
    targets(&mut page, record);
    choices(&mut page, record);
    for metric in measured(record) {
        table(&mut page, metric, record);
    }
    verdicts(&mut page, record, baseline);
    for curve in drawn(record) {
        curve_table(&mut page, curve, record);
    }
    gaps(&mut page, record);
    page
}

fn head(page: &mut String, record: &Record) {
    let machine = &record.machine;
    let _infallible = write!(
        page,
        "# Results: vswitch side by side with what people use\n\n\
         Generated from [{RECORD}]({FOLDER}/{RECORD}) by `{}`; do not edit. How it is measured: [README](README.md).\n\n\
         {} rounds, in each of them every rival right after the other. Medians, least and most in parentheses; ratios are \
         taken round by round before their median is. Read ratios, not absolutes: this is a small virtual machine.\n\n\
         | | |\n|---|---|\n\
         | when, what | {} UTC, commit {} |\n\
         | machine | {} CPUs ({}, virtualisation: {}), {} MB |\n\
         | kernel | {} |\n\
         | programs | {} |\n\
         | load average before | {:.2}{} |\n",
        record.command,
        record.rounds,
        machine.started,
        machine.commit,
        machine.cpus,
        machine.processor,
        machine.virtualisation,
        machine.memory_mb,
        machine.kernel,
        machine.versions.join("; "),
        machine.load_before,
        if machine.was_quiet() { "" } else { ": **the machine was not quiet, the figures are rough**" }
    );
    page.push_str("\n| rival | what it is |\n|---|---|\n");
    let took_part = |kind: &Kind| record.series.iter().any(|series| series.rival == kind.key());
    for kind in Kind::ALL.into_iter().filter(took_part) {
        let _infallible = writeln!(page, "| `{}` | {} |", kind.key(), kind.title());
    }
}

fn targets(page: &mut String, record: &Record) {
    page.push_str("\n## Figures to reach\n| what | measured | must | aim | |\n|---|---|---|---|---|\n");
    for target in TARGETS {
        let sign = match target.better {
            Better::More => "≥",
            Better::Less => "≤",
        };
        let (measured, verdict) = match target.measured(record) {
            Some(summary) => (
                summary.to_string(),
                match target.standing(summary.median) {
                    Standing::Aim => "aim",
                    Standing::Must => "must",
                    Standing::Missed => "**missed**",
                },
            ),
            None => ("–".to_owned(), "not measured"),
        };
        let _infallible = writeln!(
            page,
            "| {} | {measured} | {sign} {} | {sign} {} | {verdict} |",
            target.title,
            short(target.must),
            short(target.aim)
        );
    }
}

/// Auto beside the better hook of each kind of work.
fn choices(page: &mut String, record: &Record) {
    let mut rows = String::new();
    for metric in measured(record) {
        let Some(Choice { hook, ratio, distance }) = Choice::of(record, metric) else { continue };
        let better = if metric.better == Better::More { "more" } else { "less" };
        let verdict = match distance {
            Distance::Within => "within",
            Distance::Unclear => "the rounds disagree",
            Distance::Behind => "**behind**",
        };
        let _infallible = writeln!(rows, "| {} | {better} | `{hook}` | {ratio} | {verdict} |", metric.title);
    }
    if !rows.is_empty() {
        page.push_str(
            "\n## `--hook auto` beside the better hook\nIt should never be more than 5 % behind. Where its median is, but it was the better one in some round, the rounds disagree.\n\n\
             | what | better is | better hook | auto to it | 5 % |\n|---|---|---|---|---|\n",
        );
        page.push_str(&rows);
    }
}

fn table(page: &mut String, metric: &Metric, record: &Record) {
    let work = WORKS.iter().find(|work| work.metrics.iter().any(|of_work| of_work.key == metric.key));
    let title = work.map_or(metric.title, |work| work.title);
    let _infallible =
        write!(page, "\n## {}\n{title}. ![{}]({FOLDER}/{}.svg)\n\n", metric.title, metric.title, metric.key);
    let bases: Vec<&str> =
        BASES.into_iter().filter(|base| record.values(metric.key, base, None).is_some()).collect();
    let _infallible = write!(page, "| rival | {} |", metric.unit);
    for base in &bases {
        let _infallible = write!(page, " to {base} |");
    }
    let _infallible = write!(page, "\n|---|---|{}\n", "---|".repeat(bases.len()));
    for kind in Kind::ALL {
        let Some(values) = record.values(metric.key, kind.key(), None) else { continue };
        let Some(summary) = Summary::of(values.iter().flatten().copied()) else { continue };
        let _infallible = write!(page, "| `{}` | {summary} |", kind.key());
        for base in &bases {
            let ratio =
                record.values(metric.key, base, None).and_then(|of_base| Summary::of_ratios(values, of_base));
            let shown =
                ratio.filter(|_| *base != kind.key()).map_or("–".to_owned(), |ratio| ratio.to_string());
            let _infallible = write!(page, " {shown} |");
        }
        page.push('\n');
    }
}

/// Nanoseconds by verdict, beside what was accepted.
fn verdicts(page: &mut String, record: &Record, baseline: Option<&Baseline>) {
    let mut rows = String::new();
    for verdict in VERDICTS {
        for hook in ["xdp", "tc"] {
            let Some(values) = record.values(verdict.metric.key, hook, None) else { continue };
            let Some(summary) = Summary::of(values.iter().flatten().copied()) else { continue };
            let accepted = baseline.and_then(|baseline| baseline.get(verdict.metric.key)?.get(hook).copied());
            let (accepted, ratio) = match accepted {
                Some(ns) if summary.median > ns * SLOWER => {
                    (short(ns), format!("**{}**", short(summary.median / ns)))
                }
                Some(ns) => (short(ns), short(summary.median / ns)),
                None => ("–".to_owned(), "–".to_owned()),
            };
            let title = verdict.metric.title;
            let _infallible = writeln!(rows, "| {title} | `{hook}` | {summary} | {accepted} | {ratio} |");
        }
    }
    if !rows.is_empty() {
        page.push_str(
            "\n## The programs alone\nNanoseconds of a frame of 60 bytes in the kernel program, by `BPF_PROG_TEST_RUN`, beside \
             the accepted ones of [baseline.json](baseline.json), which are of the machine that the commit names; what is dearer by a \
             fifth or more is bold.\n\n\
             | verdict | hook | ns | accepted | ratio |\n|---|---|---|---|---|\n",
        );
        page.push_str(&rows);
    }
}

fn curve_table(page: &mut String, curve: &Curve, record: &Record) {
    let (metric, places) = (&curve.metric, places(curve, record));
    let _infallible = write!(
        page,
        "\n## {}\n{}. ![{}]({FOLDER}/{}.svg)\n\n| {}, by {} |",
        metric.title, curve.title, metric.title, metric.key, metric.unit, curve.axis
    );
    for at in &places {
        let _infallible = write!(page, " {at} |");
    }
    let _infallible = write!(page, "\n|---|{}\n", "---|".repeat(places.len()));
    for kind in Kind::ALL {
        let of_kind = |at: &u64| {
            let values = record.values(metric.key, kind.key(), Some(*at))?;
            Summary::of(values.iter().flatten().copied())
        };
        if places.iter().all(|at| of_kind(at).is_none()) {
            continue;
        }
        let _infallible = write!(page, "| `{}` |", kind.key());
        for at in &places {
            let _infallible =
                write!(page, " {} |", of_kind(at).map_or("–".to_owned(), |summary| summary.to_string()));
        }
        page.push('\n');
    }
}

fn gaps(page: &mut String, record: &Record) {
    if record.gaps.is_empty() {
        return;
    }
    page.push_str("\n## What is not there\n| work | rival | why |\n|---|---|---|\n");
    for gap in &record.gaps {
        let failed = if gap.is_failure { "failed: " } else { "" };
        let why = gap.why.replace('\n', " ").replace('|', "/");
        let _infallible = writeln!(page, "| {} | `{}` | {failed}{why} |", gap.work, gap.rival);
    }
}
