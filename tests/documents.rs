//! The documents lead somewhere: every link and every document that is named, in text or code, is in this repository.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A landing page that nobody has to scroll for long.
const LONGEST_README: usize = 150;

#[test]
fn the_readme_is_a_landing_page() {
    let lines = read(&root().join("README.md")).lines().count();
    assert!(lines <= LONGEST_README, "README.md has {lines} lines; move some to docs/");
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut dead = Vec::new();
    for file in files().into_iter().filter(|file| has_extension(file, "md")) {
        for link in links(&read(&file)) {
            let (path, heading) = link.split_once('#').map_or((link.as_str(), None), |(a, b)| (a, Some(b)));
            let folder = file.parent().expect("a folder");
            let target = if path.is_empty() { file.clone() } else { folder.join(path) };
            let leads =
                target.exists() && heading.is_none_or(|heading| anchors(&read(&target)).contains(heading));
            if !leads {
                dead.push(format!("{}: {link}", shown(&file)));
            }
        }
    }
    assert!(dead.is_empty(), "these links lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_document_that_is_named_is_in_this_repository() {
    let files = files();
    let mut unknown = Vec::new();
    for file in &files {
        let text = read(file);
        for (number, line) in (1..).zip(text.lines()) {
            for name in documents_named(line) {
                let known = files.iter().any(|file| file.ends_with(name));
                if !known {
                    unknown.push(format!("{}:{number}: {name}", shown(file)));
                }
            }
            if line.contains('\u{a7}') {
                unknown.push(format!("{}:{number}: a section sign, of which document?", shown(file)));
            }
        }
    }
    assert!(unknown.is_empty(), "these are not here:\n{}", unknown.join("\n"));
}

#[test]
fn links_and_names_are_found() {
    assert_eq!(links("a [b](c.md#d) and ![e](f.svg), [g](https://example.com)"), ["c.md#d", "f.svg"]);
    assert_eq!(documents_named("see (`docs/a-b.md`, errors), c.md: not.mdx"), ["docs/a-b.md", "c.md"]);
    let anchors = anchors("# One\n## What you *see*, `10,000` times\n```\n# no heading\n```\n");
    assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["one", "what-you-see-10000-times"]);
}

/// The targets of links, but for those of the web.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://")).map(|target| target.replace(['\n', ' '], "")).collect()
}

fn documents_named(line: &str) -> Vec<&str> {
    let of_a_name = |character: char| character.is_alphanumeric() || "-_./".contains(character);
    let words = line
        .split(|character| !of_a_name(character))
        .map(|word| word.trim_matches('.').trim_start_matches(['.', '/']));
    words.filter(|word| has_extension(Path::new(word), "md") && !word.contains("//")).collect()
}

/// What GitHub makes of the headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if !in_code && heading.len() < line.len() && heading.starts_with(' ') {
            let kept = |character: char| match character {
                ' ' => Some('-'),
                other => (other.is_alphanumeric() || "-_".contains(other)).then_some(other),
            };
            found.insert(heading.trim().to_lowercase().chars().filter_map(kept).collect());
        }
    }
    found
}

/// All text files of the repository.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if ["md", "rs", "toml", "yaml", "tpl", "txt"].iter().any(|it| has_extension(&path, it)) {
                found.push(path);
            }
        }
    }
    // It is full of examples of what it looks for.
    found.retain(|file| !file.ends_with("tests/documents.rs"));
    found
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|it| it == extension)
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
