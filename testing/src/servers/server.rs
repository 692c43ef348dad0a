//! A server process.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::program::{Program, is_installed};

/// Far longer than a server takes to start.
const START: Duration = Duration::from_secs(20);

/// Kills the server when standard input closes: when a test drops it, or when the test process dies.
const WATCHED: &str = r#""$@" & read -r _; kill -9 $! 2>/dev/null; wait"#;

/// A running server, killed when dropped.
pub struct Server {
    program: Program,
    directory: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Server {
    /// Starts a server without data. Returns `None`, with a message, if the program is not installed.
    ///
    /// # Panics
    ///
    /// If the server does not start, or if the program is not installed while `TEST_INTEGRATION` is set.
    #[expect(clippy::print_stdout, reason = "a skipped test must be visible")]
    pub async fn start(program: Program) -> Option<Self> {
        if !is_installed(program.name) {
            assert!(std::env::var_os("TEST_INTEGRATION").is_none(), "{} is missing", program.name);
            println!("skipped: {} is missing", program.name);
            return None;
        }
        let directory = TempDir::new().expect("a temporary directory");
        let mut server = Self { program, directory, port: free_port().await, process: None };
        server.restart().await;
        Some(server)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it with `SIGKILL`. Its data stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().expect("the server's exit status");
        }
    }

    /// Starts it with the same data and port, after killing it if it is running.
    ///
    /// # Panics
    ///
    /// If the server does not start.
    pub async fn restart(&mut self) {
        self.kill();
        let log = self.directory.path().join("log");
        let out = File::create(&log).expect("a log file");
        let err = File::options().append(true).open(&log).expect("a log file");
        let process = Command::new("sh")
            .args(["-c", WATCHED, "sh", self.program.name])
            .args((self.program.arguments)(self.port, self.directory.path()))
            .stdin(Stdio::piped())
            .stdout(out)
            .stderr(err)
            .spawn()
            .expect("a shell");
        self.process = Some(process);
        let started = async {
            while !self.is_ready().await.unwrap_or(false) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        if timeout(START, started).await.is_err() {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            panic!("{} did not start: {log}", self.program.name);
        }
    }

    /// Stops it, copies its data, and starts it again.
    ///
    /// # Panics
    ///
    /// If the data cannot be copied or the server does not start.
    pub async fn copy(&mut self) -> TempDir {
        self.kill();
        let copy = TempDir::new().expect("a temporary directory");
        copy_data(self.directory.path(), copy.path());
        self.restart().await;
        copy
    }

    /// Kills it with `SIGKILL`, replaces its data with a copy, and starts it again.
    ///
    /// # Panics
    ///
    /// If the data cannot be copied or the server does not start.
    pub async fn restore(&mut self, copy: &TempDir) {
        self.kill();
        self.directory = TempDir::new().expect("a temporary directory");
        copy_data(copy.path(), self.directory.path());
        self.restart().await;
    }

    async fn is_ready(&self) -> io::Result<bool> {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await?;
        connection.write_all(self.program.greeting).await?;
        let mut answer = vec![0; self.program.answer.len()];
        connection.read_exact(&mut answer).await?;
        Ok(answer == self.program.answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn copy_data(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "could not copy {}", from.display());
}

/// A free port that this process has not returned before.
async fn free_port() -> u16 {
    static USED: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);
    loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        if USED.lock().unwrap_or_else(PoisonError::into_inner).insert(port) {
            return port;
        }
    }
}
