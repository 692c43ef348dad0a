//! Request bodies that a handler does not read to their end, such as those of refused requests.
//!
//! The next request on the connection follows such a body. By itself hyper discards only what has already arrived and
//! otherwise closes the connection without a word, so that the client's next request fails. Here the rest is discarded
//! after the response, or the response announces that the connection will be closed.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::ServiceExt;

use super::body::BODY_TIMEOUT;

/// How much of a body is discarded.
const MAX_DISCARDED: u64 = 4 << 20;

/// How long a client that probably sends no more may go on sending.
const LINGER: Duration = Duration::from_secs(1);

/// Tells the client that this is the last response on its connection. hyper then closes it.
pub(super) fn announce_close(response: &mut Response) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Responds to a request, and takes care of what is left of its body.
pub(super) async fn respond(routes: Router, request: Request<Incoming>) -> Response {
    if request.body().is_end_stream() {
        return call(routes, request).await;
    }
    // The client sends the body only if asked to, and will not be.
    let expects_continue = request.headers().contains_key(header::EXPECT);
    let (sender, unread) = oneshot::channel();
    let mut response = call(routes, request.map(|body| Returned::new(body, sender))).await;
    if let Ok(body) = { unread }.try_recv() {
        let is_stalled = expects_continue || response.status() == StatusCode::REQUEST_TIMEOUT;
        // The length of a chunked body is unknown, so it may be too long.
        if is_stalled || body.size_hint().upper().is_none_or(|length| length > MAX_DISCARDED) {
            announce_close(&mut response);
        }
        // Also if the connection will be closed: a client that is still sending could lose the response otherwise.
        tokio::spawn(timeout(if is_stalled { LINGER } else { BODY_TIMEOUT }, discard(body)));
    }
    response
}

async fn call<B>(routes: Router, request: Request<B>) -> Response
where
    B: Body<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    let Ok(response) = routes.oneshot(request).await;
    response
}

async fn discard(mut body: Incoming) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        length += frame.data_ref().map_or(0, |data| data.len() as u64);
        if length > MAX_DISCARDED {
            break;
        }
    }
}

/// A body that is returned if it is dropped before its end.
struct Returned {
    body: Option<Incoming>,
    sender: Option<oneshot::Sender<Incoming>>,
}

impl Returned {
    fn new(body: Incoming, sender: oneshot::Sender<Incoming>) -> Self {
        Self { body: Some(body), sender: Some(sender) }
    }
}

impl Body for Returned {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if frame.is_none() {
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Returned {
    fn drop(&mut self) {
        if let (false, Some(body), Some(sender)) = (self.is_end_stream(), self.body.take(), self.sender.take()) {
            // Fails if the request was cancelled. Nobody waits for a response then.
            let _cancelled = sender.send(body);
        }
    }
}
