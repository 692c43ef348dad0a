//! The system under test, as a process.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// What the system promises: a signal ends it within ten seconds.
const STOPPING: Duration = Duration::from_secs(10);

/// The unit in which Linux tells processor time.
const TICK: Duration = Duration::from_millis(10);

/// A running server; killed when dropped.
pub(crate) struct Server {
    pub(crate) api: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// From the start of the process until it said that it was ready.
    pub(crate) ready_after: Duration,
    process: Child,
    /// Kept open: a server whose standard output is gone is another case than the one measured.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts the server on this directory and waits until it is ready. Orders expire after `expiration`, or after
    /// the default.
    pub(crate) async fn start(directory: &Path, expiration: Option<Duration>) -> Result<Self> {
        let log = directory.with_extension("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(directory);
        // The surroundings are not to change what is measured.
        for variable in ["RUST_LOG", "LOG_FORMAT", "ORDER_EXPIRATION_SECONDS", "STRIPE_KEY", "STRIPE_API_BASE"] {
            command.env_remove(variable);
        }
        if let Some(expiration) = expiration {
            command.env("ORDER_EXPIRATION_SECONDS", expiration.as_secs().to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(File::options().create(true).append(true).open(&log)?);

        let began = Instant::now();
        let mut process = command.spawn().context("could not start the system")?;
        let output = process.stdout.take().context("the system has no standard output")?;
        let mut output = BufReader::new(output).lines();
        let ready = async {
            let (mut api, mut ready_after, mut admin) = (None, began.elapsed(), None);
            while let Some(line) = output.next_line().await? {
                if let Some(address) = address(&line, "API") {
                    (api, ready_after) = (Some(address), began.elapsed());
                }
                admin = admin.or(address(&line, "Admin"));
                if let (Some(api), Some(admin)) = (api, admin) {
                    return Ok((api, admin, ready_after));
                }
            }
            bail!("the system ended before it was ready: {}", fs::read_to_string(&log)?.trim())
        };
        let (api, admin, ready_after) = timeout(PATIENCE, ready).await.context("the system does not get ready")??;
        Ok(Self { api, admin, ready_after, process, _output: output })
    }

    /// Asks the server to stop, and checks that it does so in time and in good order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.process.id().context("the server has ended by itself")?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let ended = timeout(STOPPING, self.process.wait()).await;
        let status = ended.with_context(|| format!("the server did not stop within {STOPPING:?}"))??;
        ensure!(status.success(), "the server stopped with {status}");
        Ok(())
    }

    /// The most memory it ever had resident, in bytes. Only Linux tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// The processor time it has used so far. Only Linux tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()?)).ok()?;
        // After the name, which may contain anything, comes the third field; user and system time are the 14th and 15th.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u32>().ok();
        Some(TICK * (ticks()? + ticks()?))
    }
}

/// The address in a start-up line such as `API       http://127.0.0.1:41973/api`.
fn address(line: &str, label: &str) -> Option<SocketAddr> {
    let url = line.trim().strip_prefix(label)?.trim_start().strip_prefix("http://")?;
    url.split(['/', ' ']).next()?.parse().ok()
}
