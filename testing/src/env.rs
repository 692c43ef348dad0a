//! The environment of a service under test.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use common::clock::{Clock, ManualClock, Timestamp};
use common::ids::UserId;
use common::session::Sessions;
use common::store::{Database, Store};

/// A temporary directory, a manual clock and the sessions of a service under test.
///
/// Methods panic if the machine fails, for example on a full disk.
pub struct TestEnv {
    directory: TempDir,
    /// The clock of everything created here. It stands still until a test advances it.
    pub clock: ManualClock,
    /// Signs the sessions of [`TestEnv::user`].
    pub sessions: Sessions,
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// An empty directory, and a clock at noon on 31 January 2026.
    ///
    /// # Panics
    ///
    /// If the temporary directory is not writable.
    pub fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_769_860_800_000));
        let sessions = Sessions::new(&"a key for tests".into(), Arc::new(clock.clone()));
        Self { directory: TempDir::new().expect("a temporary directory"), clock, sessions }
    }

    /// The directory, deleted when this is dropped.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A database on the store that `open` opens, in a file of the directory.
    pub fn database<S: Store, E: Debug>(&self, open: impl FnOnce(&Path) -> Result<S, E>) -> Database {
        let store = open(&self.directory().join("test.db")).expect("a database");
        Database::new(Arc::new(store), Arc::new(self.clock.clone()))
    }

    /// A signed-in user with the email address `<name>@test.com`.
    pub fn user(&self, name: &str) -> TestUser {
        let (id, email) = (UserId::generate(self.clock.now()), format!("{name}@test.com"));
        let token = self.sessions.sign(id, &email, Duration::from_secs(3600)).expect("a token");
        TestUser { id, email, cookie: format!("session={token}") }
    }

    /// `Cookie` headers that sign nobody in: an empty, a broken, a forged and an expired token, and a valid token in
    /// a cookie of another name.
    pub fn bad_cookies(&self) -> Vec<String> {
        let ann = self.user("ann");
        let forger = Sessions::new(&"another key".into(), Arc::new(self.clock.clone()));
        let sign = |sessions: &Sessions, lifetime| sessions.sign(ann.id, &ann.email, lifetime).expect("a token");
        let (forged, expired) = (sign(&forger, Duration::from_secs(3600)), sign(&self.sessions, Duration::ZERO));
        let mut cookies: Vec<_> = ["", "broken", &forged, &expired].map(|token| format!("session={token}")).into();
        cookies.push(format!("other_{}", ann.cookie));
        cookies
    }
}

/// A signed-in user.
#[derive(Clone, Debug)]
pub struct TestUser {
    /// The user's id.
    pub id: UserId,
    /// The user's email address.
    pub email: String,
    /// The `Cookie` header that carries the session.
    pub cookie: String,
}
