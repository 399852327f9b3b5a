//! What the image is built from. No image is built here: cargo gets what `Dockerfile` and `.dockerignore` give it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// The instructions of a Dockerfile, each on one line.
fn instructions() -> Vec<String> {
    let lines = read("Dockerfile");
    let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n").replace("\\\n", " ").lines().map(|line| line.trim().to_owned()).collect()
}

/// What `.dockerignore` lets through. Knows what ours says, and refuses more: `*`, paths, and `!` before a path.
fn is_sent(path: &Path) -> bool {
    let mut sent = true;
    for line in read(".dockerignore").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (pattern, exception) = line.strip_prefix('!').map_or((line, false), |pattern| (pattern, true));
        assert!(pattern == "*" || !pattern.contains(['*', '?', '[', '!']), "this test does not know {line}");
        if pattern == "*" || path.starts_with(pattern) {
            sent = exception;
        }
    }
    sent
}

/// Copies `path` of the repository, as far as it is sent, with its times, by which cargo knows what has changed.
fn copy(path: &Path, to: &Path) -> io::Result<()> {
    let (from, to_path) = (Path::new(ROOT).join(path), to.join(path));
    if from.is_dir() {
        for entry in fs::read_dir(&from)? {
            copy(&path.join(entry?.file_name()), to)?;
        }
    } else if is_sent(path) {
        fs::create_dir_all(to_path.parent().expect("a folder"))?;
        fs::copy(&from, &to_path)?;
        File::options().write(true).open(&to_path)?.set_modified(from.metadata()?.modified()?)?;
    }
    Ok(())
}

/// A folder with exactly what the Dockerfile copies into the image that builds.
fn build_context() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("image-context");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
        _ => fs::create_dir_all(&folder).expect("a folder"),
    }
    for instruction in instructions() {
        let words: Vec<&str> = instruction.split_whitespace().collect();
        let ["COPY", sources @ .., target] = &words[..] else { continue };
        if sources.iter().any(|source| source.starts_with("--from=")) {
            continue;
        }
        for source in sources {
            assert!(*target == "./" || target == source, "this test does not know {instruction}");
            copy(source.as_ref(), &folder).unwrap_or_else(|error| panic!("{instruction}: {error}"));
        }
    }
    folder
}

/// What follows `cargo build` in the Dockerfile, without the profile, each with the binary it is for.
fn builds() -> BTreeSet<String> {
    let instructions = instructions();
    let commands = instructions.iter().flat_map(|instruction| instruction.split("&&"));
    let commands = commands.map(|command| command.trim().replace("cargo auditable build", "cargo build"));
    let builds =
        commands.filter_map(|command| command.strip_prefix("cargo build --release ").map(str::to_owned));
    builds.map(|arguments| arguments.trim().to_owned()).collect()
}

#[test]
fn cargo_compiles_the_binaries_of_the_images_from_what_the_dockerfile_copies() {
    let context = build_context();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let builds = builds();
    assert_eq!(builds.len(), 2, "operator and simulator: {builds:?}");
    for arguments in builds {
        // The parent's flags stay as they are, so that most dependencies are compiled already.
        let cargo = Command::new(env!("CARGO"))
            .arg("check")
            .args(arguments.split_whitespace())
            .args(["--offline", "--quiet"])
            .env("CARGO_TARGET_DIR", target)
            .current_dir(&context)
            .output()
            .expect("cargo runs");
        let said = String::from_utf8_lossy(&cargo.stderr);
        assert!(cargo.status.success(), "cargo build {arguments}, from what the image gets: {said}");
    }
}

/// The value of a line `key<separator>value` of a file.
fn value(file: &str, start: &str) -> String {
    let text = read(file);
    let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
    line.unwrap_or_else(|| panic!("{file} has no line that begins with {start:?}"))
        .trim_matches('"')
        .to_owned()
}

#[test]
fn the_package_the_chart_and_the_image_have_one_version() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, start) in [
        ("deploy/chart/Chart.yaml", "version: "),
        ("deploy/chart/Chart.yaml", "appVersion: "),
        ("Dockerfile", "ARG VERSION="),
        ("Dockerfile", "#   docker build --tag zenlayer-port-operator:"),
    ] {
        let said = value(file, start);
        let said = said.split_whitespace().next().unwrap_or_default().trim_matches('"');
        assert_eq!(said, version, "{file}: {start}");
    }
}

#[test]
fn the_image_is_built_by_the_rust_that_the_package_asks_for() {
    let builder = value("Dockerfile", "ARG BUILDER=docker.io/library/rust:");
    let version = builder.split('-').next().unwrap_or_default();
    assert_eq!(version, value("Cargo.toml", "rust-version = "), "of {builder}");
    let toolchain = value("rust-toolchain.toml", "channel = ");
    assert!(toolchain.starts_with(version), "the tests are built by {toolchain}, the image by {version}");
}
