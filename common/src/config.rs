//! Configuration that more than one program reads: environment variables, each also a flag.
//!
//! `clap` reads them, and names the variable when one is missing or malformed.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct LogConfig {
    /// What to log: a level, or levels per module as in `info,orders=debug`.
    #[arg(long, env = "RUST_LOG", default_value = "info", value_parser = parse_filter, value_name = "FILTER")]
    pub rust_log: String,

    /// How log lines look.
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, for machines.
    Json,
    /// One line of text each, for people.
    Pretty,
}

impl LogConfig {
    /// Starts logging to standard error, in `default` unless a format is configured.
    pub fn init(&self, default: LogFormat) {
        let filter = EnvFilter::new(&self.rust_log);
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal());
        match self.log_format.unwrap_or(default) {
            LogFormat::Json => lines.json().flatten_event(true).init(),
            LogFormat::Pretty => lines.init(),
        }
    }
}

fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Reads a secret, which must not be empty. For `#[arg(value_parser = secret)]`.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.trim().into()) }
}
