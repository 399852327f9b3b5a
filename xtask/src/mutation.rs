//! Mistakes that are put into a copy of the code on purpose, all at once: a function with a mistake gets a second body, behind a
//! switch. So one build serves them all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use syn::visit::{self, Visit};
use tokio::process::Command;

use crate::operator::executable;
use crate::{cargo, root, stdout_of};

/// One way to be wrong. The text that it replaces stands in the file exactly once, in the body of a function. Changes of one
/// name are one mistake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) search: &'static str,
    pub(crate) replacement: &'static str,
}

/// The environment variable that switches a mistake on, by its name.
pub(crate) const SWITCH: &str = "ZENLAYER_MISTAKE";

/// What the switches ask.
const SWITCHES: &str = r#"
/// Whether this mistake is on.
pub(crate) fn is_wrong(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("ZENLAYER_MISTAKE").ok()).as_deref() == Some(name)
}
"#;

impl Mutant {
    /// Where the text stands that it replaces.
    fn place_in(&self, text: &str) -> Result<Range<usize>> {
        let mut places = text.match_indices(self.search);
        match (places.next(), places.count()) {
            (Some((at, _)), 0) => Ok(at..at + self.search.len()),
            (first, more) => {
                let count = more + usize::from(first.is_some());
                bail!("{}: its text stands {count} times in {}, not once", self.name, self.file)
            }
        }
    }

    /// For tests: the mutation fits the code as it is.
    #[cfg(test)]
    pub(crate) fn changes_one_place(&self) {
        let text = fs::read_to_string(root().join(self.file)).expect(self.file);
        let mutated = switched(&text, &[*self]).expect("one place");
        assert_ne!(self.search, self.replacement, "{}", self.name);
        syn::parse_file(&mutated).expect(self.name);
    }
}

/// The file's text with the mutations: each function that has some gets a second body for each, behind its switch.
fn switched(text: &str, mutants: &[Mutant]) -> Result<String> {
    let mut bodies = Bodies::default();
    bodies.visit_file(&syn::parse_file(text)?);
    let mut changed: BTreeMap<usize, (Range<usize>, Vec<&Mutant>)> = BTreeMap::new();
    for mutant in mutants {
        let place = mutant.place_in(text)?;
        let around = bodies.0.iter().filter(|body| body.start < place.start && place.end < body.end);
        let body = around.min_by_key(|body| body.len());
        let body = body.with_context(|| format!("{}: it is in the body of no function", mutant.name))?;
        changed.entry(body.start).or_insert_with(|| (body.clone(), Vec::new())).1.push(mutant);
    }
    let mut result = text.to_owned();
    // From the last to the first, so that the places of the others stay.
    for (body, mutants) in changed.into_values().rev() {
        let right = &text[body.clone()];
        let names: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name).collect();
        let wrong = names.into_iter().map(|name| {
            let of_name = mutants.iter().filter(|mutant| mutant.name == name);
            let wrong =
                of_name.fold(right.to_owned(), |body, it| body.replacen(it.search, it.replacement, 1));
            format!("if crate::is_wrong({name:?}) {wrong} else ")
        });
        let all = format!("{{ {}{right} }}", wrong.collect::<String>());
        result.replace_range(body, &all);
    }
    Ok(result)
}

/// The bodies of functions, with their braces.
#[derive(Default)]
struct Bodies(Vec<Range<usize>>);

impl Bodies {
    /// The switch cannot be asked while the code is compiled.
    fn add(&mut self, signature: &syn::Signature, body: &syn::Block) {
        if signature.constness.is_none() {
            let braces = body.brace_token.span;
            self.0.push(braces.open().byte_range().start..braces.close().byte_range().end);
        }
    }
}

impl<'ast> Visit<'ast> for Bodies {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.add(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// A copy of the workspace. It stays where it is after a run, so that the next one builds little anew.
pub(crate) struct Copy {
    folder: PathBuf,
    /// Held while the copy is in use.
    _lock: File,
}

impl Copy {
    /// The copy is made the same as the workspace.
    pub(crate) async fn new() -> Result<Self> {
        let target = target();
        let folder = target.join("copy");
        fs::create_dir_all(&folder)?;
        let lock = File::create(target.join("lock"))?;
        lock.try_lock().context("mutants are tried already; they use the same copy of the code")?;
        let files = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = stdout_of("git", &files).await?;
        // What is deleted and not committed yet is listed as well.
        let listed: BTreeSet<PathBuf> = listed
            .split_terminator('\0')
            .map(PathBuf::from)
            .filter(|file| root().join(file).is_file())
            .collect();
        for file in files_of(&folder)? {
            if !file.strip_prefix(&folder).is_ok_and(|file| listed.contains(file)) {
                fs::remove_file(&file)?;
            }
        }
        for file in &listed {
            let (wanted, to) = (fs::read(root().join(file))?, folder.join(file));
            // A file that is the same is left, or cargo would build it again.
            if fs::read(&to).ok().as_ref() != Some(&wanted) {
                fs::create_dir_all(to.parent().unwrap_or(&folder))?;
                fs::write(&to, wanted).with_context(|| format!("copying {}", file.display()))?;
            }
        }
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// What cargo builds with all these mistakes in the copy, each behind its [`SWITCH`]: the binaries by the names of their
    /// targets. The files are as they were after that.
    pub(crate) async fn build(&self, mutants: &[Mutant], cargo: &[&str]) -> Result<HashMap<String, PathBuf>> {
        const LIBRARY: &str = "src/lib.rs";
        let files: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file).chain([LIBRARY]).collect();
        let mut before = Vec::new();
        for name in files {
            let file = self.folder.join(name);
            let text = fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            let of_file: Vec<Mutant> = mutants.iter().filter(|it| it.file == name).copied().collect();
            let with_mistakes = switched(&text, &of_file)?;
            fs::write(&file, if name == LIBRARY { with_mistakes + SWITCHES } else { with_mistakes })?;
            before.push((file, text));
        }
        let built = self.run_cargo(cargo).await;
        for (file, text) in before {
            fs::write(file, text)?;
        }
        built
    }

    async fn run_cargo(&self, arguments: &[&str]) -> Result<HashMap<String, PathBuf>> {
        let output = Command::new(cargo())
            .args(arguments)
            .args(["--locked", "--message-format=json-render-diagnostics"])
            // Of its own, so that nothing of the checkout is built anew.
            .env("CARGO_TARGET_DIR", target())
            .env("CARGO_INCREMENTAL", "1")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("starting cargo")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the mutants do not compile:\n{said}");
        Ok(String::from_utf8(output.stdout)?.lines().filter_map(executable).collect())
    }
}

fn target() -> PathBuf {
    root().join("target").join("mutants")
}

/// All files of a folder and of those in it.
fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_of(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_with_mistakes_has_a_body_for_each_of_them_and_the_rest_of_the_file_stays() {
        let mutant = |name, search, replacement| Mutant { name, file: "", search, replacement };
        let text = "fn a() -> u8 { 1 }\nimpl T { async fn b(x: u8) { f(x); g(x) } }\nconst fn c() { h() }\n";
        let mutants = [
            mutant("no f", "f(x);", ""),
            mutant("g twice", "g(x)", "{ g(x); g(x) }"),
            mutant("zero", " 1 ", " 0 "),
            mutant("g twice", "f(x)", "g(x)"),
        ];
        assert_eq!(
            switched(text, &mutants).expect("all have a place"),
            "fn a() -> u8 { if crate::is_wrong(\"zero\") { 0 } else { 1 } }\nimpl T { async fn b(x: u8) \
             { if crate::is_wrong(\"g twice\") { g(x); { g(x); g(x) } } else if crate::is_wrong(\"no f\") {  g(x) } \
             else { f(x); g(x) } } }\nconst fn c() { h() }\n"
        );
        for (wrong, why) in [
            (mutant("none", "nothing", ""), "stands 0 times"),
            (mutant("two", "(x)", ""), "stands 2 times"),
            (mutant("const", "h()", ""), "in the body of no function"),
        ] {
            let error = switched(text, &[wrong]).expect_err(wrong.name).to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
