//! `cargo xtask docs`: the documents as a book.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use mdbook_driver::MDBook;
use mdbook_driver::config::Config;

use crate::root;

/// The chapters of the book, and the page on GitHub that lists all documents.
const SUMMARY: &str = "docs/SUMMARY.md";
const CONFIG: &str = "docs/book.toml";

/// Make a book of the documents, in target/docs. Fails if a link in it leads nowhere.
#[derive(Debug, Args)]
pub struct Options {}

pub fn run(_: &Options) -> Result<()> {
    let book = root().join("target/docs");
    build(&book)?;
    println!("wrote {}", book.join("index.html").display());
    Ok(())
}

/// Builds the book. What is in the folder is deleted.
pub fn build(into: &Path) -> Result<()> {
    let source = tempfile::tempdir()?;
    stage(source.path())?;
    let mut config = Config::from_disk(root().join(CONFIG)).context(CONFIG)?;
    config.book.src = PathBuf::from(".");
    config.build.build_dir = PathBuf::from(into);
    config.build.create_missing = false;
    // A page has the name of its file, and braces in a file mean nothing.
    config.build.use_default_preprocessors = false;
    MDBook::load_with_config(source.path(), config)?.build()?;
    let dead = dead_links(into)?;
    ensure!(dead.is_empty(), "these links of the book lead nowhere:\n{}", dead.join("\n"));
    Ok(())
}

/// Copies the chapters, and the files that they link to, with their paths in the repository. So a link leads in the book to
/// where it leads in the repository, also out of docs/.
fn stage(source: &Path) -> Result<()> {
    let list = read(Path::new(SUMMARY))?;
    let mut summary = list.clone();
    let links = links(&list);
    let chapters: Vec<_> = links.iter().map(|link| resolved(Path::new(SUMMARY), link)).collect();
    for (link, chapter) in links.iter().zip(&chapters) {
        summary = summary.replace(&format!("]({link})"), &format!("]({})", chapter.display()));
    }
    fs::write(source.join("SUMMARY.md"), summary)?;
    for chapter in &chapters {
        copy(chapter, source)?;
        for link in self::links(&read(chapter)?) {
            let path = resolved(chapter, link.split('#').next().unwrap_or_default());
            let is_chapter = chapters.contains(&path);
            ensure!(is_chapter || !has_extension(&path, "md"), "{SUMMARY} has no {}", path.display());
            // A link to a folder would need a page of its own.
            ensure!(root().join(&path).is_file(), "{} links to {link}", chapter.display());
            copy(&path, source)?;
        }
    }
    Ok(())
}

fn copy(path: &Path, to: &Path) -> Result<()> {
    let copy = to.join(path);
    copy.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::copy(root().join(path), copy).map(drop).with_context(|| path.display().to_string())
}

/// The targets of links, but for those of the web, and for patterns that look like links.
fn links(markdown: &str) -> Vec<&str> {
    let targets = markdown.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(it, _)| it);
    targets.filter(|target| !target.contains("://") && !target.contains('[')).collect()
}

/// What a link in a file means; the file itself if it has only a heading.
fn resolved(file: &Path, link: &str) -> PathBuf {
    if link.is_empty() {
        return file.to_owned();
    }
    let mut path = PathBuf::new();
    for part in file.parent().unwrap_or(Path::new("")).join(link).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

/// The links of all pages that lead to no file, or to no heading, of the book.
pub fn dead_links(book: &Path) -> Result<Vec<String>> {
    let mut dead = Vec::new();
    for page in pages(book)? {
        let html = fs::read_to_string(&page)?;
        for attribute in ["href=\"", "src=\""] {
            let links = html.split(attribute).skip(1).filter_map(|rest| rest.split('"').next());
            for link in links.filter(|link| !link.contains("://") && !link.starts_with("data:")) {
                let (path, id) = link.split_once('#').map_or((link, None), |(path, id)| (path, Some(id)));
                let target = resolved(&page, path);
                let has =
                    |id| fs::read_to_string(&target).is_ok_and(|html| html.contains(&format!("id=\"{id}\"")));
                if !target.is_file() || !id.is_none_or(has) {
                    dead.push(format!("{}: {link}", page.strip_prefix(book).unwrap_or(&page).display()));
                }
            }
        }
    }
    Ok(dead)
}

fn pages(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(pages(&path)?);
        } else if has_extension(&path, "html") {
            found.push(path);
        }
    }
    Ok(found)
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|it| it == extension)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_book_builds_and_each_link_in_it_leads_somewhere() {
        let book = tempfile::tempdir().expect("a folder");
        build(book.path()).expect("a book");
        for page in ["index.html", "docs/concepts.html", "docs/api-reference.html", "SECURITY.html"] {
            assert!(book.path().join(page).is_file(), "{page} is missing");
        }
    }

    #[test]
    fn a_link_to_no_file_and_one_to_no_heading_are_found() {
        let book = tempfile::tempdir().expect("a folder");
        let write = |name: &str, html: &str| fs::write(book.path().join(name), html).expect("a page");
        write(
            "one.html",
            r##"<h1 id="a"><a href="#a"><a href="two.html#b"><img src="three.svg"><a href="#c">"##,
        );
        write("two.html", r#"<h1 id="b"><a href="https://example.com/x"><a href="one.html#b">"#);
        let mut dead = dead_links(book.path()).expect("pages");
        dead.sort();
        assert_eq!(dead, ["one.html: #c", "one.html: three.svg", "two.html: one.html#b"]);
    }

    #[test]
    fn a_link_is_resolved_from_the_folder_of_its_file() {
        let file = Path::new("docs/faq.md");
        assert_eq!(resolved(file, "concepts.md"), Path::new("docs/concepts.md"));
        assert_eq!(resolved(file, "../deploy/install.yaml"), Path::new("deploy/install.yaml"));
        assert_eq!(resolved(file, ""), file);
    }
}
