//! The HTTP server.
//!
//! Our own loop over hyper, because `axum::serve` has no timeouts. There is one for each way in which a client can
//! stall: here for the response, in [`HeadTimer`] for the head of a request, in [`Body`](super::Body) for its body.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::head_timer::{HeadTimer, IDLE_TIMEOUT};
use super::unread::{announce_close, respond};

/// How long a client may leave the connection full of data that it does not read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest head of a request.
const MAX_HEAD: usize = 32 * 1024;

/// Pause after the operating system fails to accept a connection, most likely for too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long idle connections stay open when the server stops. A request that its client sent before it could know is
/// still answered.
const IDLE_GRACE: Duration = Duration::from_secs(1);

/// Serves `routes` until `stop` is cancelled, then accepts no more connections, completes the requests in flight, and
/// returns.
///
/// Boxed so that it is compiled here, and not again in each crate that awaits it.
pub fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) -> BoxFuture<'static, ()> {
    let server = Arc::new(Server { routes, is_stopping: AtomicBool::new(false) });
    Box::pin(server.run(listener, stop))
}

struct Server {
    routes: Router,
    is_stopping: AtomicBool,
}

impl Server {
    async fn run(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) {
        let (graceful, connections) = (GracefulShutdown::new(), TaskTracker::new());
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    connections.spawn(self.clone().serve_connection(stream, &graceful));
                }
                Err(error) => {
                    warn!(%error, "could not accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        // From now on each response closes its connection. The graceful shutdown then closes those that are idle.
        self.is_stopping.store(true, Ordering::Relaxed);
        connections.close();
        let _elapsed = timeout(IDLE_GRACE, connections.wait()).await;
        graceful.shutdown().await;
    }

    fn serve_connection(
        self: Arc<Self>,
        stream: TcpStream,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + use<> {
        // Responses are small and written whole, so waiting to fill a packet only delays them.
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%error, "could not disable Nagle's algorithm");
        }
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(WRITE_TIMEOUT));
        let timer = HeadTimer::default();
        let stream = TokioIo::new(Box::pin(timer.watch(stream)));
        let mut http = http1::Builder::new();
        http.timer(timer).header_read_timeout(IDLE_TIMEOUT).max_buf_size(MAX_HEAD);
        let service = service_fn(move |request| self.clone().respond(request));
        let connection = graceful.watch(http.serve_connection(stream, service));
        async move {
            if let Err(error) = connection.await {
                // The client went away, was too slow, or did not speak HTTP.
                debug!(%error, "connection ended");
            }
        }
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Result<Response, Infallible> {
        let mut response = respond(self.routes.clone(), request).await;
        if self.is_stopping.load(Ordering::Relaxed) {
            announce_close(&mut response);
        }
        Ok(response)
    }
}
