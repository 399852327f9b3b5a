//! kubectl and helm, run as one identity.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time;

use crate::assets::{Assets, Binary};
use crate::folder::Folder;

/// Longer than any `kubectl wait` of a test or the demo.
const LIMIT: Duration = Duration::from_mins(10);

/// One of the cluster's own programs, with `KUBECONFIG` set and every file it keeps in the cluster's folder.
#[derive(Clone, Debug)]
pub struct Tool {
    name: &'static str,
    program: PathBuf,
    kubeconfig: PathBuf,
    folder: Folder,
}

impl Tool {
    pub(crate) fn new(binary: Binary, assets: &Assets, kubeconfig: &Path, folder: &Folder) -> Self {
        let kubeconfig = kubeconfig.to_owned();
        Self { name: binary.file_name(), program: assets.path(binary), kubeconfig, folder: folder.clone() }
    }

    /// Runs it and returns its stdout. The error has the command line, the exit status and stderr.
    pub async fn run<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<String> {
        self.run_with_input(args, "").await
    }

    /// As [`Tool::run`], with `input` on its stdin: `kubectl apply -f -`.
    pub async fn run_with_input<A: AsRef<OsStr>>(&self, args: &[A], input: &str) -> Result<String> {
        let mut command = Command::new(&self.program);
        self.folder.isolate(command.as_std_mut());
        command.args(args).env("KUBECONFIG", &self.kubeconfig);
        stdout_of(command, &self.command_line(args), input).await
    }

    fn command_line<A: AsRef<OsStr>>(&self, args: &[A]) -> String {
        let words = args.iter().map(|arg| arg.as_ref().to_string_lossy());
        words.fold(self.name.to_owned(), |line, word| line + " " + &word)
    }
}

/// Runs a command with this on its stdin, and returns its stdout. The error has the command `line`, the exit status and stderr.
pub async fn stdout_of(mut command: Command, line: &str, input: &str) -> Result<String> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("starting `{line}`"))?;
    let stdin = child.stdin.take();
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A program that does not read its input closes the pipe; its exit status tells the rest.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let run = async { tokio::join!(feed, child.wait_with_output()).1 };
    let output = time::timeout(LIMIT, run).await.with_context(|| format!("`{line}` hangs"))??;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}:\n{}", output.status, stderr.trim_end());
    }
    Ok(String::from_utf8(output.stdout)?)
}
