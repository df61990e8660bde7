//! Numbers that differ from run to run, taken out of a text.

/// The words before numbers that differ from run to run.
const BEFORE: [&str; 4] = ["task ", "worker ", "worker chaos_", "(pid "];

/// The words that a system adds if it is set up to keep core dumps.
const CORE: &str = ", core dumped";

/// Returns the text with `#` for the numbers of tasks, workers, processes and source lines.
pub(crate) fn redact(text: &str) -> String {
    let mut text = text.replace(CORE, "");
    for before in BEFORE {
        text = without_number_after(&text, before);
    }
    // A source line, and its column: `accident.rs:70:28`.
    without_number_after(&without_number_after(&text, ".rs:"), ".rs:#:")
}

fn without_number_after(text: &str, before: &str) -> String {
    let mut pieces = text.split(before);
    let mut redacted = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let rest = piece.trim_start_matches(|letter: char| letter.is_ascii_digit());
        redacted.push_str(before);
        redacted.push_str(if rest.len() < piece.len() { "#" } else { "" });
        redacted.push_str(rest);
    }
    redacted
}
