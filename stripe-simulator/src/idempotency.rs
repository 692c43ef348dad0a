//! Recognising retries: <https://docs.stripe.com/api/idempotent_requests>.

/// What identifies a request, so that a retry of it can be recognised.
#[derive(Clone, Debug)]
pub(crate) struct RequestIdentity {
    /// The `Idempotency-Key` header. Without one, a request is never a retry.
    pub(crate) key: Option<String>,
    /// A hash of the endpoint and the parameters.
    pub(crate) fingerprint: String,
}

/// The idempotency key belongs to a request with another endpoint or other parameters.
#[derive(Debug, thiserror::Error)]
#[error("idempotency key {0:?} was first used with other parameters")]
pub(crate) struct KeyReused(pub(crate) String);

impl RequestIdentity {
    /// Whether this request is a retry of an earlier one, given the earlier one's key and fingerprint.
    pub(crate) fn is_retry_of(&self, key: Option<&str>, fingerprint: &str) -> Result<bool, KeyReused> {
        match &self.key {
            Some(own) if key == Some(own.as_str()) => {
                if self.fingerprint == fingerprint {
                    Ok(true)
                } else {
                    Err(KeyReused(own.clone()))
                }
            }
            Some(_) | None => Ok(false),
        }
    }
}
