use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::tidy::source::Source;
use crate::workspace::Metadata;

/// Folders that hold no text of ours.
const SKIPPED: &[&str] = &[".git", "target", "artifacts", "coverage"];

/// All text files of a checkout, by their path from the root, and what cargo says of its packages.
#[derive(Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    sources: BTreeMap<String, Source>,
    metadata: Metadata,
}

impl Tree {
    /// Reads a checkout.
    pub(crate) fn load(root: &Path, metadata: Metadata) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        read_folder(root, "", &mut files)?;
        Self::new(files, metadata)
    }

    fn new(files: BTreeMap<String, String>, metadata: Metadata) -> Result<Self, Error> {
        let mut sources = BTreeMap::new();
        for (path, text) in files.iter().filter(|(path, _)| path.ends_with(".rs")) {
            sources.insert(path.clone(), Source::parse(path, text)?);
        }
        mark_test_modules(&mut sources);
        Ok(Self { files, sources, metadata })
    }

    /// All files with their text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// One file.
    pub(crate) fn file(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// All Rust files.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.sources.iter().map(|(path, source)| (path.as_str(), source))
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Samples for the tests of rules.
#[cfg(test)]
impl Tree {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::with_metadata(files, Metadata::default())
    }

    pub(crate) fn with_metadata(files: &[(&str, &str)], metadata: Metadata) -> Self {
        let files = files.iter().map(|&(path, text)| (path.to_owned(), text.to_owned())).collect();
        Self::new(files, metadata).unwrap()
    }
}

/// Reads what is text (UTF-8 without a zero byte) below a folder; links are not followed.
fn read_folder(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file(folder))? {
        let entry = entry.map_err(Error::file(folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(Error::file(&path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if kind.is_dir() && !SKIPPED.contains(&name.as_str()) {
            read_folder(&path, &format!("{prefix}{name}/"), files)?;
        } else if kind.is_file() {
            let text = String::from_utf8(fs::read(&path).map_err(Error::file(&path))?);
            if let Some(text) = text.ok().filter(|text| !text.contains('\0')) {
                files.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    Ok(())
}

/// A module declared as `#[cfg(test)] mod name;` is test code although its own file does not say so.
fn mark_test_modules(sources: &mut BTreeMap<String, Source>) {
    let mut modules = vec![];
    for (path, source) in sources.iter() {
        let folder = module_folder(path);
        modules.extend(source.test_modules.iter().map(|name| format!("{folder}{name}")));
    }
    for (path, source) in sources.iter_mut() {
        let inside = |module: &String| {
            path.strip_prefix(module.as_str()).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
        };
        source.is_test_file |= modules.iter().any(inside);
    }
}

/// Where the modules that a file declares are: `src/a.rs` has them in `src/a/`, `src/lib.rs` in `src/`.
fn module_folder(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    match name {
        "lib.rs" | "main.rs" | "mod.rs" => format!("{folder}/"),
        _ => format!("{folder}/{}/", name.trim_end_matches(".rs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_of_a_test_module_is_test_code() {
        let tree = Tree::of(&[
            ("src/lib.rs", "#[cfg(test)] mod samples; mod real;"),
            ("src/samples.rs", ""),
            ("src/samples/deep.rs", ""),
            ("src/real.rs", "#[cfg(test)]\nmod tests;"),
            ("src/real/tests.rs", ""),
            ("src/samples_of_another_kind.rs", ""),
        ]);
        let tests: Vec<&str> = tree.sources().filter(|(_, s)| s.is_test_file).map(|(path, _)| path).collect();
        assert_eq!(tests, ["src/real/tests.rs", "src/samples.rs", "src/samples/deep.rs"]);
    }

    #[test]
    fn text_that_is_not_rust_is_named() {
        let files = [("src/lib.rs".to_owned(), "\nfn {".to_owned())].into();
        let error = Tree::new(files, Metadata::default()).err().unwrap();
        assert!(error.to_string().starts_with("src/lib.rs:2: not valid Rust"), "{error}");
    }
}
