//! What a Rust file names of its own crate: every `use` and every path that begins at the crate, here, above or at a child.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module or an item, from the root of its crate.
pub(crate) type Path = Vec<String>;

/// The names that the files of one crate mention and bring in.
#[derive(Default)]
pub(crate) struct Names {
    /// By module: what `use` has brought into it, by the name it has there.
    imports: BTreeMap<Path, BTreeMap<String, Path>>,
    /// Modules that have no file of their own.
    inline: BTreeSet<Path>,
    /// Modules that are there for tests alone.
    pub(crate) for_tests: BTreeSet<Path>,
    pub(crate) mentions: Vec<Mention>,
}

/// Somewhere a path stands.
pub(crate) struct Mention {
    pub(crate) from: Path,
    pub(crate) to: Path,
    pub(crate) line: usize,
    /// `pub use`: nothing of the module needs it.
    is_passed_on: bool,
}

impl Names {
    pub(crate) fn read(&mut self, module: &Path, text: &str) {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{}: {error}", module.join("::")));
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let children = declared(&tokens);
        Reader { names: self, module, children: &children }.items(&tokens, true);
    }

    /// The file, as a module, in which what a path names is written, however it was passed on.
    pub(crate) fn home(&self, path: &[String], files: &BTreeSet<Path>) -> Path {
        self.home_within(path, files, 0)
    }

    fn home_within(&self, path: &[String], files: &BTreeSet<Path>, depth: usize) -> Path {
        let mut at = Path::new();
        for (index, name) in path.iter().enumerate() {
            at.push(name.clone());
            if files.contains(&at) || self.inline.contains(&at) {
                continue;
            }
            at.pop();
            if let Some(origin) = self.imports.get(&at).and_then(|imports| imports.get(name)).filter(|_| depth < 16) {
                let further = [origin.as_slice(), &path[index + 1..]].concat();
                return self.home_within(&further, files, depth + 1);
            }
            break;
        }
        while !files.contains(&at) {
            at.pop();
        }
        at
    }

    /// What a module only passes on of what lies below it is no use of it.
    pub(crate) fn uses(&self) -> impl Iterator<Item = &Mention> {
        self.mentions.iter().filter(|mention| !(mention.is_passed_on && mention.to.starts_with(&mention.from)))
    }
}

struct Reader<'a> {
    names: &'a mut Names,
    module: &'a Path,
    children: &'a BTreeSet<String>,
}

impl Reader<'_> {
    /// Reads items or, deeper inside, anything that may contain paths.
    fn items(&mut self, tokens: &[TokenTree], at_module: bool) {
        let mut at = 0;
        while at < tokens.len() {
            if is_for_tests(&tokens[at..]) {
                let end = at + item_length(&tokens[at..]);
                self.note_test_module(&tokens[at..end]);
                at = end;
                continue;
            }
            at += self.token(tokens, at, at_module);
        }
    }

    /// Reads one token, or what begins with it, and returns how many that was.
    fn token(&mut self, tokens: &[TokenTree], at: usize, at_module: bool) -> usize {
        match &tokens[at] {
            TokenTree::Group(group) => {
                let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                // `pub(in crate::a)` says who may use it, and uses nothing.
                if !(group.delimiter() == Delimiter::Parenthesis && inside.first().is_some_and(|token| is(token, "in")))
                {
                    self.items(&inside, false);
                }
                1
            }
            TokenTree::Ident(word) if *word == "mod" => self.module(tokens, at),
            TokenTree::Ident(word) if *word == "use" && !tokens.get(at + 1).is_some_and(|token| is(token, "<")) => {
                let length = tokens[at..].iter().take_while(|token| !is(token, ";")).count();
                let is_passed_on =
                    at > 0 && (is(&tokens[at - 1], "pub") || matches!(tokens[at - 1], TokenTree::Group(_)));
                self.tree(&tokens[at + 1..at + length], &Path::new(), is_passed_on, at_module);
                length
            }
            TokenTree::Ident(_) if !follows_colons(tokens, at) => self.path(tokens, at),
            _ => 1,
        }
    }

    fn module(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) = (tokens.get(at + 1), tokens.get(at + 2))
        else {
            return 1;
        };
        let module = [self.module.as_slice(), &[name.to_string()]].concat();
        let inside: Vec<TokenTree> = body.stream().into_iter().collect();
        self.names.inline.insert(module.clone());
        let children = declared(&inside);
        Reader { names: self.names, module: &module, children: &children }.items(&inside, true);
        3
    }

    /// A path that begins here, if one does.
    fn path(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let mut names = vec![tokens[at].to_string()];
        let mut end = at + 1;
        while is_colons(tokens, end) {
            let Some(TokenTree::Ident(name)) = tokens.get(end + 2) else { break };
            names.push(name.to_string());
            end += 3;
        }
        if names.len() > 1 {
            self.mention(&names, tokens[at].span().start().line, false);
        }
        end - at
    }

    /// What stands behind `use`: one path, or several in braces.
    fn tree(&mut self, tokens: &[TokenTree], above: &Path, is_passed_on: bool, at_module: bool) {
        for branch in tokens.split(|token| is(token, ",")).filter(|branch| !branch.is_empty()) {
            let mut path = above.clone();
            let mut name = None;
            for (index, token) in branch.iter().enumerate() {
                match token {
                    TokenTree::Group(group) => {
                        let inside: Vec<TokenTree> = group.stream().into_iter().collect();
                        self.tree(&inside, &path, is_passed_on, at_module);
                    }
                    TokenTree::Ident(word) if *word == "as" => {
                        name = branch.get(index + 1).map(ToString::to_string);
                        break;
                    }
                    TokenTree::Ident(word) if *word == "self" && !path.is_empty() => {}
                    TokenTree::Ident(word) => path.push(word.to_string()),
                    _ => {}
                }
            }
            if matches!(branch.last(), Some(TokenTree::Group(_))) {
                continue;
            }
            let name = name.or_else(|| path.last().cloned());
            let line = branch[0].span().start().line;
            if let (Some(to), Some(name), true) = (self.mention(&path, line, is_passed_on), name, at_module) {
                self.names.imports.entry(self.module.clone()).or_default().insert(name, to);
            }
        }
    }

    /// Notes a path, if it is one within the crate, and returns it from the crate's root.
    fn mention(&mut self, names: &[String], line: usize, is_passed_on: bool) -> Option<Path> {
        let to = self.absolute(names)?;
        self.names.mentions.push(Mention { from: self.module.clone(), to: to.clone(), line, is_passed_on });
        Some(to)
    }

    fn absolute(&self, names: &[String]) -> Option<Path> {
        let mut names = names;
        let mut to = match names[0].as_str() {
            "crate" => Path::new(),
            "self" | "super" => self.module.clone(),
            child if self.children.contains(child) => return Some([self.module.as_slice(), names].concat()),
            _ => return None,
        };
        while let [first, rest @ ..] = names {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(to.pop()),
                _ => break,
            }
            names = rest;
        }
        to.extend_from_slice(names);
        Some(to)
    }

    fn note_test_module(&mut self, item: &[TokenTree]) {
        let name = item.windows(2).find(|pair| is(&pair[0], "mod")).map(|pair| pair[1].to_string());
        if let Some(name) = name {
            self.names.for_tests.insert([self.module.as_slice(), &[name]].concat());
        }
    }
}

/// The names of the modules that are declared here.
fn declared(tokens: &[TokenTree]) -> BTreeSet<String> {
    tokens.windows(2).filter(|pair| is(&pair[0], "mod")).map(|pair| pair[1].to_string()).collect()
}

/// `#[cfg(test)]`, `#[cfg(any(test, ..))]`.
fn is_for_tests(tokens: &[TokenTree]) -> bool {
    let [hash, TokenTree::Group(attribute), ..] = tokens else { return false };
    let text = attribute.stream().to_string();
    is(hash, "#")
        && attribute.delimiter() == Delimiter::Bracket
        && text.starts_with("cfg")
        && text.split(|letter: char| !letter.is_alphanumeric()).any(|word| word == "test")
}

/// From its first attribute to the end of its body or its semicolon.
fn item_length(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| {
        is(token, ";") || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    tokens.iter().position(ends).map_or(tokens.len(), |last| last + 1)
}

fn is(token: &TokenTree, text: &str) -> bool {
    match token {
        TokenTree::Ident(word) => *word == text,
        TokenTree::Punct(sign) => text.len() == 1 && text.starts_with(sign.as_char()),
        _ => false,
    }
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    [at, at + 1].iter().all(|index| tokens.get(*index).is_some_and(|token| is(token, ":")))
}

fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is_colons(tokens, at - 2)
}
