//! Mistakes that are put into a copy of the code on purpose: one at a time, or all at once, each behind a switch.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::process::Command;

use crate::operator::executable;
use crate::{cargo, root, stdout_of};

/// One way to be wrong: the text that it replaces stands in the file exactly once.
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
    /// The file's text with the mutation.
    fn applied_to(&self, text: &str) -> Result<String> {
        self.replaced_in(text, self.replacement)
    }

    /// The file's text with the mutation beside what it replaces, behind a switch. What it replaces is an expression, or whole
    /// statements.
    fn switched_in(&self, text: &str) -> Result<String> {
        let Self { name, search, replacement, .. } = self;
        let both = format!("if crate::is_wrong({name:?}) {{ {replacement} }} else {{ {search} }}");
        let both = if search.ends_with(';') { both } else { format!("({both})") };
        self.replaced_in(text, &both)
    }

    fn replaced_in(&self, text: &str, by: &str) -> Result<String> {
        match text.matches(self.search).count() {
            1 => Ok(text.replacen(self.search, by, 1)),
            count => bail!("{}: its text stands {count} times in {}, not once", self.name, self.file),
        }
    }

    /// For tests: the mutation fits the code as it is.
    #[cfg(test)]
    pub(crate) fn changes_one_place(&self) {
        let text = fs::read_to_string(root().join(self.file)).expect(self.file);
        let mutated = self.applied_to(&text).expect("one place");
        assert_ne!(mutated, text, "{}", self.name);
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

    /// What cargo builds while this mistake is in the copy: the binaries by the names of their targets.
    pub(crate) async fn build(&self, mutant: &Mutant, cargo: &[&str]) -> Result<HashMap<String, PathBuf>> {
        self.build_with(
            |name, text| if name == mutant.file { mutant.applied_to(&text) } else { Ok(text) },
            &[mutant.file],
            cargo,
        )
        .await
        .context(mutant.name)
    }

    /// The same with all these mistakes, each behind its [`SWITCH`].
    pub(crate) async fn build_all(
        &self,
        mutants: &[Mutant],
        cargo: &[&str],
    ) -> Result<HashMap<String, PathBuf>> {
        const LIBRARY: &str = "src/lib.rs";
        let files: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file).chain([LIBRARY]).collect();
        let files: Vec<&str> = files.into_iter().collect();
        let change = |name: &str, text: String| {
            let of_file = mutants.iter().filter(|mutant| mutant.file == name);
            let text = of_file.into_iter().try_fold(text, |text, mutant| mutant.switched_in(&text))?;
            Ok(if name == LIBRARY { text + SWITCHES } else { text })
        };
        self.build_with(change, &files, cargo).await
    }

    /// The files are as they were after that.
    async fn build_with(
        &self,
        change: impl Fn(&str, String) -> Result<String>,
        files: &[&str],
        cargo: &[&str],
    ) -> Result<HashMap<String, PathBuf>> {
        let mut before = Vec::new();
        for name in files {
            let file = self.folder.join(name);
            let text = fs::read_to_string(&file).with_context(|| format!("reading {name}"))?;
            fs::write(&file, change(name, text.clone())?)?;
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
        ensure!(output.status.success(), "the mutant does not compile:\n{said}");
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
