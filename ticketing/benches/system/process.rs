//! A process of the system under test.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use testing::system::STOP_TIMEOUT;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const READY_POLL: Duration = Duration::from_millis(1);

/// Linux reports processor time in units of this.
const TICK: Duration = Duration::from_millis(10);

/// A running process; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// Its output goes to a file, as in production.
    log: PathBuf,
    /// The offset of its first line; an earlier process may have written to the same file.
    log_start: u64,
}

impl Process {
    pub(crate) fn start(command: std::process::Command, log: &Path) -> Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
        let file = File::options().create(true).append(true).open(log)?;
        let log_start = file.metadata()?.len();
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, child, log: log.to_owned(), log_start })
    }

    /// Waits until `find` finds something in its output.
    pub(crate) async fn wait_for_output<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            let exited = self.child.try_wait()?;
            let mut output = String::new();
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(self.log_start))?;
            log.read_to_string(&mut output)?;
            if let Some(found) = find(&output) {
                return Ok(found);
            }
            ensure!(exited.is_none(), "{} exited before it was ready: {}", self.name, output.trim());
            ensure!(
                began.elapsed() < READY_TIMEOUT,
                "{} was not ready within {READY_TIMEOUT:?}: {}",
                self.name,
                output.trim()
            );
            sleep(READY_POLL).await;
        }
    }

    /// Sends SIGTERM and checks that the process exits successfully and in time.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let Self { name, child, .. } = &mut self;
        let id = child.id().with_context(|| format!("{name} has already exited"))?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let exited = timeout(STOP_TIMEOUT, child.wait()).await;
        let status = exited.with_context(|| format!("{name} did not stop within {STOP_TIMEOUT:?}"))??;
        ensure!(status.success(), "{name} did not stop cleanly: {status}");
        Ok(())
    }

    /// Its peak resident memory in bytes. Only known on Linux.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// The processor time it has used so far. Only known on Linux.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        // The name may contain spaces and parentheses. The third field follows it; utime and stime are fields 14 and 15.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u32>().ok();
        Some(TICK * (ticks()? + ticks()?))
    }
}
