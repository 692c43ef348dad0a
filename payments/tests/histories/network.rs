//! The network between the payments service and Stripe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response};
use bytes::Bytes;
use common::error::BoxError;
use http_body_util::BodyExt;
use payments::stripe::Transport;
use testing::Pace;
use tokio::task::yield_now;
use tower::ServiceExt;

use crate::chance::Chance;

/// Carries requests to the simulator, or fails to.
pub(crate) struct Network {
    stripe: Router,
    chance: Arc<Chance>,
    /// Requests whose sender has given up, but that still arrive.
    late: Mutex<Vec<Request<Bytes>>>,
    /// Whether a request that may have changed something has arrived since the last look.
    has_changed: AtomicBool,
    log: Arc<Mutex<Vec<String>>>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    NotSent,
    ResponseLost,
    Late,
}

impl Network {
    pub(crate) fn new(stripe: Router, chance: Arc<Chance>, log: Arc<Mutex<Vec<String>>>) -> Self {
        Self { stripe, chance, late: Mutex::default(), has_changed: AtomicBool::default(), log }
    }

    /// Lets a request arrive that its sender has given up.
    pub(crate) async fn deliver_late(&self) -> bool {
        let mut late = std::mem::take(&mut *self.late.lock().expect("no poison"));
        if late.is_empty() {
            return false;
        }
        let count = u32::try_from(late.len()).expect("few requests");
        let request = late.remove(self.chance.below(count) as usize);
        self.late.lock().expect("no poison").extend(late);
        self.note(&format!("{} arrives late", request.uri().path()));
        let _nobody_waits = self.deliver(request).await;
        true
    }

    /// Whether Stripe's state may have changed since the last call of this.
    pub(crate) fn take_changed(&self) -> bool {
        self.has_changed.swap(false, Ordering::Relaxed)
    }

    /// Notes that somebody else has changed Stripe's state.
    pub(crate) fn note_change(&self) {
        self.has_changed.store(true, Ordering::Relaxed);
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        self.has_changed.fetch_or(request.method() == Method::POST, Ordering::Relaxed);
        let Ok(response) = self.stripe.clone().oneshot(request.map(Body::from)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(parts, body))
    }

    async fn pause(&self) {
        for _ in 0..self.chance.yields() {
            yield_now().await;
        }
    }

    fn note(&self, line: &str) {
        self.log.lock().expect("no poison").push(format!("    stripe: {line}"));
    }
}

#[async_trait]
impl Transport for Network {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        self.pause().await;
        let path = format!("{} {}", request.method(), request.uri().path());
        let fault = self.chance.fails().then(|| self.chance.pick(&[Fault::NotSent, Fault::ResponseLost, Fault::Late]));
        match fault {
            Some(Fault::NotSent) => {}
            Some(Fault::Late) => self.late.lock().expect("no poison").push(request),
            Some(Fault::ResponseLost) => {
                let _lost = self.deliver(request).await;
            }
            None => {
                let response = self.deliver(request).await;
                let outcome = response.as_ref().map_or_else(ToString::to_string, |reply| reply.status().to_string());
                self.note(&format!("{path}: {outcome}"));
                self.pause().await;
                return response;
            }
        }
        self.note(&format!("{path}: {fault:?}"));
        Err("the connection failed".into())
    }
}
