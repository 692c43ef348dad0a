//! The data directory: whose it is, and what lies in it besides the databases.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::SecretString;

/// The file with the events.
pub(crate) const EVENTS: &str = "events.db";

/// The directory of all data, locked for this process.
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// Locked as long as it is open; the operating system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is missing, and locks it: two processes on one database would each believe that
    /// nobody else writes.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let what = || format!("could not open the data directory {} (DATA_DIR)", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(what)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join("lock")).with_context(what)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another process is running on the data directory {}; stop it, or name another directory with DATA_DIR",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(what),
        }
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The key that signs sessions: made once, kept where only its owner can read it, so that a restart signs nobody
    /// out.
    pub(crate) fn session_key(&self) -> anyhow::Result<SecretString> {
        let path = self.file("session-key");
        let what = || format!("could not read or make the session key {}", path.display());
        match fs::read_to_string(&path) {
            Ok(key) if key.trim().len() >= 32 => return Ok(key.trim().into()),
            // Cut short by a crash while it was being made, before anything was signed with it.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(what),
        }
        let key = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).with_context(what)?;
        writeln!(file, "{key}").and_then(|()| file.sync_all()).with_context(what)?;
        Ok(key.into())
    }
}
