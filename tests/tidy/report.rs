//! What was found wrong: a test names every fault at once, so that one run is enough to repair them.

use crate::sources::TextFile;

#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn add(&mut self, file: &TextFile, line: usize, what: &str) {
        self.0.push(format!("{}:{line}: {what}", file.path));
    }

    pub(crate) fn say(&mut self, what: String) {
        self.0.push(what);
    }

    pub(crate) fn search(&mut self, file: &TextFile, number: usize, code: &str, table: &[(&[&str], &str)]) {
        for (pieces, advice) in table {
            let text = pieces.concat();
            if code.contains(&text) {
                self.add(file, number, &format!("`{text}`: {advice}"));
            }
        }
    }

    pub(crate) fn check(self) {
        assert!(self.0.is_empty(), "{} faults:\n{}", self.0.len(), self.0.join("\n"));
    }
}
