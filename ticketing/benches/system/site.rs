//! Where a system keeps what it must not lose, and how it is started there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use testing::servers::{self, Server};

use crate::process::Process;
use crate::progress;
use crate::server::Addresses;
use crate::services::{self, Ports, Ready, SERVICES};

/// A directory, and in it or beside it all that a system needs.
pub(crate) struct Site {
    directory: PathBuf,
    /// What a process per service needs; without it, one process does with the directory.
    engines: Option<Engines>,
}

/// The servers that a spread system needs, and the simulator in Stripe's place.
struct Engines {
    mongo: Server,
    nats: Server,
    redis: Server,
    simulator: String,
    _stripe: Process,
}

/// One process to start.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// What the paths that it answers begin with.
    pub(crate) api: Option<&'static str>,
    /// What it says when it is ready.
    pub(crate) ready: fn(&str) -> Option<Addresses>,
}

impl Site {
    /// For a system in one process.
    pub(crate) fn whole(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory)?;
        Ok(Self { directory, engines: None })
    }

    /// For a process per service, with servers of its own that have no data.
    pub(crate) async fn spread(directory: PathBuf) -> Result<Self> {
        std::fs::create_dir(&directory)?;
        let start = async |program| Server::start(program).await.context("a server that services need is missing");
        let (mongo, nats, redis) =
            (start(servers::mongo()).await?, start(servers::NATS).await?, start(servers::REDIS).await?);
        let mut stripe = services::command("stripe-simulator");
        stripe.args(["--port", "0", "--file"]).arg(directory.join("stripe.db"));
        let mut stripe = Process::start(stripe, &directory.join("stripe-simulator.log"))?;
        let simulator = stripe.said(|said| said.lines().find_map(services::simulator)).await?;
        let engines = Engines { mongo, nats, redis, simulator, _stripe: stripe };
        Ok(Self { directory, engines: Some(engines) })
    }

    /// Where what a process says is kept.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.directory.join(name).with_extension("log")
    }

    /// What to start here. Orders expire after `expiration`, or after the default.
    pub(crate) fn parts(&self, expiration: Option<Duration>) -> Vec<Part> {
        let mut parts = match &self.engines {
            Some(engines) => SERVICES.map(|(name, api)| engines.part(name, api)).into(),
            None => vec![whole(&self.directory.join("data"))],
        };
        if let Some(expiration) = expiration {
            for part in &mut parts {
                part.command.env("ORDER_EXPIRATION_SECONDS", expiration.as_secs().to_string());
            }
        }
        parts
    }
}

impl Engines {
    fn part(&self, name: &'static str, api: Option<&'static str>) -> Part {
        let ports = Ports { mongo: self.mongo.port(), nats: self.nats.port(), redis: self.redis.port() };
        let mut command = services::service(name, &ports);
        if name == "payments" {
            command.env("STRIPE_API_BASE", &self.simulator);
        }
        let ready = |said: &str| {
            let Ready { http, admin, .. } = said.lines().find_map(Ready::parse)?;
            Some(Addresses { http, admin })
        };
        Part { name, command, api, ready }
    }
}

fn whole(data: &Path) -> Part {
    let mut command = services::command("ticketing");
    command.args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(data);
    let ready = |said: &str| {
        let address = |label| said.lines().find_map(|line| address(line, label));
        Some(Addresses { http: Some(address("API")?), admin: address("Admin")? })
    };
    Part { name: "ticketing", command, api: Some(""), ready }
}

/// The address in a start-up line such as `API       http://127.0.0.1:41973/api`.
fn address(line: &str, label: &str) -> Option<SocketAddr> {
    let url = line.trim().strip_prefix(label)?.trim_start().strip_prefix("http://")?;
    url.split(['/', ' ']).next()?.parse().ok()
}

/// Builds what a spread system consists of, as this benchmark was built and to the same place.
pub(crate) fn build() -> Result<()> {
    progress("building the services");
    let place = services::path("ticketing").parent().map(Path::to_owned).unwrap_or_default();
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--workspace", "--bins"]);
    if place.ends_with("release") {
        command.arg("--release");
    }
    let built = command.arg("--target-dir").args(place.parent()).status().context("could not run cargo")?;
    ensure!(built.success(), "the services could not be built");
    Ok(())
}
