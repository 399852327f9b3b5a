//! Tasks that work in the background. Each is watched: the process does not go on without one of them.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Starts tasks that are watched.
#[derive(Clone, Debug)]
pub struct Tasks {
    failed: mpsc::Sender<TaskFailure>,
    shutdown: CancellationToken,
    /// Nobody watches any more.
    unwatched: CancellationToken,
}

/// Where the first task that fails is told of. All tasks end when it is dropped.
#[derive(Debug)]
pub struct TaskFailures {
    failures: mpsc::Receiver<TaskFailure>,
    _unwatched: DropGuard,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskFailure {
    #[error("the task that {0} stopped by itself")]
    Ended(&'static str),
    #[error("the task that {task} panicked: {message}")]
    Panicked { task: &'static str, message: String },
}

/// Until `shutdown` is cancelled no task that must go on may end.
pub fn watched(shutdown: &CancellationToken) -> (Tasks, TaskFailures) {
    // The first failure ends the process; nobody asks for a second.
    let (failed, failures) = mpsc::channel(1);
    let unwatched = CancellationToken::new();
    let tasks = Tasks { failed, shutdown: shutdown.clone(), unwatched: unwatched.clone() };
    (tasks, TaskFailures { failures, _unwatched: unwatched.drop_guard() })
}

impl Tasks {
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// A task that must go on until the shutdown. `task` says what it does, as in "the task that reads ports".
    pub fn spawn_endless(&self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown.clone();
        self.watch(task, work, move || !shutdown.is_cancelled());
    }

    /// A task that may end, but not by a panic.
    pub fn spawn(&self, task: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.watch(task, work, || false);
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that starts tasks")]
    fn watch(
        &self,
        task: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
        must_go_on: impl FnOnce() -> bool + Send + 'static,
    ) {
        let Self { failed, unwatched, .. } = self.clone();
        tokio::spawn(async move {
            let work = AssertUnwindSafe(work).catch_unwind();
            let failure = match unwatched.run_until_cancelled_owned(work).await {
                Some(Ok(())) if must_go_on() => TaskFailure::Ended(task),
                Some(Ok(())) | None => return,
                Some(Err(panic)) => TaskFailure::Panicked { task, message: panic_message(panic.as_ref()) },
            };
            // Full: another has failed already.
            let _ = failed.try_send(failure);
        });
    }
}

impl TaskFailures {
    /// Waits for the first failure.
    pub async fn first(&mut self) -> TaskFailure {
        match self.failures.recv().await {
            Some(failure) => failure,
            // Nothing can start a task any more, and all have ended well.
            None => std::future::pending().await,
        }
    }
}

/// What a panic says.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_ends_or_panics_is_told_of() {
        let shutdown = CancellationToken::new();
        let (tasks, mut failures) = watched(&shutdown);
        tasks.spawn_endless("wakes objects", async {});
        assert_eq!(failures.first().await, TaskFailure::Ended("wakes objects"));
        tasks.spawn_endless("reads Secrets", async { panic!("it is {}", "broken") });
        let panicked = failures.first().await.to_string();
        assert_eq!(panicked, "the task that reads Secrets panicked: it is broken");
        tasks.spawn("reads ports", async { panic!("it is broken") });
        assert_eq!(failures.first().await.to_string(), "the task that reads ports panicked: it is broken");
    }

    #[tokio::test]
    async fn a_task_that_may_end_or_ends_in_a_shutdown_is_no_failure() {
        let shutdown = CancellationToken::new();
        let (tasks, mut failures) = watched(&shutdown);
        tasks.spawn("reads ports", async {});
        shutdown.cancel();
        tasks.spawn_endless("wakes objects", async {});
        drop(tasks);
        // Both have ended once nobody can tell of a failure any more.
        assert_eq!(failures.failures.recv().await, None);
    }

    #[tokio::test]
    async fn all_tasks_end_when_nobody_watches_them_any_more() {
        let (tasks, failures) = watched(&CancellationToken::new());
        let (alive, mut ended) = mpsc::channel::<()>(1);
        tasks.spawn_endless("wakes objects", async move {
            std::future::pending::<()>().await;
            drop(alive);
        });
        drop(failures);
        assert_eq!(ended.recv().await, None, "the task is dropped with all that it holds");
    }
}
