//! What is printed: a table to read, or lines of tab-separated values for a program.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use crate::counts;
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
        Style::Tsv => {
            for peer in peers {
                let ratio = ours.median / peer.median;
                println!("{}\t{:.1}\t{}\t{:.1}\t{ratio:.3}", spec.name, ours.median, peer.name, peer.median);
            }
        }
    }
}

fn verdict(spec: &rows::Spec, ours: &Figure, fastest: &Figure) {
    let ratio = ours.median / fastest.median;
    let aim = match spec.aim {
        Some(aim) => format!(", aim {aim:.2}: {}", yes_or_no(ratio <= aim)),
        None => String::new(),
    };
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

/// Least and most of the rounds show how quiet the machine was.
fn detail(figure: &Figure) {
    println!("    {:<26} {:>10.1}  ({:.1} to {:.1})", figure.name, figure.median, figure.least, figure.most);
}

/// The headings of the counted rows.
pub(crate) fn counted_head(style: Style) {
    if let Style::Table = style {
        println!("\nCounted, not timed.\n");
        println!("{:<28} {:>10}  {:>8}  reached?", "row", "ours", "target");
    }
}

/// One counted row; in the lines for programs the target stands where a peer would.
pub(crate) fn counted(style: Style, spec: &counts::Spec, value: Result<f64, String>) {
    match (style, value) {
        (Style::Table, Ok(value)) => {
            println!("{:<28} {value:>10.3}  {:>8.2}  {}", spec.name, spec.target, yes_or_no(value <= spec.target));
        }
        (Style::Table, Err(reason)) => println!("{:<28} {:>10}  {:>8.2}  {reason}", spec.name, "-", spec.target),
        (Style::Tsv, Ok(value)) => {
            println!("{}\t{value:.3}\ttarget\t{:.2}\t{:.3}", spec.name, spec.target, value / spec.target);
        }
        // A line without a figure would only look like one.
        (Style::Tsv, Err(_)) => {}
    }
}

/// The bare count, for the parent process to read.
pub(crate) fn bare(value: f64) {
    println!("{value}");
}

fn yes_or_no(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}
