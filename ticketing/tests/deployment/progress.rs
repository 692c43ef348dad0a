//! Steps, their progress, and waiting.

use std::io::Write;
use std::sync::LazyLock;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::settings;

const POLL: Duration = Duration::from_millis(200);

/// Longer than any step takes, if images have to be built.
const STEP_LIMIT: Duration = Duration::from_secs(45 * 60);

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Prints a line at once. `eprintln!` would show it only after a failure.
pub(crate) fn report(line: &str) {
    let elapsed = START.elapsed().as_secs();
    // A closed stderr is no reason to fail.
    let _unprinted = writeln!(std::io::stderr(), "[{:>2}:{:02}] {line}", elapsed / 60, elapsed % 60);
}

/// Which steps run.
pub(crate) struct Steps(Option<Vec<String>>);

impl Steps {
    /// Those in `TEST_STEPS`, or all.
    pub(crate) fn selected() -> Self {
        Self(settings::text("TEST_STEPS").map(|names| names.split(',').map(str::to_owned).collect()))
    }

    /// Whether a step runs.
    pub(crate) fn includes(&self, name: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.iter().any(|selected| selected == name))
    }

    /// Runs a step, if it is selected.
    pub(crate) async fn run(&self, name: &str, step: impl Future<Output = ()>) {
        if !self.includes(name) {
            return;
        }
        report(&format!("== {name}"));
        let started = Instant::now();
        assert!(timeout(STEP_LIMIT, step).await.is_ok(), "{name} is still running after {STEP_LIMIT:?}");
        report(&format!("== {name} passed in {}s", started.elapsed().as_secs()));
    }
}

/// Polls `condition` until it succeeds. Its error says what is still missing.
///
/// # Panics
///
/// If it has not succeeded within `limit`.
pub(crate) async fn eventually<T>(limit: Duration, mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(missing) => assert!(Instant::now() < deadline, "timed out after {limit:?}: {missing}"),
        }
        sleep(POLL).await;
    }
}
