//! A process under test.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::output::Output;
use crate::wait::{TIMEOUT, wait_until_ok};

/// The system promises to exit within ten seconds of a signal, after its shutdown delay.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a command that exits by itself may run.
const RUN_TIMEOUT: Duration = Duration::from_secs(30);

const EXIT_POLL: Duration = Duration::from_millis(10);

/// One run of a binary. Killed when dropped; if the test has failed, its last output is printed.
pub struct Process {
    name: String,
    child: Child,
    output: Output,
}

impl Process {
    /// Starts a command and captures its output.
    pub fn start(command: &mut Command) -> Self {
        let name = Path::new(command.get_program()).display().to_string();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("could not start {name} ({error}); build it with `cargo build --workspace`")
        });
        let mut output = Output::default();
        output.capture(child.stdout.take().unwrap());
        output.capture(child.stderr.take().unwrap());
        Self { name, child, output }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far, standard output and error.
    pub fn output(&self) -> String {
        self.output.text()
    }

    /// Waits until `find` finds something in its output.
    pub async fn wait_for_output<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        wait_until_ok(async || {
            let output = self.output();
            find(&output).ok_or_else(|| format!("{} has not printed it yet:\n{output}", self.name))
        })
        .await
    }

    /// Waits until it has printed such a line.
    pub async fn wait_for_line(&self, matches: impl Fn(&str) -> bool) {
        self.wait_for_output(|output| output.lines().find(|line| matches(line)).map(drop)).await;
    }

    /// Sends a signal: `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        // The shell's builtin: /bin/kill may not be installed.
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Kills it as `kill -9` does. Does nothing if it has exited.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output.finish();
    }

    /// Waits until it exits.
    pub async fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        let status = self.try_wait_for_exit(limit).await;
        status.unwrap_or_else(|| panic!("{} has not exited within {limit:?}:\n{}", self.name, self.output()))
    }

    /// Waits until it fails, and returns its output.
    pub async fn expect_failure(mut self) -> String {
        let status = self.wait_for_exit(TIMEOUT).await;
        assert!(!status.success(), "{} exited with {status}", self.name);
        self.output()
    }

    async fn try_wait_for_exit(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.output.finish();
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            sleep(EXIT_POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.output.print_tail();
        }
    }
}

/// Runs a command until it exits. Returns whether it succeeded, and its output.
///
/// # Panics
///
/// If it is still running after thirty seconds.
pub async fn run(command: &mut Command) -> (bool, String) {
    let mut process = Process::start(command);
    let status = process.try_wait_for_exit(RUN_TIMEOUT).await;
    let status = status.unwrap_or_else(|| panic!("{command:?} is still running:\n{}", process.output()));
    (status.success(), process.output())
}
