//! Configuration shared by all programs. Each option is an environment variable and a flag.
//!
//! [`read`] parses both with `clap` and names the variable when an option is missing or invalid.

use std::io::IsTerminal;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command, FromArgMatches, ValueEnum};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

/// Parses the command line and the environment. Exits with a message if they are invalid.
pub fn read<C: FromArgMatches>(mut command: Command) -> C {
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let config = matches.and_then(|matches| C::from_arg_matches(&matches));
    config.unwrap_or_else(|error| with_variables(error, &command).exit())
}

/// Adds the environment variable to each flag that an error names. By itself `clap` names only the flag.
fn with_variables(mut error: clap::Error, command: &Command) -> clap::Error {
    let named = |flag: &String| {
        let arg = command.get_arguments().find(|arg| arg.to_string() == *flag);
        arg.and_then(Arg::get_env).map_or_else(|| flag.clone(), |variable| format!("{flag} ({})", variable.display()))
    };
    let args = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => ContextValue::String(named(flag)),
        Some(ContextValue::Strings(flags)) => ContextValue::Strings(flags.iter().map(named).collect()),
        _ => return error,
    };
    error.insert(ContextKind::InvalidArg, args);
    error
}

/// Configuration of logs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct LogConfig {
    /// Log level, or levels per module: `info,orders=debug` [default: info].
    #[arg(long, env = "RUST_LOG", value_parser = parse_filter, value_name = "FILTER")]
    pub rust_log: Option<String>,

    /// Log format.
    #[arg(long, env = "LOG_FORMAT", value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// The format of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line, for machines.
    Json,
    /// One line of text per event, for people.
    Pretty,
}

impl LogConfig {
    /// Starts logging to standard error, in the format `default` unless another is configured.
    pub fn init(&self, default: LogFormat) {
        let filter = EnvFilter::new(self.rust_log.as_deref().unwrap_or("info"));
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

/// Parses a secret and rejects an empty one. For `#[arg(value_parser = secret)]`.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.trim().into()) }
}
