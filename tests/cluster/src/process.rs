//! Child processes that never outlive the cluster.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::time::{self, Instant};

use crate::folder::Folder;

const TICK: Duration = Duration::from_millis(20);

/// A process of the cluster: in its own process group, killed when dropped, known to the cluster's keeper.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    folder: Folder,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    command: Command,
    /// The newest one; it keeps its exit status.
    child: Option<Child>,
}

impl Process {
    /// Starts nothing yet. The environment is empty but for `PATH`, `HOME` and `env`.
    pub(crate) fn new<A: AsRef<OsStr>, E: AsRef<OsStr>>(
        folder: &Folder,
        name: &str,
        program: &Path,
        args: impl IntoIterator<Item = A>,
        env: impl IntoIterator<Item = (E, E)>,
    ) -> Result<Self> {
        let log = folder.log(name);
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = folder.command(program);
        folder.isolate(&mut command);
        command
            .args(args)
            .envs(env)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let state = Mutex::new(State { command, child: None });
        Ok(Self { name: name.to_owned(), log, folder: folder.clone(), state })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the process; none if it does not run.
    pub fn id(&self) -> Option<u32> {
        let mut state = self.state();
        let pid = self.running(&mut state).ok().flatten()?;
        u32::try_from(pid.as_raw_nonzero().get()).ok()
    }

    /// Starts it; an error if it is running.
    pub fn start(&self) -> Result<()> {
        let mut state = self.state();
        ensure!(
            self.exit_of(&mut state)?.is_some() || state.child.is_none(),
            "{} is running already",
            self.name
        );
        let child = state.command.spawn().with_context(|| format!("starting {}", self.name))?;
        state.child = Some(child);
        Ok(())
    }

    /// SIGKILL to its process group. It is gone on return; if it was not running, nothing happens.
    pub fn kill(&self) -> Result<()> {
        let mut state = self.state();
        if let Some(pid) = self.running(&mut state)? {
            kill_process_group(pid, Signal::KILL)?;
            if let Some(child) = &mut state.child {
                child.wait()?;
                self.folder.unregister(child.id());
            }
        }
        Ok(())
    }

    /// [`Process::kill`], then [`Process::start`] with the same command line: same ports, same data.
    pub fn restart(&self) -> Result<()> {
        self.kill()?;
        self.start()
    }

    /// SIGTERM, then waits; an error if it still runs after `within`.
    pub async fn terminate(&self, within: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait_exit(within).await
    }

    /// SIGSTOP: it keeps its connections and answers nothing.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT: it goes on after [`Process::pause`].
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends `signal`; an error if it is not running.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid =
            self.running(&mut self.state())?.with_context(|| format!("{} is not running", self.name))?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// How its last run ended; `None` while it runs.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.exit_of(&mut self.state())
    }

    /// Waits for it to end by itself; an error if it still runs after `within`.
    pub async fn wait_exit(&self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exit_status()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                bail!("{} still runs after {within:?}; {}", self.name, self.log_tail());
            }
            time::sleep(TICK).await;
        }
    }

    /// All it wrote to stdout and stderr, in all its runs.
    pub fn logs(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("({}: {error})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Its name and the end of what it wrote, for messages of failed tests.
    pub fn log_tail(&self) -> String {
        let log = self.logs();
        let lines: Vec<&str> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(25)..];
        format!("the log of {} ends:\n{}", self.name, tail.join("\n"))
    }

    /// Repeats `probe` until it succeeds. If the process ends first, or the time does, the error says what the
    /// probe said last and how the log ends.
    pub(crate) async fn ready<T>(&self, within: Duration, probe: impl AsyncFn() -> Result<T>) -> Result<T> {
        let deadline = Instant::now() + within;
        loop {
            let attempt = time::timeout(Duration::from_secs(5), probe()).await;
            let failure = match attempt.unwrap_or_else(|_| Err(anyhow!("no answer within 5 s"))) {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            if let Some(status) = self.exit_status()? {
                bail!("{} ended before it was ready, {status}; {}", self.name, self.log_tail());
            }
            if Instant::now() >= deadline {
                bail!("{} is not ready after {within:?}: {failure:#}; {}", self.name, self.log_tail());
            }
            time::sleep(TICK).await;
        }
    }

    /// SIGTERM, and SIGKILL if that has not ended it `within`. Blocks, as it is for `Drop`.
    pub(crate) fn shut_down(&self, within: Duration) -> Result<()> {
        if self.exit_status()?.is_none() {
            self.signal(Signal::TERM)?;
            self.signal(Signal::CONT)?;
            let deadline = std::time::Instant::now() + within;
            while self.exit_status()?.is_none() && std::time::Instant::now() < deadline {
                thread::sleep(TICK);
            }
        }
        self.kill()
    }

    /// Not poisoned by a test that panicked: the state is whole at any time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, state: &mut State) -> Result<Option<Pid>> {
        let ended = self.exit_of(state)?.is_some();
        Ok(state.child.as_ref().filter(|_| !ended).map(Pid::from_child))
    }

    fn exit_of(&self, state: &mut State) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut state.child else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.folder.unregister(child.id());
        }
        Ok(status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // If this fails, the keeper does it.
        let _ = self.kill();
    }
}
