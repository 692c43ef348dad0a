//! The timeouts between requests.
//!
//! hyper has a single timeout for the next request: an idle connection must finish the head of a request before it.
//! Clients that reuse connections need a long one, but a client that has begun to send a head needs only a short one.
//! So we give hyper a timer that becomes shorter when data arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt;
use pin_project_lite::pin_project;
use tokio::io::AsyncRead;
use tokio::time;
use tokio_util::io::InspectReader;

/// How long a connection may be idle. Longer than the 60 seconds for which proxies usually reuse one, so that the proxy
/// closes it first and never sends a request into a closed connection.
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long a client may take to send the head of a request, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// hyper's timer of one connection.
#[derive(Clone, Default)]
pub(super) struct HeadTimer {
    /// Whether data has arrived since hyper began to wait for a request.
    has_data: Arc<AtomicBool>,
}

impl HeadTimer {
    /// Wraps the connection so that the timer notices when data arrives.
    pub(super) fn watch<S: AsyncRead>(&self, stream: S) -> InspectReader<S, impl FnMut(&[u8]) + use<S>> {
        let has_data = self.has_data.clone();
        InspectReader::new(stream, move |_| has_data.store(true, Ordering::Relaxed))
    }
}

/// hyper starts a timer when it begins to wait for a request, and drops it when the head is complete.
impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        self.has_data.store(false, Ordering::Relaxed);
        let sleep = time::sleep_until(deadline.into());
        Box::pin(HeadSleep { sleep, is_idle: true, has_data: self.has_data.clone() })
    }

    fn now(&self) -> Instant {
        time::Instant::now().into_std()
    }
}

pin_project! {
    /// Expires at the idle timeout, or once data has arrived, at the head timeout. hyper polls it after each read that
    /// leaves the head incomplete.
    struct HeadSleep {
        #[pin]
        sleep: time::Sleep,
        is_idle: bool,
        has_data: Arc<AtomicBool>,
    }
}

impl rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if *this.is_idle && this.has_data.load(Ordering::Relaxed) {
            *this.is_idle = false;
            this.sleep.as_mut().reset(time::Instant::now() + HEAD_TIMEOUT);
        }
        this.sleep.poll(context)
    }
}
