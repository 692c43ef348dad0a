//! One process of the system under test.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a process may take to get ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look whether it is.
const POLL: Duration = Duration::from_millis(1);

/// What the system promises: a signal ends it within ten seconds.
const STOPPING: Duration = Duration::from_secs(10);

/// The unit in which Linux tells processor time.
const TICK: Duration = Duration::from_millis(10);

/// A running process; killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    /// What it writes goes to a file, as it would where it is run for long.
    log: PathBuf,
    /// Where in the file its own lines begin.
    begin: u64,
}

impl Process {
    pub(crate) fn start(command: std::process::Command, log: &Path) -> Result<Self> {
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
        let file = File::options().create(true).append(true).open(log)?;
        let begin = file.metadata()?.len();
        let mut command = Command::from(command);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("could not start {name}"))?;
        Ok(Self { name, child, log: log.to_owned(), begin })
    }

    /// Waits until it has written what `find` finds something in.
    pub(crate) async fn said<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> Result<T> {
        let began = Instant::now();
        loop {
            let ended = self.child.try_wait()?;
            let mut said = String::new();
            let mut log = File::open(&self.log)?;
            log.seek(SeekFrom::Start(self.begin))?;
            log.read_to_string(&mut said)?;
            if let Some(found) = find(&said) {
                return Ok(found);
            }
            ensure!(ended.is_none(), "{} ended before it was ready: {}", self.name, said.trim());
            ensure!(began.elapsed() < PATIENCE, "{} does not get ready: {}", self.name, said.trim());
            sleep(POLL).await;
        }
    }

    /// Asks it to stop, and checks that it does so in time and in good order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let Self { name, child, .. } = &mut self;
        let id = child.id().with_context(|| format!("{name} has ended by itself"))?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        let ended = timeout(STOPPING, child.wait()).await;
        let status = ended.with_context(|| format!("{name} did not stop within {STOPPING:?}"))??;
        ensure!(status.success(), "{name} stopped with {status}");
        Ok(())
    }

    /// The most memory it ever had resident, in bytes. Only Linux tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// The processor time it has used so far. Only Linux tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()?)).ok()?;
        // After the name, which may contain anything, comes the third field; user and system time are the 14th and 15th.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u32>().ok();
        Some(TICK * (ticks()? + ticks()?))
    }
}
