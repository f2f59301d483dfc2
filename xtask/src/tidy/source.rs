use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use proc_macro2::{Delimiter, Group, Punct, Spacing, Span, TokenStream, TokenTree};
use syn::visit::Visit;

use crate::error::Error;

/// One Rust file, taken apart as far as the rules need it.
pub(crate) struct Source {
    /// All tokens in order, documentation left out; `::` is one token.
    pub(crate) tokens: Vec<Token>,
    /// Every function with a body. Those inside macros (`proptest!`) are not seen.
    pub(crate) functions: Vec<Function>,
    /// What `use` brings in, one full path each.
    pub(crate) imports: Vec<Token>,
    /// Names of modules declared as `#[cfg(test)] mod name;`.
    pub(crate) test_modules: Vec<String>,
    /// The whole file is test code.
    pub(crate) is_test_file: bool,
    code_lines: BTreeSet<usize>,
    test_lines: Vec<RangeInclusive<usize>>,
}

/// A token, or several joined into a path, with its line counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// A function with a body, from `fn` to its closing brace.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) lines: RangeInclusive<usize>,
}

impl Source {
    pub(crate) fn parse(path: &str, text: &str) -> Result<Self, Error> {
        let syntax = |error: &syn::Error| Error::Syntax {
            path: path.to_owned(),
            line: error.span().start().line,
            message: error.to_string(),
        };
        let file = syn::parse_file(text).map_err(|error| syntax(&error))?;
        // `parse_file` takes off a first line that calls an interpreter; no file here has one.
        let stream: TokenStream =
            text.parse().map_err(|error: proc_macro2::LexError| syntax(&error.into()))?;
        let mut lexer = Lexer { text: text.lines().collect(), ..Lexer::default() };
        lexer.stream(stream);
        let mut visitor = Visitor::default();
        visitor.visit_file(&file);
        Ok(Self {
            tokens: lexer.tokens,
            functions: visitor.functions,
            imports: visitor.imports,
            test_modules: lexer.test_modules,
            is_test_file: is_test_path(path),
            code_lines: lexer.code_lines,
            test_lines: lexer.test_lines,
        })
    }

    /// Whether a line belongs to a test.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.is_test_file || self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Lines that hold code: neither blank nor comment nor documentation.
    pub(crate) fn code_lines(&self) -> impl Iterator<Item = usize> {
        self.code_lines.iter().copied()
    }

    /// How many lines of code a function has.
    pub(crate) fn length(&self, function: &Function) -> usize {
        self.code_lines.range(function.lines.clone()).count()
    }

    /// Tokens with `a :: b` joined to `a::b`, followed by the imports.
    pub(crate) fn paths(&self) -> Vec<Token> {
        let mut paths: Vec<Token> = vec![];
        let mut joining = false;
        for token in &self.tokens {
            match paths.last_mut() {
                Some(last) if joining || token.text == "::" => last.text.push_str(&token.text),
                _ => paths.push(token.clone()),
            }
            joining = token.text == "::";
        }
        paths.extend_from_slice(&self.imports);
        paths
    }

    /// Names of functions under `#[test]`, `#[tokio::test]` and the like, inside macros too.
    pub(crate) fn test_names(&self) -> Vec<String> {
        let paths = self.paths();
        let texts: Vec<&str> = paths.iter().map(|path| path.text.as_str()).collect();
        let mut names = vec![];
        let mut is_test = false;
        for window in texts.windows(3) {
            match window {
                ["#", "[", path] if *path == "test" || path.ends_with("::test") => is_test = true,
                [_, "fn", name] if is_test => {
                    names.push((*name).to_owned());
                    is_test = false;
                }
                _ => {}
            }
        }
        names
    }
}

/// Files that cargo builds for tests and benchmarks only.
fn is_test_path(path: &str) -> bool {
    path.split('/').any(|part| part == "tests" || part == "benches")
}

/// Flattens a token stream, and notes where the code and the tests are.
#[derive(Default)]
struct Lexer<'a> {
    text: Vec<&'a str>,
    tokens: Vec<Token>,
    code_lines: BTreeSet<usize>,
    test_lines: Vec<RangeInclusive<usize>>,
    test_modules: Vec<String>,
    /// The token before is a colon that the next character joins.
    after_colon: bool,
}

impl Lexer<'_> {
    fn stream(&mut self, stream: TokenStream) {
        let trees: Vec<TokenTree> = stream.into_iter().filter(|tree| !self.is_doc(tree.span())).collect();
        for (index, tree) in trees.iter().enumerate() {
            if let TokenTree::Group(group) = tree
                && group.delimiter() == Delimiter::Bracket
                && is_test_marker(group)
            {
                self.test_item(group, trees.iter().skip(index));
            }
        }
        for tree in trees {
            self.tree(tree);
        }
    }

    fn tree(&mut self, tree: TokenTree) {
        let after_colon = std::mem::take(&mut self.after_colon);
        match tree {
            TokenTree::Group(group) => self.group(&group),
            TokenTree::Punct(punct) => self.punct(&punct, after_colon),
            TokenTree::Ident(ident) => self.push(&ident.to_string(), ident.span()),
            TokenTree::Literal(literal) => self.push(&literal.to_string(), literal.span()),
        }
    }

    /// `::` arrives as two colons, the first of them joined to the second.
    fn punct(&mut self, punct: &Punct, after_colon: bool) {
        if punct.as_char() != ':' {
            self.push(&punct.as_char().to_string(), punct.span());
        } else if after_colon {
            self.tokens.pop();
            self.push("::", punct.span());
        } else {
            self.push(":", punct.span());
            self.after_colon = punct.spacing() == Spacing::Joint;
        }
    }

    fn group(&mut self, group: &Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Brace => ("{", "}"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::None => ("", ""),
        };
        self.push(open, group.span_open());
        self.stream(group.stream());
        self.push(close, group.span_close());
    }

    fn push(&mut self, text: &str, span: Span) {
        self.code_lines.extend(span.start().line..=span.end().line);
        self.tokens.push(Token { text: text.to_owned(), line: span.start().line });
    }

    /// Documentation arrives as an attribute whose span is the comment.
    fn is_doc(&self, span: Span) -> bool {
        let start = span.start();
        let line = start.line.checked_sub(1).and_then(|index| self.text.get(index));
        let mut here = line.into_iter().flat_map(|line| line.chars().skip(start.column));
        here.next() == Some('/') && matches!(here.next(), Some('/' | '*'))
    }

    /// A test reaches from its marker to the end of its body, or to the semicolon of `mod name;`.
    fn test_item<'t>(&mut self, marker: &Group, rest: impl Iterator<Item = &'t TokenTree>) {
        let mut last_ident = None;
        let mut is_module = false;
        for tree in rest {
            let end = match tree {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => true,
                TokenTree::Punct(punct) if punct.as_char() == ';' => {
                    self.test_modules.extend(last_ident.take().filter(|_| is_module));
                    true
                }
                TokenTree::Ident(ident) => {
                    is_module |= ident == "mod";
                    last_ident = Some(ident.to_string());
                    false
                }
                _ => false,
            };
            if end {
                self.test_lines.push(marker.span_open().start().line..=tree.span().end().line);
                return;
            }
        }
    }
}

/// `[test]`, `[tokio::test(…)]`, `[cfg(test)]`, `[cfg(all(test, …))]`, but not `[cfg(not(test))]` nor `[cfg(any(test, …))]`.
fn is_test_marker(group: &Group) -> bool {
    let text: String = group.stream().to_string().chars().filter(|c| !c.is_whitespace()).collect();
    let path = text.split('(').next().unwrap_or_default();
    path == "test" || path.ends_with("::test") || text == "cfg(test)" || text.starts_with("cfg(all(test,")
}

#[derive(Default)]
struct Visitor {
    functions: Vec<Function>,
    imports: Vec<Token>,
}

impl Visitor {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let start = signature.fn_token.span.start().line;
        let end = body.brace_token.span.close().end().line;
        self.functions.push(Function { name: signature.ident.to_string(), lines: start..=end });
    }

    /// `use a::{b, c as d}` brings in `a::b` and `a::c`.
    fn import(&mut self, prefix: &str, tree: &syn::UseTree) {
        let mut leaf = |ident: &syn::Ident| {
            let line = ident.span().start().line;
            self.imports.push(Token { text: format!("{prefix}{ident}"), line });
        };
        match tree {
            syn::UseTree::Path(path) => self.import(&format!("{prefix}{}::", path.ident), &path.tree),
            syn::UseTree::Name(name) => leaf(&name.ident),
            syn::UseTree::Rename(rename) => leaf(&rename.ident),
            syn::UseTree::Glob(glob) => {
                let line = glob.star_token.spans[0].start().line;
                self.imports.push(Token { text: format!("{prefix}*"), line });
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.import(prefix, item)),
        }
    }
}

impl<'ast> Visit<'ast> for Visitor {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.function(&item.sig, body);
        }
        syn::visit::visit_trait_item_fn(self, item);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.import("", &item.tree);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::parse("src/sample.rs", text).unwrap()
    }

    #[test]
    fn comments_documentation_and_blank_lines_are_no_code() {
        let text = "//! Doc.\n\n// Comment.\n/// Doc.\nfn f() {\n    // Comment.\n\n    /* a */ g();\n}\n/** Doc.\n */\nstruct S;";
        assert_eq!(source(text).code_lines().collect::<Vec<_>>(), [5, 8, 9, 12]);
    }

    #[test]
    fn text_over_several_lines_is_code() {
        assert_eq!(source("const A: &str = \"a\nb\nc\";").code_lines().count(), 3);
    }

    #[test]
    fn functions_are_measured_from_fn_to_brace() {
        let text = "/// Doc.\n#[inline]\npub fn a(\n    x: u8,\n) {\n    // why\n    b();\n}\nimpl S {\n    fn c() {}\n}\ntrait T {\n    fn d();\n    fn e() {\n    }\n}";
        let source = source(text);
        let lengths: Vec<_> = source.functions.iter().map(|f| (f.name.as_str(), source.length(f))).collect();
        assert_eq!(lengths, [("a", 5), ("c", 1), ("e", 2)]);
    }

    #[test]
    fn test_code_is_told_from_product_code() {
        let source = source(
            "fn a() {}\n#[test]\nfn b() {\n}\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n#[cfg(not(test))]\nfn d() {}\n#[tokio::test(flavor)]\nasync fn e() {\n}\nfn f() {}",
        );
        let tests: Vec<usize> = (1..=14).filter(|&line| source.is_test(line)).collect();
        assert_eq!(tests, [2, 3, 4, 5, 6, 7, 8, 11, 12, 13]);
    }

    #[test]
    fn tests_folders_are_test_code() {
        assert!(Source::parse("crates/a/tests/b.rs", "").unwrap().is_test(1));
        assert!(!Source::parse("crates/a/src/b.rs", "").unwrap().is_test(1));
    }

    #[test]
    fn imports_are_full_paths() {
        let imports = source("use std::{net, fs::File as F};\nuse core::fmt::*;").imports;
        let imports: Vec<_> = imports.iter().map(|import| (import.text.as_str(), import.line)).collect();
        assert_eq!(imports, [("std::net", 1), ("std::fs::File", 1), ("core::fmt::*", 2)]);
    }

    #[test]
    fn paths_are_joined_inside_macros_too() {
        let paths = source("fn a() { print!(\"{}\", std::env::var(b)); }").paths();
        assert!(paths.iter().any(|path| path.text == "std::env::var"), "{paths:?}");
    }

    #[test]
    fn tests_are_found_by_name_inside_macros_too() {
        let text = "#[test]\nfn a() {}\nfn b() {}\nproptest! { #[test] fn c(x in 0..1) {} }\n#[tokio::test(x)] async fn d() {}";
        assert_eq!(source(text).test_names(), ["a", "c", "d"]);
    }
}
