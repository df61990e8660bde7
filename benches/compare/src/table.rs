//! What is printed: a table to read, or lines of tab-separated values for a program.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::process::ExitCode;

use crate::process_rows::{self, Target};
use crate::rounds::Figure;
use crate::rows;

/// How the figures are printed.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// Aligned columns with headings.
    Table,
    /// One line for each row and peer.
    Tsv,
}

/// The headings of the timed rows.
pub(crate) fn timed_head(style: Style, rounds: usize) {
    if let Style::Table = style {
        println!("Nanoseconds per task, median of {rounds} interleaved rounds.\n");
        println!(
            "{:<20} {:>10}  {:<26} {:>10}  {:>6}  {:>7}  reached?",
            "row", "ours", "fastest peer", "its", "ratio", "target"
        );
    }
}

/// One timed row; the first figure is ours.
pub(crate) fn timed(style: Style, spec: &rows::Spec, figures: &[Figure]) {
    let (ours, peers) = figures.split_first().expect("a row has contenders");
    match style {
        Style::Table => {
            let fastest = peers.iter().min_by(|left, right| left.median.total_cmp(&right.median));
            verdict(spec, ours, fastest.expect("a row has a peer"));
            figures.iter().for_each(detail);
        }
        Style::Tsv => peers.iter().for_each(|peer| tsv(spec.name, ours, peer)),
    }
}

fn tsv(row: &str, ours: &Figure, peer: &Figure) {
    let ratio = ours.median / peer.median;
    println!("{row}\t{:.1}\t{}\t{:.1}\t{ratio:.3}", ours.median, peer.name, peer.median);
}

fn verdict(spec: &rows::Spec, ours: &Figure, fastest: &Figure) {
    let ratio = ours.median / fastest.median;
    let aim = hope(spec.aim, ratio);
    println!(
        "{:<20} {:>10.1}  {:<26} {:>10.1}  {ratio:>6.3}  {:>7.2}  {}{aim}",
        spec.name,
        ours.median,
        fastest.name,
        fastest.median,
        spec.target,
        yes_or_no(ratio <= spec.target),
    );
}

fn hope(aim: Option<f64>, ratio: f64) -> String {
    aim.map_or(String::new(), |aim| format!(", aim {aim:.2}: {}", yes_or_no(ratio <= aim)))
}

/// Least and most of the rounds show how quiet the machine was.
fn detail(figure: &Figure) {
    println!("    {:<26} {:>10.1}  ({:.1} to {:.1})", figure.name, figure.median, figure.least, figure.most);
}

/// The headings of the timed rows of process pools.
pub(crate) fn process_head(style: Style, rounds: usize) {
    if let Style::Table = style {
        println!("Nanoseconds per task, median of {rounds} interleaved rounds; ratios are ours to theirs.\n");
        println!(
            "    {:<30} {:>13}  {:>13} {:>13}  {:>7}  {:>7}  reached?",
            "contender", "median", "least", "most", "ratio", "target"
        );
    }
}

/// One timed row of process pools, each peer with a target of its own; the first figure is ours.
pub(crate) fn process(style: Style, spec: &process_rows::Spec, row: &process_rows::Row, figures: &[Figure]) {
    let (ours, peers) = figures.split_first().expect("a row has contenders");
    if let Style::Tsv = style {
        return peers.iter().for_each(|peer| tsv(spec.name, ours, peer));
    }
    match &row.note {
        Some(note) => println!("{} ({note})", spec.name),
        None => println!("{}", spec.name),
    }
    println!("    {}", span(ours));
    for peer in peers {
        let ratio = ours.median / peer.median;
        let target = spec.targets.iter().find(|target| target.peer == peer.name);
        let verdict = target.map_or(String::new(), |target| reached(target, ratio));
        println!("    {}  {ratio:>7.3}{verdict}", span(peer));
    }
    for (name, reason) in &row.absent {
        println!("    {name:<30} {reason}");
    }
}

fn span(figure: &Figure) -> String {
    format!("{:<30} {:>13.1}  {:>13.1} {:>13.1}", figure.name, figure.median, figure.least, figure.most)
}

fn reached(target: &Target, ratio: f64) -> String {
    format!("  {:>7.2}  {}{}", target.ratio, yes_or_no(ratio <= target.ratio), hope(target.aim, ratio))
}

/// The headings of the counted rows.
pub(crate) fn counted_head(style: Style) {
    if let Style::Table = style {
        println!("\nCounted, not timed against a peer.\n");
        println!("{:<32} {:>10}  {:>8}  reached?", "row", "ours", "target");
    }
}

/// One counted row; in the lines for programs the target stands where a peer would.
pub(crate) fn counted(style: Style, spec: &crate::counted::Spec, value: Result<f64, String>) {
    match (style, value, spec.target) {
        (Style::Table, value, target) => {
            let (figure, verdict) = match value {
                Ok(value) => (format!("{value:.3}"), target.map_or("", |target| yes_or_no(value <= target)).to_owned()),
                Err(reason) => ("-".to_owned(), reason),
            };
            let target = target.map_or("-".to_owned(), |target| format!("{target:.2}"));
            let line = format!("{:<32} {figure:>10}  {target:>8}  {verdict}", spec.name);
            println!("{}", line.trim_end());
        }
        (Style::Tsv, Ok(value), Some(target)) => {
            // Nothing where nothing is allowed is as wanted, not a division by zero.
            let ratio = if value == 0.0 { 0.0 } else { value / target };
            println!("{}\t{value:.3}\ttarget\t{target:.2}\t{ratio:.3}", spec.name);
        }
        (Style::Tsv, Ok(value), None) => println!("{}\t{value:.3}\t-\t-\t-", spec.name),
        // A line without a figure would only look like one.
        (Style::Tsv, Err(_), _) => {}
    }
}

/// Says what went wrong.
#[expect(clippy::print_stderr, reason = "printing is what this program is for")]
pub(crate) fn failure(text: &str) -> ExitCode {
    eprintln!("compare: {text}");
    ExitCode::FAILURE
}

/// The bare count, for the parent process to read.
pub(crate) fn bare(value: f64) {
    println!("{value}");
}

fn yes_or_no(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}
