//! The admin port: `/healthz/live`, `/healthz/ready` and `/metrics`.

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::probe::{Probe, problem};

/// Buckets of latency histograms in seconds: from an index lookup to a request that times out.
const LATENCY_BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];

/// How often to merge measurements into their histograms.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

static METRICS: OnceLock<PrometheusHandle> = OnceLock::new();

/// Starts collecting metrics. Measurements made earlier are lost. Calling it again does nothing.
pub fn install_metrics() {
    METRICS.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &LATENCY_BUCKETS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Fails only if a recorder is already set, but this runs once.
        let _already_set = metrics::set_global_recorder(recorder);
        handle
    });
}

/// The state of the readiness check.
struct Readiness {
    probes: Vec<(String, Probe)>,
    stopping: CancellationToken,
}

/// Merges measurements into their histograms at intervals. Otherwise they would accumulate until the next scrape.
pub(super) async fn merge_metrics() {
    loop {
        tokio::time::sleep(UPKEEP_INTERVAL).await;
        if let Some(handle) = METRICS.get() {
            handle.run_upkeep();
        }
    }
}

pub(super) fn routes(probes: Vec<(String, Probe)>, stopping: CancellationToken) -> Router {
    let state = Arc::new(Readiness { probes, stopping });
    Router::new()
        .route("/healthz/live", get(async || "alive\n"))
        .route("/healthz/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

async fn ready(State(state): State<Arc<Readiness>>) -> impl IntoResponse {
    let Readiness { probes, stopping } = &*state;
    let mut report = String::new();
    if stopping.is_cancelled() {
        report.push_str("stopping\n");
    }
    for (name, probe) in probes {
        if let Some(problem) = problem(probe()).await {
            let _infallible = writeln!(report, "{name}: {problem}");
        }
    }
    if report.is_empty() { (StatusCode::OK, "ready\n".to_owned()) } else { (StatusCode::SERVICE_UNAVAILABLE, report) }
}

async fn metrics() -> impl IntoResponse {
    let text = METRICS.get().map(|handle| {
        handle.run_upkeep();
        handle.render()
    });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text.unwrap_or_default())
}
