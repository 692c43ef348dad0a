use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::{error, info};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use crate::error::chain;

/// How long the collector may delay the end of the process. Draining and flushing take up to nine of the ten seconds
/// within which a process promises to stop.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Exports spans to a collector, if one is configured.
pub(super) struct Exporter(Result<Option<SdkTracerProvider>, ExporterBuildError>);

impl Exporter {
    pub(super) fn start<S>(
        endpoint: Option<&str>,
        service: &'static str,
    ) -> (Self, Option<OpenTelemetryLayer<S, SdkTracer>>)
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        let provider = endpoint.map(|endpoint| provider(endpoint, service)).transpose();
        let tracer = provider.as_ref().ok().and_then(Option::as_ref).map(|provider| provider.tracer(service));
        let layer = |tracer| {
            tracing_opentelemetry::layer()
                .with_tracer(tracer)
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
        };
        (Self(provider), tracer.map(layer))
    }

    /// Logs how the start went.
    pub(super) fn report(&self) {
        match &self.0 {
            Ok(None) => {}
            Ok(Some(_)) => info!("exporting spans by OTLP"),
            Err(error) => {
                error!(error = chain(error), "invalid OTEL_EXPORTER_OTLP_ENDPOINT, exporting no spans");
            }
        }
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if let Ok(Some(provider)) = &self.0 {
            // A collector that does not respond loses these spans; nothing else depends on them.
            let _lost = provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT);
        }
    }
}

fn provider(endpoint: &str, service: &'static str) -> Result<SdkTracerProvider, ExporterBuildError> {
    // Where another crate has enabled TLS in reqwest, its client needs a provider even for plain HTTP.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let traces = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder().with_http().with_endpoint(traces).build()?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::Registry;

    use super::*;

    #[test]
    fn an_exporter_starts_for_a_valid_endpoint_only() {
        let (exporter, spans) = Exporter::start::<Registry>(Some("http://127.0.0.1:9"), "test");
        assert!(spans.is_some(), "{:?}", exporter.0.as_ref().err());
        let (exporter, spans) = Exporter::start::<Registry>(Some("not a URL"), "test");
        assert!(exporter.0.is_err() && spans.is_none());
        let (exporter, spans) = Exporter::start::<Registry>(None, "test");
        assert!(exporter.0.is_ok() && spans.is_none());
    }
}
