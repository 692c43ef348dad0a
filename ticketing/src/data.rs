//! The data directory: its lock, and the session key.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use secrecy::SecretString;
use tracing::warn;

/// The database of the bus.
pub(crate) const EVENTS: &str = "events.db";

/// The database of the auth service.
pub(crate) const USERS: &str = "auth.db";

/// The database of the tickets service.
pub(crate) const TICKETS: &str = "tickets.db";

/// The database of the orders service.
pub(crate) const ORDERS: &str = "orders.db";

/// The database of the payments service.
pub(crate) const PAYMENTS: &str = "payments.db";

/// The delayed jobs of the expiration service.
pub(crate) const JOBS: &str = "expiration.db";

/// The database of the Stripe simulator.
pub(crate) const SIMULATOR: &str = "stripe-simulator.db";

/// The path of a database in the data directory of a system, which may be running.
///
/// # Errors
///
/// If it does not exist: a command must not create it.
pub(crate) fn existing_database(data: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let file = data.join(name);
    if !file.try_exists().with_context(|| format!("could not look for {}", file.display()))? {
        bail!("{} does not exist; name the system's data directory with --data-dir (DATA_DIR)", file.display());
    }
    Ok(file)
}

/// Whether a system is running on a data directory.
pub(crate) fn is_in_use(data: &Path) -> anyhow::Result<bool> {
    let path = data.join("lock");
    let context = || format!("could not read {}", path.display());
    let lock = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        lock => lock.with_context(context)?,
    };
    // Released at once, because a system cannot start in between.
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(context),
    }
}

/// The directory of all data, locked for this process.
pub(crate) struct DataDirectory {
    path: PathBuf,
    /// Locked while it is open. The operating system releases it when the process exits, even if it is killed.
    _lock: File,
}

impl DataDirectory {
    /// Creates the directory if it is missing, makes it private, and locks it: each engine assumes that no other process
    /// writes to its file.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("could not open the data directory {} (DATA_DIR)", path.display());
        DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(context)?;
        make_private(path)?;
        let lock = OpenOptions::new().create(true).append(true).open(path.join("lock")).with_context(context)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => bail!(
                "another process uses the data directory {}; stop it, or choose another directory with DATA_DIR",
                path.display()
            ),
            Err(TryLockError::Error(error)) => Err(error).with_context(context),
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

    /// The key that signs sessions. Generated once and stored readable only by its owner, so that sessions survive a
    /// restart.
    pub(crate) fn session_key(&self) -> anyhow::Result<SecretString> {
        let path = self.file("session-key");
        let context = || format!("could not read or create the session key {}", path.display());
        match fs::read_to_string(&path) {
            Ok(key) if key.trim().len() >= 32 => return Ok(key.trim().into()),
            // Truncated by a crash during its creation, before it signed anything.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(context),
        }
        let key = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&path).with_context(context)?;
        writeln!(file, "{key}").and_then(|()| file.sync_all()).with_context(context)?;
        Ok(key.into())
    }
}

/// Takes away the access of other users to an existing directory. It holds password hashes and the session key.
fn make_private(path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    let unreadable = || format!("could not read the data directory {shown} (DATA_DIR)");
    let mode = fs::metadata(path).with_context(unreadable)?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    // A directory such as /tmp must stay open to others.
    let is_ours = path.join(EVENTS).exists() || fs::read_dir(path).with_context(unreadable)?.next().is_none();
    if !is_ours {
        bail!("other users can access {shown} (DATA_DIR), and it holds other files; choose an empty directory");
    }
    fs::set_permissions(path, Permissions::from_mode(0o700)).with_context(|| {
        format!(
            "other users can access the data directory {shown} (DATA_DIR), and its mode cannot be changed; \
             let its owner run `chmod 700 {shown}`, or choose another directory"
        )
    })?;
    warn!(path = %shown, "other users could access the data directory, it is private now");
    Ok(())
}
