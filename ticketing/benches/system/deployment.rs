//! Where a system keeps its data, and how its processes are started.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testing::servers::{self, Server};
use testing::system::{Addresses, Binaries, SERVICES, ServerPorts, simulator_url};

use crate::process::Process;

/// A data directory and, for a spread system, the servers it needs. It outlives the processes of a system.
pub(crate) struct Deployment {
    directory: PathBuf,
    /// `None` for a system in one process.
    servers: Option<Servers>,
    /// The base URL of Stripe's API, if not that of a simulator of its own.
    stripe: Option<String>,
}

/// MongoDB, NATS, Redis and the Stripe simulator.
struct Servers {
    mongo: Server,
    nats: Server,
    redis: Server,
    simulator: String,
    _stripe: Process,
}

/// A process to start.
pub(crate) struct ProcessSpec {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// The prefix of the paths it answers, after `/api`.
    pub(crate) api_prefix: Option<&'static str>,
    /// Finds its addresses in its output once it is ready.
    pub(crate) ready: fn(&str) -> Option<Addresses>,
}

impl Deployment {
    /// A system in one process.
    pub(crate) fn whole(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory)?;
        Ok(Self { directory, servers: None, stripe: None })
    }

    /// A process per service, with its own empty servers.
    pub(crate) async fn spread(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory)?;
        let start = async |program| {
            Server::start(program)
                .await
                .context("--spread needs mongod (or TEST_MONGO_COMMAND), nats-server and redis-server")
        };
        let (mongo, nats, redis) =
            (start(servers::mongo()).await?, start(servers::NATS).await?, start(servers::REDIS).await?);
        let mut stripe = binaries().command("stripe-simulator");
        stripe.args(["--port", "0", "--file"]).arg(directory.join("stripe.db"));
        let mut stripe = Process::start(stripe, &directory.join("stripe-simulator.log"))?;
        let simulator = stripe.wait_for_output(simulator_url).await?;
        let servers = Servers { mongo, nats, redis, simulator, _stripe: stripe };
        Ok(Self { directory, servers: Some(servers), stripe: None })
    }

    /// Makes a system in one process use another Stripe.
    pub(crate) fn with_stripe(self, url: &str) -> Self {
        Self { stripe: Some(url.to_owned()), ..self }
    }

    /// The log file of a process.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension("log")
    }

    /// The processes to start. Orders expire after `expiration`, or after the default.
    pub(crate) fn processes(&self, expiration: Option<Duration>) -> Vec<ProcessSpec> {
        let mut processes = match &self.servers {
            Some(servers) => SERVICES.map(|(name, api_prefix)| servers.service(name, api_prefix)).into(),
            None => vec![whole(&self.directory.join("data"))],
        };
        if let Some(expiration) = expiration {
            for process in &mut processes {
                process.command.env("ORDER_EXPIRATION_SECONDS", expiration.as_secs().to_string());
            }
        }
        if let Some(stripe) = &self.stripe {
            for process in &mut processes {
                process.command.env("STRIPE_KEY", "sk_test_bench").env("STRIPE_API_BASE", stripe);
            }
        }
        processes
    }
}

impl Servers {
    fn service(&self, name: &'static str, api_prefix: Option<&'static str>) -> ProcessSpec {
        let ports = ServerPorts { mongo: self.mongo.port(), nats: self.nats.port(), redis: self.redis.port() };
        let mut command = binaries().service(name, &ports);
        if name == "payments" {
            command.env("STRIPE_API_BASE", &self.simulator);
        }
        ProcessSpec { name, command, api_prefix, ready: Addresses::from_log }
    }
}

fn whole(data: &Path) -> ProcessSpec {
    let mut command = binaries().command("ticketing");
    command.args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(data);
    ProcessSpec { name: "ticketing", command, api_prefix: Some(""), ready: Addresses::from_banner }
}

fn binaries() -> Binaries {
    Binaries::beside(env!("CARGO_BIN_EXE_ticketing"))
}

/// Builds the binaries of all services with this benchmark's profile, into the same directory.
pub(crate) fn build_services() -> Result<()> {
    let directory = binaries().path("ticketing").parent().map(Path::to_owned).unwrap_or_default();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--workspace", "--bins"]);
    if directory.ends_with("release") {
        command.arg("--release");
    }
    let built = command.arg("--target-dir").args(directory.parent()).status().context("could not run cargo")?;
    ensure!(built.success(), "cargo could not build the services");
    Ok(())
}
