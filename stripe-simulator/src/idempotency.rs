//! Idempotency keys: <https://docs.stripe.com/api/idempotent_requests>.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long the reply to a request with a key is kept.
pub(crate) const LIFETIME: Duration = Duration::from_hours(24);

/// What identifies a request, so that a retry of it can be recognised.
#[derive(Clone, Debug)]
pub(crate) struct RequestIdentity {
    /// `req_…`. A retry has another one.
    pub(crate) id: String,
    /// The `Idempotency-Key` header. Without one, a request is never a retry.
    pub(crate) key: Option<String>,
    /// A hash of the endpoint and the parameters.
    pub(crate) fingerprint: String,
}

/// The keys of the requests in flight. None is, after the process was killed.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight(Arc<Mutex<HashSet<String>>>);

/// Removes a key from [`InFlight`] when dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    keys: InFlight,
    key: String,
}

/// Another request with this key is in flight.
#[derive(Debug, thiserror::Error)]
#[error("another request with idempotency key {0:?} is in flight")]
pub(crate) struct KeyInUse(pub(crate) String);

impl InFlight {
    /// Reserves the key of a request until the guard is dropped.
    pub(crate) fn enter(&self, key: &str) -> Result<InFlightGuard, KeyInUse> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned()) {
            Ok(InFlightGuard { keys: self.clone(), key: key.to_owned() })
        } else {
            Err(KeyInUse(key.to_owned()))
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.keys.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
