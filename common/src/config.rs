//! Configuration that more than one program reads: environment variables, each also a flag.
//!
//! `clap` reads them; [`read`] names the variable when one is missing or malformed.

use std::io::IsTerminal;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command, FromArgMatches, ValueEnum};
use secrecy::SecretString;
use tracing_subscriber::EnvFilter;

/// Reads the command line and the environment; ends the program with a message when they are wrong.
pub fn read<C: FromArgMatches>(mut command: Command) -> C {
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let config = matches.and_then(|matches| C::from_arg_matches(&matches));
    config.unwrap_or_else(|error| naming_variables(error, &command).exit())
}

/// `clap` blames flags alone, whose values may come, or be expected, from the environment.
fn naming_variables(mut error: clap::Error, command: &Command) -> clap::Error {
    let named = |flag: &String| {
        let arg = command.get_arguments().find(|arg| arg.to_string() == *flag);
        arg.and_then(Arg::get_env).map_or_else(|| flag.clone(), |variable| format!("{flag} ({})", variable.display()))
    };
    let blamed = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => ContextValue::String(named(flag)),
        Some(ContextValue::Strings(flags)) => ContextValue::Strings(flags.iter().map(named).collect()),
        _ => return error,
    };
    error.insert(ContextKind::InvalidArg, blamed);
    error
}

/// How to log.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Logging")]
pub struct LogConfig {
    /// What to log: a level, or levels per module as in `info,orders=debug` [default: info].
    #[arg(long, env = "RUST_LOG", value_parser = parse_filter, value_name = "FILTER")]
    pub rust_log: Option<String>,

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

/// Reads a secret, which must not be empty. For `#[arg(value_parser = secret)]`.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.trim().into()) }
}
