//! The service's configuration.

use std::time::Duration;

use clap::{ArgAction, Args, value_parser};

/// Configuration of sessions and their cookie.
///
/// A binary that serves plain HTTP by default can change the default of `cookie_secure` in its own `clap` command:
/// `mut_arg("cookie_secure", |flag| flag.default_value("false"))`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Sessions")]
pub struct AuthConfig {
    /// How long a session lasts, in hours.
    #[arg(long, env = "SESSION_HOURS", default_value_t = 24, value_parser = value_parser!(u32).range(1..), value_name = "HOURS")]
    pub session_hours: u32,

    /// Whether browsers send the session cookie over HTTPS only.
    #[arg(long, env = "COOKIE_SECURE", default_value = "true", action = ArgAction::Set, value_name = "BOOL")]
    pub cookie_secure: bool,
}

impl AuthConfig {
    /// How long a session lasts.
    pub(crate) fn session_lifetime(&self) -> Duration {
        Duration::from_secs(u64::from(self.session_hours) * 3600)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        auth: AuthConfig,
    }

    fn parse(args: &[&str]) -> Result<AuthConfig, String> {
        let args = ["auth"].iter().chain(args);
        Program::try_parse_from(args).map(|program| program.auth).map_err(|error| error.to_string())
    }

    #[test]
    fn sessions_last_a_day_and_need_https_by_default() {
        let config = parse(&[]).unwrap();
        assert_eq!((config.session_hours, config.cookie_secure), (24, true));
        let config = parse(&["--session-hours", "1", "--cookie-secure", "false"]).unwrap();
        assert_eq!((config.session_lifetime().as_secs(), config.cookie_secure), (3600, false));
    }

    #[test]
    fn errors_name_the_malformed_flag() {
        for (flag, variable, value) in
            [("--session-hours", "SESSION_HOURS", "0"), ("--cookie-secure", "COOKIE_SECURE", "perhaps")]
        {
            let error = parse(&[flag, value]).unwrap_err();
            assert!(error.contains(flag), "{error}");
            let command = Program::command();
            let argument = command.get_arguments().find(|argument| argument.get_env() == Some(variable.as_ref()));
            assert_eq!(argument.unwrap().get_long(), flag.strip_prefix("--"));
        }
    }

    #[test]
    fn a_binary_can_change_the_default_of_a_flag() {
        let program = || Program::command().mut_arg("cookie_secure", |flag| flag.default_value("false"));
        let secure = |args: &[&str]| {
            let matches = program().get_matches_from(["ticketing"].iter().chain(args));
            AuthConfig::from_arg_matches(&matches).unwrap().cookie_secure
        };
        assert!(!secure(&[]));
        assert!(secure(&["--cookie-secure", "true"]));
    }
}
