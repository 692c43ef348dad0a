use tracing::warn;
use tracing_subscriber::layer::Identity;

/// Exports nothing.
pub(super) struct Exporter {
    configured: bool,
}

impl Exporter {
    pub(super) fn start(endpoint: Option<&str>, _service: &'static str) -> (Self, Identity) {
        (Self { configured: endpoint.is_some() }, Identity::new())
    }

    /// Logs how the start went.
    pub(super) fn report(&self) {
        if self.configured {
            warn!("ignoring OTEL_EXPORTER_OTLP_ENDPOINT, rebuild with the feature otlp to export spans");
        }
    }
}
