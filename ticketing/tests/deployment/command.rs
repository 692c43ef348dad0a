//! Programs that run until they exit.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// What a program printed, and whether it succeeded.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Standard output, if the program succeeded.
    #[track_caller]
    pub(crate) fn expect_success(self, command: &str) -> Self {
        assert!(self.success, "{command} failed:\n{}", self.output());
        self
    }

    /// Standard output, then standard error.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a program until it exits.
///
/// # Panics
///
/// If it cannot be started, or has not exited within `limit`.
pub(crate) async fn finish(command: &mut Command, limit: Duration) -> Finished {
    let shown = show(command);
    let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = timeout(limit, running).await.unwrap_or_else(|_| panic!("{shown} is still running after {limit:?}"));
    let output = output.unwrap_or_else(|error| panic!("could not start {shown}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// The command line, for messages. Literal secrets are left out.
pub(crate) fn show(command: &Command) -> String {
    let command = command.as_std();
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args().map(|argument| argument.to_string_lossy()) {
        let argument = argument.split_once("--from-literal=").map_or(&*argument, |_| "--from-literal=…");
        shown.push(' ');
        shown.push_str(argument);
    }
    shown
}
