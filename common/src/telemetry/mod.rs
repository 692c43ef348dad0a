//! Logs on standard error, and spans to an OpenTelemetry collector.
//!
//! Every request, event and round of a background task runs in a span. The fields of the span, such as the trace id,
//! appear on every log line within it. Spans are exported by OTLP if an endpoint is configured and the crate is built
//! with the feature `otlp`.

#[cfg(feature = "otlp")]
mod otlp;
#[cfg(not(feature = "otlp"))]
mod without_otlp;

use std::io::{IsTerminal, stderr};

use clap::{Args, ValueEnum};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt;

#[cfg(feature = "otlp")]
use otlp::Exporter;
#[cfg(not(feature = "otlp"))]
use without_otlp::Exporter;

/// The configuration of logs and spans.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryConfig {
    /// Log level, or levels per module: info,orders=debug [default: info]
    #[arg(long, env = "RUST_LOG", value_name = "FILTER")]
    pub rust_log: Option<Targets>,

    /// Log format
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,

    /// Collector to export spans to, by OTLP over HTTP: http://host:4318
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otel_exporter_otlp_endpoint: Option<String>,
}

/// The format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One line of text per event, for people.
    Pretty,
}

/// Running telemetry. Dropping it exports the spans that are still buffered.
#[must_use = "dropping it ends the export of spans"]
pub struct Telemetry {
    _exporter: Exporter,
}

impl TelemetryConfig {
    /// Starts logging, in the format `default` unless another is configured, and exporting spans under the name
    /// `service`.
    ///
    /// # Panics
    ///
    /// If called twice in a process.
    pub fn start(&self, default: LogFormat, service: &'static str) -> Telemetry {
        let info = || Targets::new().with_default(LevelFilter::INFO);
        let filter = self.rust_log.clone().unwrap_or_else(info);
        let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        let lines = match self.log_format.unwrap_or(default) {
            LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
            LogFormat::Pretty => lines.boxed(),
        };
        // OpenTelemetry treats an empty variable like an unset one.
        let endpoint = self.otel_exporter_otlp_endpoint.as_deref().filter(|endpoint| !endpoint.is_empty());
        let (exporter, spans) = Exporter::start(endpoint, service);
        registry().with(filter).with(spans).with(lines).init();
        exporter.report();
        Telemetry { _exporter: exporter }
    }
}
