//! The task: takes one file, and returns its counts or the reason why there are none.

use std::ffi::OsString;
use std::fs;
use std::ops::{AddAssign, Range};

use proc_macro2::{TokenStream, TokenTree, extra};
use serde::{Deserialize, Serialize};
use syn::visit::{self, Visit};
use syn::{Block, ExprUnsafe, ImplItemFn, ItemFn, Signature, TraitItemFn};

use crate::rules::{Rules, rules};

/// What was counted in a file, or in all of them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) lines: u64,
    pub(crate) unsafe_blocks: u64,
    pub(crate) markers: u64,
    pub(crate) long_functions: u64,
}

impl Counts {
    /// All that a reviewer would look at.
    pub(crate) fn findings(&self) -> u64 {
        self.unsafe_blocks + self.markers + self.long_functions
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.unsafe_blocks += other.unsafe_blocks;
        self.markers += other.markers;
        self.long_functions += other.long_functions;
    }
}

/// Counts what is in a file. Of macros it reads only the comments.
pub(crate) fn lint(path: OsString) -> Result<Counts, String> {
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let counts = count(&text, rules());
    // The parser keeps every text of a thread, to find lines in it; this file's text is not needed again.
    extra::invalidate_current_thread_spans();
    counts.map_err(|error| format!("is not Rust: {error}"))
}

fn count(text: &str, rules: &Rules) -> Result<Counts, syn::Error> {
    let code = without_first_line_for_shells(text);
    let tokens: TokenStream = code.parse()?;
    let mut counter = Counter { rules, counts: Counts::default() };
    counter.visit_file(&syn::parse2(tokens.clone())?);
    let markers = Comments::markers(code, tokens, rules);
    Ok(Counts { lines: text.lines().count() as u64, markers, ..counter.counts })
}

/// Returns the text without a `#!/usr/bin/env ..` at its start, which is for the system; `#![..]` is Rust.
fn without_first_line_for_shells(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.starts_with("#!") && !text[2..].trim_start().starts_with('[') {
        text.find('\n').map_or("", |end| &text[end..])
    } else {
        text
    }
}

/// Counts what the syntax tree shows.
struct Counter<'a> {
    rules: &'a Rules,
    counts: Counts,
}

impl Counter<'_> {
    fn function(&mut self, signature: &Signature, body: &Block) {
        let first = signature.fn_token.span.start().line;
        let last = body.brace_token.span.close().end().line;
        self.counts.long_functions += u64::from(last + 1 - first > self.rules.longest_function as usize);
    }
}

impl<'ast> Visit<'ast> for Counter<'_> {
    fn visit_expr_unsafe(&mut self, block: &'ast ExprUnsafe) {
        self.counts.unsafe_blocks += 1;
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(body) = &function.default {
            self.function(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// Counts markers in comments: in the text between tokens, and in the tokens that documentation is made of.
struct Comments<'a> {
    code: &'a str,
    rules: &'a Rules,
    /// Where the tokens so far end, in bytes.
    end: usize,
    markers: u64,
}

impl Comments<'_> {
    fn markers(code: &str, tokens: TokenStream, rules: &Rules) -> u64 {
        // Most files have no marker, and then the tokens need no positions.
        if !rules.markers.iter().any(|marker| code.contains(marker)) {
            return 0;
        }
        let mut comments = Comments { code, rules, end: 0, markers: 0 };
        comments.pass(tokens);
        comments.token(code.len()..code.len());
        comments.markers
    }

    fn pass(&mut self, tokens: TokenStream) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => {
                    self.token(group.span_open().byte_range());
                    self.pass(group.stream());
                    self.token(group.span_close().byte_range());
                }
                // A comment that is documentation becomes `#[doc = ".."]`, each piece of it as long as the comment.
                TokenTree::Punct(punct) if punct.as_char() == '#' && punct.span().byte_range().len() > 1 => {
                    self.documentation(punct.span().byte_range());
                }
                token => self.token(token.span().byte_range()),
            }
        }
    }

    /// Code begins here: all since the last of it is comments and space.
    fn token(&mut self, token: Range<usize>) {
        self.text(self.end..token.start);
        self.end = self.end.max(token.end);
    }

    fn documentation(&mut self, comment: Range<usize>) {
        self.token(comment.clone());
        self.text(comment);
    }

    fn text(&mut self, range: Range<usize>) {
        // Empty between two pieces of one documentation, of which the second begins before the first ends.
        let text = self.code.get(range).unwrap_or_default();
        let words = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
        self.markers += words.filter(|word| self.rules.markers.iter().any(|marker| marker == word)).count() as u64;
    }
}
