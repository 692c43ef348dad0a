//! The trace context of the request that caused what is done now, as W3C Trace Context's `traceparent`.
//!
//! An HTTP request brings it or is given a new one; it travels in the headers of every event the request causes, and
//! into what those events cause in turn, so that one id finds all log lines of one purchase.
//! The format is that of <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::future::Future;

tokio::task_local! {
    static CURRENT: TraceParent;
}

/// A `traceparent`: `00-<trace id>-<span id>-<flags>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent(String);

impl TraceParent {
    /// A new trace.
    pub fn generate() -> Self {
        // Zero is not a valid id, and no more likely than any other.
        Self(format!("00-{:032x}-{:016x}-01", rand::random::<u128>() | 1, rand::random::<u64>() | 1))
    }

    /// Takes over what a client or a message brought, if it is well formed.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let sane = [2, 32, 16, 2].into_iter().all(|length| {
            parts.next().is_some_and(|part| {
                part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            })
        });
        (sane && parts.next().is_none() && text.starts_with("00")).then(|| Self(text.to_owned()))
    }

    /// The trace context this code runs under, if any.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs `future` under this trace context.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CURRENT.scope(self, future)
    }

    /// As it is written in a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part that is the same for all that one request causes.
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_well_formed_is_taken_over() {
        let own = TraceParent::generate();
        assert_eq!(TraceParent::parse(own.as_str()), Some(own));
        for text in [
            "",
            "00",
            "00-a-b-01",
            "zz-00000000000000000000000000000001-0000000000000001-01",
            "00-é0000000000000000000000000000000-0000000000000001-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }
}
