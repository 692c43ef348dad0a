use std::net::IpAddr;
use std::time::Duration;

use clap::Args;

/// The configuration of a process: where it listens and how it stops. The defaults are those of a standalone service.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Process")]
pub struct ProcessConfig {
    /// Address that all ports listen on; 0.0.0.0 is every IPv4 interface, :: also every IPv6 one
    #[arg(long, env = "HOST", default_value = "0.0.0.0", value_name = "ADDRESS")]
    pub host: IpAddr,

    /// Port of /healthz/live, /healthz/ready and /metrics; 0 picks a free one
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9090, value_name = "PORT")]
    pub admin_port: u16,

    /// How long to keep serving after a signal, while not ready, before draining
    #[arg(long, env = "SHUTDOWN_DELAY_SECONDS", default_value = "3", value_name = "SECONDS")]
    pub shutdown_delay_seconds: u32,
}

impl ProcessConfig {
    pub(super) fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay_seconds.into())
    }
}
