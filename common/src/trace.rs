//! The trace context of the request that caused the current work, as in W3C Trace Context.
//!
//! A request brings its context or gets a new one. The context travels with every event that the request causes, and
//! into the work that those events cause in turn, so that one trace id finds all log lines of a purchase. OpenTelemetry
//! keeps the current context and reads and writes the `traceparent` header
//! (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use std::fmt;

use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{FutureExt, SpanContext, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};
use tokio::task::JoinHandle;
use tracing::{Instrument, error_span};

/// The name of the header.
const TRACEPARENT: &str = "traceparent";

/// The length of a header in bytes.
const TRACEPARENT_LENGTH: usize = 55;

/// A trace context. As text it is the value of a `traceparent` header: `00-<trace id>-<span id>-<flags>`.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceParent(SpanContext);

impl TraceParent {
    /// Starts a new trace.
    pub fn generate() -> Self {
        let (trace, span) = (RandomIdGenerator::default().new_trace_id(), RandomIdGenerator::default().new_span_id());
        Self(SpanContext::new(trace, span, TraceFlags::SAMPLED, true, TraceState::NONE))
    }

    /// Parses a header. Returns `None` if it is invalid.
    pub fn parse(header: &str) -> Option<Self> {
        // The propagator would accept shorter ids, and text after the flags.
        if header.len() != TRACEPARENT_LENGTH {
            return None;
        }
        let header = Header(Some(header.to_owned()));
        Self::of(&TraceContextPropagator::new().extract_with_context(&Context::new(), &header))
    }

    /// The current context, if any.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// Runs `future` in this context.
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        future.with_context(self.context())
    }

    /// The trace id, shared by all work that one request causes.
    pub fn trace_id(&self) -> TraceId {
        self.0.trace_id()
    }

    fn of(context: &Context) -> Option<Self> {
        context.has_active_span().then(|| Self(context.span().span_context().clone()))
    }

    fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut header = Header::default();
        TraceContextPropagator::new().inject_context(&self.context(), &mut header);
        f.write_str(header.0.as_deref().unwrap_or_default())
    }
}

/// Runs one round of a background task in a new trace, so that its log lines can be distinguished from those of other
/// rounds.
pub async fn in_new_trace<F: Future>(task: &'static str, round: F) -> F::Output {
    let trace = TraceParent::generate();
    let trace_id = trace.trace_id();
    let traced = async {
        // Created within the scope, so that an exported span belongs to the trace.
        let span = error_span!("task", task, %trace_id);
        round.instrument(span).await
    };
    trace.scope(traced).await
}

/// Spawns a task that continues the current trace and span.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future.in_current_span().with_current_context())
}

/// The one header that carries a context.
#[derive(Default)]
struct Header(Option<String>);

impl Injector for Header {
    fn set(&mut self, name: &str, value: String) {
        if name == TRACEPARENT {
            self.0 = Some(value);
        }
    }
}

impl Extractor for Header {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.as_deref().filter(|_| name == TRACEPARENT)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_headers_are_continued() {
        let own = TraceParent::generate();
        assert_eq!(TraceParent::parse(&own.to_string()), Some(own));
        for header in [
            "",
            "00",
            "zz-00000000000000000000000000000001-0000000000000001-01",
            "00-é0000000000000000000000000000000-0000000000000001-01",
            "00-00000000000000000000000000000000-0000000000000001-01",
            "01-00000000000000000000000000000001-0000000000000001-01-more",
        ] {
            assert_eq!(TraceParent::parse(header), None, "{header}");
        }
    }

    #[tokio::test]
    async fn a_spawned_task_continues_the_trace() {
        let trace = TraceParent::generate();
        let spawned = trace.clone().scope(async { spawn(async { TraceParent::current() }).await });
        assert_eq!(spawned.await.unwrap(), Some(trace));
        assert_eq!(TraceParent::current(), None);
    }
}
