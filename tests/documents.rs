//! The documents lead somewhere: every link, and everything that is named in text or code, is in this repository. Every command in
//! them is typed by a test or marked as an example.

mod typed;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use typed::{Block, blocks};

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

/// The first one is the list itself.
#[test]
fn every_document_is_in_the_list_of_all_documents() {
    let summary = root().join("docs/SUMMARY.md");
    let listed: BTreeSet<_> = links(&read(&summary))
        .iter()
        .map(|link| root().join("docs").join(link).canonicalize().expect("a document"))
        .collect();
    let documents = files().into_iter().filter(|file| has_extension(file, "md"));
    let missing: Vec<_> = documents
        .filter(|file| !listed.contains(&file.canonicalize().expect("a path")))
        .map(|it| shown(&it))
        .collect();
    assert!(missing.is_empty(), "docs/SUMMARY.md does not list {}", missing.join(", "));
}

#[test]
fn every_file_and_every_test_that_a_document_names_is_there() {
    let code: String =
        files().iter().filter(|file| has_extension(file, "rs")).map(|file| read(file)).collect();
    let mut unknown = Vec::new();
    for file in files().into_iter().filter(|file| has_extension(file, "md") && !file.ends_with("mutants.md"))
    {
        for name in read(&file).split('`').skip(1).step_by(2) {
            let is_there = if is_path(name) {
                let folders = [root(), file.parent().expect("a folder").to_owned()];
                let exists = |path: &String| folders.iter().any(|folder| folder.join(path).exists());
                alternatives(name).iter().all(exists)
            } else if is_test(name) {
                code.contains(&format!("fn {name}()"))
            } else {
                continue;
            };
            if !is_there {
                unknown.push(format!("{}: {name}", shown(&file)));
            }
        }
    }
    assert!(unknown.is_empty(), "these are not here:\n{}", unknown.join("\n"));
}

#[test]
fn the_api_reference_has_every_finalizer_and_annotation_in_the_code() {
    let reference = read(&root().join("docs/api-reference.md"));
    for file in
        files().into_iter().filter(|file| file.starts_with(root().join("src")) && has_extension(file, "rs"))
    {
        for rest in read(&file).split("\"sdn.zenlayer.com/").skip(1) {
            let name = rest.split('"').next().unwrap_or_default();
            let is_documented = reference.contains(&format!("sdn.zenlayer.com/{name}`"));
            assert!(is_documented, "docs/api-reference.md does not explain {name} of {}", shown(&file));
        }
    }
}

#[test]
fn every_command_is_typed_by_the_test_that_is_named_or_marked_as_an_example() {
    let tests: Vec<_> =
        files().into_iter().filter(|file| has_extension(file, "rs")).map(|it| read(&it)).collect();
    let mut wrong = Vec::new();
    for file in files().into_iter().filter(|file| has_extension(file, "md")) {
        let (content, document) = (read(&file), shown(&file));
        for (number, line) in (1..).zip(content.lines()) {
            if ["```sh", "```bash", "```shell"].iter().any(|fence| line.trim_start().starts_with(fence)) {
                wrong.push(format!("{document}:{number}: write ```console, and `$ ` before each command"));
            }
        }
        for Block { line, mark, commands } in blocks(&content) {
            let complaint = match mark.strip_prefix("typed=") {
                _ if commands.is_empty() => "no line begins with `$ `".to_owned(),
                Some(test) if !tests.iter().any(|code| types(code, test, &document)) => {
                    format!("no test {test} calls typed(\"{document}\", \"{test}\")")
                }
                None if mark != "example" => "write typed=TEST or example behind ```console".to_owned(),
                _ => continue,
            };
            wrong.push(format!("{document}:{line}: {complaint}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the code has this test, and it reads the commands of this document.
fn types(code: &str, test: &str, document: &str) -> bool {
    let Some((_, body)) = code.split_once(&format!("#[test]\nfn {test}() {{")) else { return false };
    let body = body.split("\n}\n").next().unwrap_or_default();
    let body: String = body.chars().filter(|character| !character.is_whitespace()).collect();
    body.contains(&format!("typed(\"{document}\",\"{test}\")"))
}

#[test]
fn commands_are_found_and_the_test_that_types_them() {
    let text = "```console typed=a\n$ one \\\n  | two\nprinted\n$ while x; do\n    three\n  done\n```\n\
                1. a\n   ```console example\n   $ four\n   ```\n```console\n$ five\n```\n```text\n$ six\n```\n";
    let found = blocks(text);
    let marks: Vec<_> = found.iter().map(|block| (block.line, block.mark.as_str())).collect();
    assert_eq!(marks, [(1, "typed=a"), (10, "example"), (13, "")], "{found:?}");
    assert_eq!(found[0].commands, ["one \\\n  | two", "while x; do\n    three\n  done"]);
    assert_eq!(found[1].commands, ["four"]);

    let code = "#[test]\nfn a() {\n    typed(\n\"d.md\", \"a\")\n}\n#[test]\nfn b() {\n}\nfn c() {\n    typed(\"d.md\", \"c\")\n}\n";
    assert!(types(code, "a", "d.md"));
    assert!(!types(code, "a", "e.md"), "it reads another document");
    assert!(!types(code, "b", "d.md"), "it reads no document");
    assert!(!types(code, "c", "d.md"), "it is no test");
}

/// A path of this repository, perhaps with `{a,b}`.
fn is_path(name: &str) -> bool {
    let folders = ["src/", "tests/", "xtask/", "docs/", "deploy/", "crds/", ".github/"];
    folders.iter().any(|folder| name.starts_with(folder)) && !name.contains(char::is_whitespace)
}

/// A test has a sentence as its name.
fn is_test(name: &str) -> bool {
    name.matches('_').count() > 5
        && name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_')
}

/// `a/{b,c}.rs` is `a/b.rs` and `a/c.rs`.
fn alternatives(path: &str) -> Vec<String> {
    let Some((head, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (names, tail) = rest.split_once('}').unwrap_or((rest, ""));
    names.split(',').map(|name| format!("{head}{name}{tail}")).collect()
}

#[test]
fn links_and_names_are_found() {
    assert_eq!(alternatives("a/{b,c}.rs"), ["a/b.rs", "a/c.rs"]);
    assert!(is_test("a_port_that_is_gone_is_gone") && !is_test("last_watch_event_timestamp_seconds"));
    assert_eq!(links("a [b](c.md#d) and ![e](f.svg), [g](https://example.com)"), ["c.md#d", "f.svg"]);
    assert_eq!(documents_named("see (`docs/a-b.md`, errors), c.md: not.mdx"), ["docs/a-b.md", "c.md"]);
    let anchors = anchors("# One\n## What you *see*, `10,000` times\n```\n# no heading\n```\n");
    assert_eq!(anchors.into_iter().collect::<Vec<_>>(), ["one", "what-you-see-10000-times"]);
}

/// The targets of links, but for those of the web, and for patterns that look like links.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let targets = targets.filter(|target| !target.contains("://") && !target.contains('['));
    targets.map(|target| target.replace(['\n', ' '], "")).collect()
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
