//! kubectl and helm, as a person would run them.

use std::borrow::Cow;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Result;
use test_cluster::{Assets, Binary, stdout_of};
use tokio::process::Command;

/// One program and the cluster it speaks to.
#[derive(Clone, Debug)]
pub struct Tool {
    binary: Binary,
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    context: Option<String>,
}

impl Tool {
    /// `program`, with the environment's own choice of a cluster.
    pub fn new(binary: Binary, program: PathBuf) -> Self {
        Self { binary, program, kubeconfig: None, context: None }
    }

    /// The `given` program, else that on `PATH`, else that of the test cluster, which may have to be built first.
    pub async fn find(binary: Binary, given: Option<PathBuf>) -> Result<Self> {
        let program = match given.or_else(|| on_path(binary)) {
            Some(program) => program,
            None => Assets::find_or_build().await?.path(binary),
        };
        Ok(Self::new(binary, program))
    }

    /// Speaks to the cluster of this file.
    #[must_use]
    pub fn kubeconfig(self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig: Some(kubeconfig), ..self }
    }

    /// Speaks to this context of the kubeconfig; `None`: to its current one.
    #[must_use]
    pub fn context(self, context: Option<String>) -> Self {
        Self { context, ..self }
    }

    /// Runs it and returns its stdout. The error has the command line, the exit status and stderr.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        self.run_with_input(args, "").await
    }

    /// As [`Tool::run`], with `input` on its stdin.
    pub async fn run_with_input(&self, args: &[&str], input: &str) -> Result<String> {
        stdout_of(self.command(args), &self.command_line(args), input).await
    }

    /// Shows the command line as one would type it, runs it, and shows what it says.
    pub async fn typed(&self, args: &[&str]) -> Result<()> {
        println!("$ {}", self.command_line(args));
        println!("{}", self.run(args).await?.trim_end());
        Ok(())
    }

    /// Runs it until `end`, then ends it, and returns its stdout. The error is that of `end`.
    pub async fn run_until(&self, args: &[&str], end: impl Future<Output = Result<()>>) -> Result<String> {
        let mut child = self.command(args).stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let ended = end.await;
        child.start_kill()?;
        let output = child.wait_with_output().await?;
        ended?;
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn program(&self) -> &Path {
        &self.program
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(self.context_args())
            .args(args)
            .envs(self.kubeconfig.iter().map(|path| ("KUBECONFIG", path)))
            .stdout(Stdio::piped())
            // Ctrl-C is for us, who clean up after it.
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// The option that names the context, if one is asked for.
    pub(crate) fn context_args(&self) -> Option<String> {
        let flag = if self.binary == Binary::Helm { "--kube-context" } else { "--context" };
        self.context.as_ref().map(|context| format!("{flag}={context}"))
    }

    /// The command line, as one would type it.
    pub fn command_line(&self, args: &[&str]) -> String {
        let context = self.context_args();
        let words =
            [self.binary.file_name()].into_iter().chain(context.as_deref()).chain(args.iter().copied());
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }
}

/// A word as one would type it: in quotes only where a shell needs them.
fn quoted(word: &str) -> Cow<'_, str> {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_=.,:/@".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) { word.into() } else { shell_words::quote(word) }
}

/// The program of this name in the first folder of `PATH` that has one.
pub fn on_path(binary: Binary) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(binary.file_name())).find(|program| program.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_shown_as_one_would_type_it() {
        let kubectl = Tool::new(Binary::Kubectl, "/opt/kubectl".into()).context(Some("kind".to_owned()));
        let shown = kubectl.command_line(&["patch", "zlp", "a", "--type=merge", "-p", r#"{"spec":{}}"#, ""]);
        assert_eq!(shown, r#"kubectl --context=kind patch zlp a --type=merge -p '{"spec":{}}' ''"#);
    }
}
