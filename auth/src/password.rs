//! Passwords, and their hashing with argon2id on a bounded number of threads behind a bounded queue.

use std::error::Error;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use argon2::password_hash::phc;
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

/// 19 MiB, two passes, one lane, as recommended by
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>.
const PARAMS: Params = match Params::new(19 * 1024, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid parameters"),
};

/// The most passwords that wait for a thread: about a second's work for two cores.
const MAX_QUEUED: usize = 64;

/// A password to sign in with: trimmed and not empty. Never shown in debug output.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Password(SecretString);

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() { Err("a password must not be empty") } else { Ok(Self(text.into())) }
    }
}

/// A password to sign up with: trimmed, 8 to 128 characters.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Password")]
pub(crate) struct NewPassword(pub(crate) Password);

impl TryFrom<Password> for NewPassword {
    type Error = &'static str;

    fn try_from(password: Password) -> Result<Self, &'static str> {
        let length = password.0.expose_secret().chars().count();
        if (8..=128).contains(&length) { Ok(Self(password)) } else { Err("a password has 8 to 128 characters") }
    }
}

/// The stored hash of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
///
/// The string contains the parameters, so raising [`PARAMS`] leaves existing hashes valid.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PasswordHash(phc::PasswordHash);

impl PasswordHash {
    /// The current parameters and a fresh salt, without an output yet.
    fn template() -> Result<Self, HashError> {
        Ok(Self(phc::PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: (&PARAMS).try_into().map_err(HashError::failed)?,
            salt: Some(phc::Salt::generate()),
            hash: None,
        }))
    }

    /// Hashes `password` with the algorithm, parameters and salt of this hash. `memory` grows as needed.
    fn hash_password(&self, password: &Password, memory: &mut Vec<Block>) -> Result<phc::Output, HashError> {
        let algorithm = Algorithm::try_from(self.0.algorithm.as_str()).map_err(HashError::failed)?;
        let version = self.0.version.map_or(Ok(Version::default()), Version::try_from).map_err(HashError::failed)?;
        let params = Params::try_from(&self.0).map_err(HashError::failed)?;
        let salt = self.0.salt.as_ref().ok_or_else(|| HashError::failed("the hash has no salt"))?;

        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::new());
        }
        let mut output = vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)];
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password.0.expose_secret().as_bytes(), salt, &mut output, memory)
            .map_err(HashError::failed)?;
        phc::Output::new(&output).map_err(HashError::failed)
    }
}

impl TryFrom<String> for PasswordHash {
    type Error = phc::Error;

    fn try_from(text: String) -> Result<Self, phc::Error> {
        text.parse().map(Self)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0.to_string()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Why a password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords are waiting to be hashed, try again later")]
    Overloaded,
    #[error("argon2 failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl HashError {
    fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }
}

/// A pool of threads that hash passwords, with a bounded queue. Cheap to clone.
///
/// Requests cancelled while queued are not hashed.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    queue: Sender<Task>,
    hash_count: AtomicU64,
}

/// A unit of work for a hashing thread, which passes in its own memory.
///
/// Threads reuse their memory: touching fresh pages would make a hash up to a third slower, and freeing the blocks does
/// not necessarily return them to the operating system.
type Task = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

impl Default for Hasher {
    /// One thread per core, since hashing is bound by the CPU.
    fn default() -> Self {
        Self::new(available_parallelism().unwrap_or(NonZeroUsize::MIN), MAX_QUEUED)
    }
}

impl Hasher {
    /// Starts `threads` threads, with room for `max_queued` waiting passwords (at least one).
    pub fn new(threads: NonZeroUsize, max_queued: usize) -> Self {
        let (queue, receiver) = channel(max_queued.max(1));
        let tasks = Arc::new(Mutex::new(receiver));
        for _ in 0..threads.get() {
            let tasks = tasks.clone();
            std::thread::spawn(move || run_tasks(&tasks));
        }
        Self(Arc::new(Inner { queue, hash_count: AtomicU64::new(0) }))
    }

    /// The number of hashes computed so far, successfully or not.
    pub fn hash_count(&self) -> u64 {
        self.0.hash_count.load(Ordering::Relaxed)
    }

    /// Hashes a new password.
    pub(crate) async fn hash(&self, password: NewPassword) -> Result<PasswordHash, HashError> {
        let mut hash = PasswordHash::template()?;
        hash.0.hash = Some(self.hash_like(hash.clone(), password.0).await?);
        Ok(hash)
    }

    /// Whether `password` is the one that was stored. Without a stored hash the answer is no, after the same work.
    pub(crate) async fn verify(&self, password: Password, stored: Option<PasswordHash>) -> Result<bool, HashError> {
        let stored = stored.map_or_else(PasswordHash::template, Ok)?;
        let expected = stored.0.hash;
        let output = self.hash_like(stored, password).await?;
        Ok(expected == Some(output))
    }

    /// Hashes `password` with the algorithm, parameters and salt of `like`.
    async fn hash_like(&self, like: PasswordHash, password: Password) -> Result<phc::Output, HashError> {
        let (reply, output) = oneshot::channel();
        let inner = self.0.clone();
        let task = move |memory: &mut Vec<Block>| {
            if reply.is_closed() {
                return;
            }
            let output = like.hash_password(&password, memory);
            inner.hash_count.fetch_add(1, Ordering::Relaxed);
            // Fails if the request was cancelled in the meantime.
            let _ = reply.send(output);
        };
        self.0.queue.try_send(Box::new(task)).map_err(|_| HashError::Overloaded)?;
        output.await.map_err(HashError::failed)?
    }
}

/// Runs queued tasks until every [`Hasher`] is dropped. One idle thread waits for a task, the others for its lock.
fn run_tasks(tasks: &Mutex<Receiver<Task>>) {
    let next = || tasks.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
    let mut memory = Vec::new();
    while let Some(task) = next() {
        task(&mut memory);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::future::join_all;
    use futures_util::poll;

    use super::*;

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    fn password(text: &str) -> Password {
        text.to_owned().try_into().unwrap()
    }

    fn stored(phc: &str) -> PasswordHash {
        phc.to_owned().try_into().unwrap()
    }

    /// Blocks one thread until the sender is dropped.
    async fn block_thread(hasher: &Hasher) -> std::sync::mpsc::Sender<()> {
        let (blocker, dropped) = std::sync::mpsc::channel();
        let (start, started) = oneshot::channel();
        let task = Box::new(move |_: &mut Vec<Block>| {
            start.send(()).unwrap();
            let _ = dropped.recv();
        });
        hasher.0.queue.try_send(task).ok().unwrap();
        started.await.unwrap();
        blocker
    }

    #[test]
    fn new_passwords_have_8_to_128_characters_after_trimming() {
        assert_eq!(password(" \tsecret\n").0.expose_secret(), "secret");
        assert!(Password::try_from(" \n".to_owned()).is_err());
        let is_new = |text: &str| NewPassword::try_from(password(text)).is_ok();
        assert!(is_new(&"é".repeat(8)) && is_new(&"é".repeat(128)));
        assert!(!is_new(&"é".repeat(7)) && !is_new(&"é".repeat(129)));
        assert!(!is_new("  1234567  "));
    }

    #[tokio::test]
    async fn debug_output_shows_neither_password_nor_hash() {
        let new = NewPassword(password("open sesame"));
        let hash = Hasher::new(ONE, 0).hash(new.clone()).await.unwrap();
        assert!(!format!("{new:?}").contains("sesame"));
        assert_eq!(format!("{hash:?}"), "[REDACTED]");
    }

    #[tokio::test]
    async fn only_the_hashed_password_verifies() {
        let hasher = Hasher::new(ONE, 0);
        let hash = hasher.hash(NewPassword(password("open sesame"))).await.unwrap();
        let second = hasher.hash(NewPassword(password("open sesame"))).await.unwrap();
        let (text, second) = (String::from(hash), String::from(second));
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_ne!(text, second, "salts must be random");
        assert!(hasher.verify(password("open sesame"), Some(stored(&text))).await.unwrap());
        assert!(!hasher.verify(password("Open sesame"), Some(stored(&text))).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_with_other_parameters_verify() {
        // Test vectors of the reference implementation.
        let hasher = Hasher::new(ONE, 0);
        for phc in [
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
        ] {
            assert!(hasher.verify(password("password"), Some(stored(phc))).await.unwrap(), "{phc}");
            assert!(!hasher.verify(password("passw0rd"), Some(stored(phc))).await.unwrap(), "{phc}");
        }
    }

    #[tokio::test]
    async fn without_a_stored_hash_no_password_verifies_after_the_same_work() {
        let hasher = Hasher::new(ONE, 0);
        assert!(!hasher.verify(password("open sesame"), None).await.unwrap());
        assert_eq!(hasher.hash_count(), 1);
        let template = PasswordHash::template().unwrap();
        assert_eq!(Params::try_from(&template.0).unwrap(), PARAMS);
    }

    #[tokio::test]
    async fn a_full_queue_refuses_further_passwords() {
        let hasher = Hasher::new(ONE, 1);
        let blocker = block_thread(&hasher).await;
        let mut waiting = Box::pin(hasher.verify(password("one"), None));
        assert!(poll!(&mut waiting).is_pending());
        let refused = poll!(Box::pin(hasher.verify(password("two"), None)));
        assert!(matches!(refused, Poll::Ready(Err(HashError::Overloaded))));
        drop(blocker);
        assert!(!waiting.await.unwrap());
        assert_eq!(hasher.hash_count(), 1);
    }

    #[tokio::test]
    async fn requests_cancelled_while_queued_are_not_hashed() {
        let hasher = Hasher::new(ONE, 4);
        let blocker = block_thread(&hasher).await;
        for _ in 0..3 {
            let mut cancelled = Box::pin(hasher.verify(password("cancelled"), None));
            assert!(poll!(&mut cancelled).is_pending());
        }
        let mut waiting = Box::pin(hasher.verify(password("waiting"), None));
        assert!(poll!(&mut waiting).is_pending());
        drop(blocker);
        waiting.await.unwrap();
        assert_eq!(hasher.hash_count(), 1);
    }

    #[tokio::test]
    async fn every_thread_hashes_concurrently() {
        let hasher = Hasher::new(NonZeroUsize::new(2).unwrap(), 8);
        // The second task starts while the first is still blocked.
        let blockers = (block_thread(&hasher).await, block_thread(&hasher).await);
        let mut waiting = Box::pin(join_all((0..4).map(|_| hasher.verify(password("open sesame"), None))));
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(hasher.hash_count(), 0);
        drop(blockers);
        waiting.await;
        assert_eq!(hasher.hash_count(), 4);
    }
}
