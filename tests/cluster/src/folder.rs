//! Folders with processes in them, and the keeper that ends both.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{self, Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::{env, io};

use anyhow::{Context as _, Result};

/// Registers itself with the keeper, then becomes the program (`$0`: the folder of pids). As the process does
/// this itself, there is no moment in which it runs and the keeper could miss it.
const LAUNCHER: &str = r#": >"$0/$$" && exec "$@""#;

/// Where a cluster keeps all it has, or a build its work. Nothing outside of it is written.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn create(parent: &Path, prefix: &str) -> Result<Self> {
        let parent = path::absolute(parent)?;
        let folder = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(Permissions::from_mode(0o700)) // etcd asks nobody for a password
            .tempdir_in(&parent)
            .with_context(|| format!("making a folder in {}", parent.display()))?;
        fs::create_dir(folder.path().join("pids"))?;
        Ok(Self(folder.keep()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.join("kubeconfig")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.join("logs").join(format!("{process}.log"))
    }

    /// A command that runs `program` in a process group of its own, which the keeper knows.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LAUNCHER]).arg(self.join("pids")).arg(program).process_group(0);
        command
    }

    /// To be called when a process of [`Folder::command`] has ended: the keeper must not kill a stranger who gets
    /// the same number.
    pub(crate) fn unregister(&self, pid: u32) {
        // It is missing if this was done already, or if the process was killed before it registered.
        let _ = fs::remove_file(self.join("pids").join(pid.to_string()));
    }

    /// Takes from `command` all environment of the user, so that no proxy, plugin or configuration of theirs
    /// changes what it does, and nothing of theirs is written.
    pub(crate) fn isolate(&self, command: &mut Command) {
        command.env_clear().env("HOME", self.join("home"));
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_private(path: &Path, content: impl AsRef<[u8]>) -> io::Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?
        .write_all(content.as_ref())
}

/// A shell that kills all that runs in a folder, and removes it, once this process is gone, however it went: a
/// panic, `exit`, SIGKILL. It does so as well when it is dropped.
///
/// It waits for the end of a pipe whose other end only this process holds.
#[derive(Debug)]
pub(crate) struct Keeper {
    shell: Child,
    pipe: Option<ChildStdin>,
    stop_script: PathBuf,
}

impl Keeper {
    /// Makes a folder with a name that begins with `prefix`, and a keeper that watches over it.
    pub(crate) fn with_new_folder(parent: &Path, prefix: &str) -> Result<(Self, Folder)> {
        let folder = Folder::create(parent, prefix)?;
        let stop_script = folder.join("stop.sh");
        fs::write(&stop_script, include_str!("stop.sh"))?;
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "trap '' HUP INT TERM; read -r keep || exec /bin/sh \"$0\""])
            .arg(&stop_script)
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting the keeper of a folder")?;
        let pipe = shell.stdin.take();
        Ok((Self { shell, pipe, stop_script }, folder))
    }

    /// Sends the keeper home: folder and processes stay after this process.
    pub(crate) fn dismiss(&mut self) -> Result<()> {
        if let Some(mut pipe) = self.pipe.take() {
            pipe.write_all(b"keep\n").context("telling the keeper to leave its folder alone")?;
        }
        self.shell.wait()?;
        Ok(())
    }

    /// The command that does the keeper's work once it is dismissed.
    pub(crate) fn stop_command(&self) -> String {
        format!("sh '{}'", self.stop_script.display())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It fails only if somebody else has waited for it; then it is gone as well.
        let _ = self.shell.wait();
    }
}

/// The path of a unix socket has at most 103 bytes (macOS; Linux: 107), and some names are to go into it.
pub(crate) fn temp_dir() -> PathBuf {
    Some(env::temp_dir()).filter(|path| path.as_os_str().len() < 70).unwrap_or_else(|| "/tmp".into())
}
