//! Passwords, and the work of hashing them: argon2id, bounded in threads, memory and queue.

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

/// 19 MiB, two passes, one lane: the first choice of
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>.
const PARAMS: Params = match Params::new(19 * 1024, 2, 1, None) {
    Ok(params) => params,
    Err(_) => panic!("valid parameters"),
};

/// Passwords that may wait for a core; about a second's work for two cores.
const QUEUE: usize = 64;

/// A password somebody signs in with: not empty, without white space around it. Does not show itself in logs.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Password(SecretString);

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() { Err("empty") } else { Ok(Self(text.into())) }
    }
}

/// A password somebody signs up with: 8 to 128 characters, without white space around them.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Password")]
pub(crate) struct NewPassword(pub(crate) Password);

impl TryFrom<Password> for NewPassword {
    type Error = &'static str;

    fn try_from(password: Password) -> Result<Self, &'static str> {
        let length = password.0.expose_secret().chars().count();
        if (8..=128).contains(&length) { Ok(Self(password)) } else { Err("not 8 to 128 characters") }
    }
}

/// What is stored of a password, as a PHC string: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`.
///
/// It names its own parameters, so that they can be raised without locking anybody out.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct PasswordHash(phc::PasswordHash);

impl PasswordHash {
    /// All but the hash: how to compute one.
    fn recipe() -> Result<Self, HashError> {
        Ok(Self(phc::PasswordHash {
            algorithm: ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: (&PARAMS).try_into().map_err(HashError::failed)?,
            salt: Some(phc::Salt::generate()),
            hash: None,
        }))
    }

    /// Computes the hash that this password gives; whether it is the stored one is for the caller to see.
    fn compute(&self, password: &Password, memory: &mut Vec<Block>) -> Result<phc::Output, HashError> {
        let algorithm = Algorithm::try_from(self.0.algorithm.as_str()).map_err(HashError::failed)?;
        let version = self.0.version.map_or(Ok(Version::default()), Version::try_from).map_err(HashError::failed)?;
        let params = Params::try_from(&self.0).map_err(HashError::failed)?;
        let salt = self.0.salt.as_ref().ok_or_else(|| HashError::failed("the stored hash has no salt"))?;

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

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    #[error("too many passwords wait to be hashed")]
    Overloaded,
    #[error("argon2 failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl HashError {
    fn failed(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(why.into())
    }
}

/// Hashes passwords on threads of its own, so many at once, and lets so many more wait. Cheap to clone.
///
/// Who has gone before their turn came is not hashed for.
#[derive(Clone)]
pub struct Hasher(Arc<Inner>);

struct Inner {
    queue: Sender<Job>,
    computed: AtomicU64,
}

/// What a thread does next, in memory of its own.
///
/// That memory is kept from hash to hash: fresh pages cost up to a third of what the hashing does, and an allocator
/// that is given it back need not give it on to the operating system.
type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

impl Default for Hasher {
    /// One at once for every core: more would not make any of them faster.
    fn default() -> Self {
        Self::new(available_parallelism().unwrap_or(NonZeroUsize::MIN), QUEUE)
    }
}

impl Hasher {
    /// A hasher that works on `workers` passwords at once while at most `queue` others wait (at least one).
    pub fn new(workers: NonZeroUsize, queue: usize) -> Self {
        let (sender, receiver) = channel(queue.max(1));
        let jobs = Arc::new(Mutex::new(receiver));
        for _ in 0..workers.get() {
            let jobs = jobs.clone();
            std::thread::spawn(move || work(&jobs));
        }
        Self(Arc::new(Inner { queue: sender, computed: AtomicU64::new(0) }))
    }

    /// How many hashes have been computed, for whatever outcome.
    pub fn computed(&self) -> u64 {
        self.0.computed.load(Ordering::Relaxed)
    }

    /// What to store of a new password.
    pub(crate) async fn hash(&self, password: NewPassword) -> Result<PasswordHash, HashError> {
        let mut hash = PasswordHash::recipe()?;
        hash.0.hash = Some(self.compute(hash.clone(), password.0).await?);
        Ok(hash)
    }

    /// Whether this is the password that was stored. Where none was, the answer is no, and takes as long.
    pub(crate) async fn verify(&self, password: Password, stored: Option<PasswordHash>) -> Result<bool, HashError> {
        let stored = stored.map_or_else(PasswordHash::recipe, Ok)?;
        let expected = stored.0.hash;
        let computed = self.compute(stored, password).await?;
        Ok(expected == Some(computed))
    }

    async fn compute(&self, recipe: PasswordHash, password: Password) -> Result<phc::Output, HashError> {
        let (reply, output) = oneshot::channel();
        let inner = self.0.clone();
        let job = move |memory: &mut Vec<Block>| {
            if reply.is_closed() {
                return;
            }
            let output = recipe.compute(&password, memory);
            inner.computed.fetch_add(1, Ordering::Relaxed);
            // Who asked may have gone meanwhile.
            let _gone = reply.send(output);
        };
        self.0.queue.try_send(Box::new(job)).map_err(|_| HashError::Overloaded)?;
        output.await.map_err(HashError::failed)?
    }
}

/// Works off the queue until every hasher is gone. One thread waits for the next job, the others for that thread.
fn work(jobs: &Mutex<Receiver<Job>>) {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
    let mut memory = Vec::new();
    while let Some(job) = next() {
        job(&mut memory);
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

    /// Occupies a worker until the sender is dropped.
    async fn occupy(hasher: &Hasher) -> std::sync::mpsc::Sender<()> {
        let (release, released) = std::sync::mpsc::channel();
        let (begin, begun) = oneshot::channel();
        let job = Box::new(move |_: &mut Vec<Block>| {
            begin.send(()).unwrap();
            let _released = released.recv();
        });
        hasher.0.queue.try_send(job).ok().unwrap();
        begun.await.unwrap();
        release
    }

    #[test]
    fn passwords_are_trimmed_and_new_ones_measured_in_characters() {
        assert_eq!(password(" \tsecret\n").0.expose_secret(), "secret");
        assert!(Password::try_from(" \n".to_owned()).is_err());
        let is_new = |text: &str| NewPassword::try_from(password(text)).is_ok();
        assert!(is_new(&"é".repeat(8)) && is_new(&"é".repeat(128)));
        assert!(!is_new(&"é".repeat(7)) && !is_new(&"é".repeat(129)));
        assert!(!is_new("  1234567  "));
    }

    #[tokio::test]
    async fn nothing_secret_shows_in_debug_output() {
        let new = NewPassword(password("open sesame"));
        let hash = Hasher::new(ONE, 0).hash(new.clone()).await.unwrap();
        assert!(!format!("{new:?}").contains("sesame"));
        assert_eq!(format!("{hash:?}"), "[REDACTED]");
    }

    #[tokio::test]
    async fn a_stored_hash_knows_its_password_alone() {
        let hasher = Hasher::new(ONE, 0);
        let hash = hasher.hash(NewPassword(password("open sesame"))).await.unwrap();
        let again = hasher.hash(NewPassword(password("open sesame"))).await.unwrap();
        let (text, again) = (String::from(hash), String::from(again));
        assert!(text.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{text}");
        assert_ne!(text, again, "the salt is random");
        assert!(hasher.verify(password("open sesame"), Some(stored(&text))).await.unwrap());
        assert!(!hasher.verify(password("Open sesame"), Some(stored(&text))).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_of_other_parameters_and_makers_are_verified() {
        // From the test vectors of the reference implementation.
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
    async fn nobodys_password_costs_as_much_and_is_always_wrong() {
        let hasher = Hasher::new(ONE, 0);
        assert!(!hasher.verify(password("open sesame"), None).await.unwrap());
        assert_eq!(hasher.computed(), 1);
        let recipe = PasswordHash::recipe().unwrap();
        assert_eq!(Params::try_from(&recipe.0).unwrap(), PARAMS);
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_turned_away() {
        let hasher = Hasher::new(ONE, 1);
        let worker = occupy(&hasher).await;
        let mut waiting = Box::pin(hasher.verify(password("one"), None));
        assert!(poll!(&mut waiting).is_pending());
        let refused = poll!(Box::pin(hasher.verify(password("two"), None)));
        assert!(matches!(refused, Poll::Ready(Err(HashError::Overloaded))));
        drop(worker);
        assert!(!waiting.await.unwrap());
        assert_eq!(hasher.computed(), 1);
    }

    #[tokio::test]
    async fn who_has_gone_is_not_hashed_for() {
        let hasher = Hasher::new(ONE, 4);
        let worker = occupy(&hasher).await;
        for _ in 0..3 {
            let mut gone = Box::pin(hasher.verify(password("gone"), None));
            assert!(poll!(&mut gone).is_pending());
        }
        let mut waiting = Box::pin(hasher.verify(password("waiting"), None));
        assert!(poll!(&mut waiting).is_pending());
        drop(worker);
        waiting.await.unwrap();
        assert_eq!(hasher.computed(), 1);
    }

    #[tokio::test]
    async fn as_many_are_hashed_at_once_as_there_are_workers() {
        let hasher = Hasher::new(NonZeroUsize::new(2).unwrap(), 8);
        // Each begins while the other is held up.
        let (first, second) = (occupy(&hasher).await, occupy(&hasher).await);
        let mut waiting = Box::pin(join_all((0..4).map(|_| hasher.verify(password("open sesame"), None))));
        assert!(poll!(&mut waiting).is_pending());
        assert_eq!(hasher.computed(), 0);
        drop((first, second));
        waiting.await;
        assert_eq!(hasher.computed(), 4);
    }
}
