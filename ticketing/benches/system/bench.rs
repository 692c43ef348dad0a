//! One run of the benchmark: the system under test, its users and the report.

use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::delivery::Admin;
use crate::deployment::{self, Deployment};
use crate::latencies::Latencies;
use crate::load::{Load, Tally};
use crate::market::Account;
use crate::options::Options;
use crate::progress::progress;
use crate::report::{Report, Row};
use crate::system::System;

pub(crate) struct Bench {
    pub(crate) options: Options,
    /// The system that all scenarios but `expiry` share.
    pub(crate) system: System,
    pub(crate) seller: Account,
    pub(crate) buyer: Account,
    pub(crate) report: Report,
    _deployment: Deployment,
    /// Inside the build directory: the temporary directory may be in memory, where durable writes cost nothing.
    /// The servers of a spread system still keep their data there.
    pub(crate) directory: TempDir,
}

impl Bench {
    /// Starts the system and signs up a seller and a buyer.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .context("could not create a temporary directory")?;
        if options.spread() {
            progress("build", "service binaries");
            deployment::build_services()?;
        }
        progress("start", "system on an empty directory");
        let deployment = deploy(&options, &directory.path().join("main")).await?;
        let system = System::start(&deployment, None).await?;
        let mut report = Report::default();
        if options.stand_in() {
            let warning = "stand-in server, much slower: short run, figures do not represent MongoDB";
            report.fact("MongoDB", warning.into());
        }
        report.fact("start-up", format!("{} ms until ready, empty directory", system.ready_after.as_millis()));
        let seller = Account::sign_up(&system.api, "seller@example.com").await?;
        let buyer = Account::sign_up(&system.api, "buyer@example.com").await?;
        Ok(Self { options, system, seller, buyer, report, _deployment: deployment, directory })
    }

    /// Prepares another deployment with no data.
    pub(crate) async fn deploy(&self, name: &str) -> Result<Deployment> {
        deploy(&self.options, &self.directory.path().join(name)).await
    }

    /// The load that the options ask for, on the shared system.
    pub(crate) fn load(&self) -> Load {
        Load { api: self.system.api.clone(), clients: self.options.clients(), duration: self.options.duration() }
    }

    /// Adds a row, and a failure for each unexpected status.
    pub(crate) fn tally(&mut self, name: &str, tally: Tally, note: String) {
        self.report.unexpected(name, &tally);
        self.report.row(Row {
            name: name.into(),
            per_second: tally.per_second(),
            latencies: Some(tally.latencies),
            peak_memory: self.system.peak_memory(),
            note,
        });
    }

    /// Adds a row for a baseline, below the system's own.
    pub(crate) fn baseline(&mut self, name: &str, per_second: f64, latencies: Option<Latencies>) {
        self.report.row(Row { name: format!("  baseline: {name}"), per_second, latencies, ..Row::default() });
    }

    /// Stops the system and returns the report. Keeps the system's logs and data if anything failed.
    pub(crate) async fn finish(mut self, outcome: Result<()>) -> Result<Report> {
        if let Err(error) = outcome {
            self.report.failure(format!("{error:#}"));
        }
        let (directory, mut report) = (self.directory, self.report);
        stop(self.system, &mut report).await;
        if !report.is_good() {
            report.failure(format!("the system's logs and data are kept in {}", directory.keep().display()));
        }
        Ok(report)
    }
}

async fn deploy(options: &Options, directory: &Path) -> Result<Deployment> {
    if options.spread() { Deployment::spread(directory.into()).await } else { Deployment::whole(directory.into()) }
}

/// Checks a system for dead letters, records its peak memory and shuts it down.
pub(crate) async fn stop(system: System, report: &mut Report) {
    match dead_letters(&system).await {
        Ok(dead_letters) => dead_letters.into_iter().for_each(|count| report.failure(format!("dead letters: {count}"))),
        Err(error) => report.failure(format!("could not check for dead letters: {error:#}")),
    }
    if let Some(peak) = system.peak_memory() {
        report.peak_memory(peak);
    }
    if let Err(error) = system.stop().await {
        report.failure(format!("{error:#}"));
    }
}

async fn dead_letters(system: &System) -> Result<Vec<String>> {
    Ok(Admin::open(&system.admin).await?.metrics().await?.dead_letters())
}
