//! Heads of files, and what fits in a reader's head.

use syn::visit::{self, Visit};

use crate::report::Faults;
use crate::sources::sources;

/// Longest file, in lines. What does not fit in a head is not reviewed.
const MAX_LINES: usize = 600;

/// Longest function, in lines, from its signature to its brace.
const MAX_FUNCTION_LINES: usize = 60;

#[test]
fn every_source_file_says_what_it_is() {
    let mut faults = Faults::default();
    for file in sources().iter().filter(|file| !file.is_under("tests/compile_fail")) {
        let head = file.text.lines().take_while(|line| line.starts_with("//! "));
        if !head.last().is_some_and(|line| line.ends_with(['.', ':', '!', '?'])) {
            faults.add(file, 1, "starts with `//! ` and a whole sentence on what the file is");
        }
    }
    faults.check();
}

#[test]
fn files_fit_in_a_head() {
    let mut faults = Faults::default();
    for file in sources() {
        let lines = file.text.lines().count();
        if lines > MAX_LINES {
            faults.add(&file, MAX_LINES, &format!("{lines} lines; split it at a noun, {MAX_LINES} are allowed"));
        }
    }
    faults.check();
}

#[test]
fn functions_fit_in_a_head() {
    let mut faults = Faults::default();
    for file in sources() {
        let mut functions = Functions::default();
        functions.visit_file(file.syntax());
        for (line, lines) in functions.0.into_iter().filter(|(_, lines)| *lines > MAX_FUNCTION_LINES) {
            faults.add(&file, line, &format!("a function of {lines} lines; {MAX_FUNCTION_LINES} are allowed"));
        }
    }
    faults.check();
}

/// The first line of each function and the number of its lines.
#[derive(Default)]
struct Functions(Vec<(usize, usize)>);

impl Functions {
    fn note(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        self.0.push((first, block.brace_token.span.close().end().line + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(block) = &function.default {
            self.note(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}
