//! Skaffold in a clean clone of the checkout.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::command::{finish, show};
use crate::kubectl::tail;
use crate::progress::eventually;

/// Long enough to compile everything.
pub(crate) const BUILD_LIMIT: Duration = Duration::from_secs(40 * 60);

/// How long `skaffold dev` may take to delete everything.
const STOP_LIMIT: Duration = Duration::from_secs(180);

/// A clone of the checkout, deleted when dropped.
pub(crate) struct Clone {
    directory: TempDir,
}

impl Clone {
    /// Clones the last commit.
    pub(crate) async fn new() -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let directory = TempDir::new().unwrap();
        let mut git = Command::new("git");
        git.args(["clone", "--quiet", "--depth=1"]).arg(format!("file://{}", checkout.display())).arg(directory.path());
        let shown = show(&git);
        finish(&mut git, Duration::from_secs(60)).await.expect_success(&shown);
        Self { directory }
    }

    /// A file in the clone.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn skaffold(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("skaffold");
        command.args(arguments).current_dir(self.directory.path());
        command
    }

    /// Runs Skaffold until it exits. Returns its output.
    pub(crate) async fn run_skaffold(&self, arguments: &[&str]) -> String {
        let mut command = self.skaffold(arguments);
        let shown = show(&command);
        let finished = finish(&mut command, BUILD_LIMIT).await;
        assert!(finished.success, "{shown} failed:\n{}", tail(&finished.output(), 60));
        finished.output()
    }

    /// Starts `skaffold dev`.
    pub(crate) fn start_dev(&self, arguments: &[&str]) -> Dev {
        let mut command = self.skaffold(&[&["dev"], arguments].concat());
        // Skaffold takes the end of its input for a key press, again and again.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap_or_else(|error| panic!("could not start skaffold: {error}"));
        let output = watch::Sender::new(String::new());
        capture(process.stdout.take().unwrap(), output.clone());
        capture(process.stderr.take().unwrap(), output.clone());
        let keyboard = process.stdin.take().unwrap();
        Dev { process, keyboard, output }
    }
}

/// A running `skaffold dev`. Killed when dropped.
pub(crate) struct Dev {
    process: Child,
    keyboard: ChildStdin,
    output: watch::Sender<String>,
}

impl Dev {
    /// Waits until it has printed this text `times` times.
    pub(crate) async fn wait_for_output(&mut self, text: &str, times: usize) {
        eventually(BUILD_LIMIT, async || {
            let output = self.output.borrow().clone();
            if output.matches(text).count() >= times {
                return Ok(());
            }
            let exited = self.process.try_wait().unwrap();
            assert!(exited.is_none(), "skaffold dev has exited: {exited:?}\n{}", tail(&output, 40));
            Err(format!("skaffold dev has not printed {text:?}:\n{}", tail(&output, 40)))
        })
        .await;
    }

    /// Presses a key, which builds and deploys what has changed. Skaffold's API cannot do this: it is ignored unless
    /// builds are switched off.
    pub(crate) async fn press_key(&mut self) {
        self.keyboard.write_all(b"\n").await.unwrap();
    }

    /// Interrupts it, as Ctrl-C does, and expects it to exit successfully.
    pub(crate) async fn stop(mut self) {
        let id = self.process.id().expect("a running skaffold dev");
        // The shell's builtin: /bin/kill may not be installed.
        let kill = Command::new("sh").args(["-c", &format!("kill -INT {id}")]).status().await.unwrap();
        assert!(kill.success());
        let exited = timeout(STOP_LIMIT, self.process.wait()).await;
        let output = tail(&self.output.borrow(), 40);
        let status = exited.unwrap_or_else(|_| panic!("skaffold dev is still running after {STOP_LIMIT:?}:\n{output}"));
        assert!(status.unwrap().success(), "skaffold dev failed:\n{output}");
    }
}

fn capture(stream: impl AsyncRead + Unpin + Send + 'static, output: watch::Sender<String>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            output.send_modify(|output| {
                output.push_str(&line);
                output.push('\n');
            });
        }
    });
}
