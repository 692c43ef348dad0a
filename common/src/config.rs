//! Configuration shared by all programs. Each option is an environment variable and a flag.
//!
//! [`read`] parses both with `clap` and names the variable when an option is missing or invalid.

use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command, FromArgMatches};
use secrecy::SecretString;

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// The configuration of the events' retention.
#[derive(Args, Clone, Copy, Debug)]
pub struct RetentionConfig {
    /// How many days the bus keeps events; 0 keeps all of them
    #[arg(long, env = "EVENT_RETENTION_DAYS", default_value_t = 30, value_name = "DAYS")]
    pub event_retention_days: u16,
}

impl RetentionConfig {
    /// How long the bus keeps events; `None` keeps all of them.
    pub fn event_retention(self) -> Option<Duration> {
        let days = u64::from(self.event_retention_days);
        (days > 0).then(|| Duration::from_secs(days * SECONDS_PER_DAY))
    }
}

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

/// Parses a secret and rejects an empty one. For `#[arg(value_parser = secret)]`.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(text.trim().into()) }
}
