//! The tasks of a process.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tracing::error;

/// Tasks that end when the process stops, and not before.
#[derive(Default)]
pub(super) struct Tasks {
    set: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Tasks {
    /// Starts a task. The name is for the log.
    pub(super) fn spawn(&mut self, name: String, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.set.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits until a task ends, by itself or by a panic, and logs that. Waits for good if there are no tasks.
    pub(super) async fn first_end(&mut self) {
        let ended = match self.set.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(ended) => ended.map(|(id, ())| id),
        };
        let task = self.names.get(&ended.as_ref().map_or_else(JoinError::id, |id| *id));
        match ended {
            Ok(_) => error!(task, "a background task has ended"),
            Err(_) => error!(task, "a background task has panicked"),
        }
    }

    /// Waits until all tasks have ended. Returns whether they did within the limit.
    pub(super) async fn end(&mut self, limit: Duration) -> bool {
        let ended = async { while self.set.join_next().await.is_some() {} };
        tokio::time::timeout(limit, ended).await.is_ok()
    }
}
