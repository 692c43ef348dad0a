//! One run: the server under test, those who use it, and what has been found out.

use std::path::Path;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::load::{Latencies, Load, Tally};
use crate::market::Account;
use crate::options::Options;
use crate::progress;
use crate::report::{Report, Row};
use crate::server::Server;
use crate::site::{self, Site};

/// A run of the benchmark.
pub(crate) struct Bench {
    pub(crate) options: Options,
    pub(crate) server: Server,
    pub(crate) seller: Account,
    pub(crate) buyer: Account,
    pub(crate) report: Report,
    _site: Site,
    /// In the build directory, because the system's temporary directory may be in memory, where durable writes cost
    /// nothing. (The servers of a spread system keep their data in that one.)
    pub(crate) directory: TempDir,
}

impl Bench {
    /// Starts the server and signs a seller and a buyer up.
    pub(crate) async fn start(options: Options) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .context("could not make a temporary directory")?;
        if options.spread() {
            site::build()?;
        }
        progress("starting the system");
        let site = new_site(&options, &directory.path().join("main")).await?;
        let server = Server::start(&site, None).await?;
        let mut report = Report::default();
        if options.stand_in() {
            report
                .fact("MongoDB", "a stand-in, much slower: a short run, and none of this is MongoDB's figures".into());
        }
        report.fact("start-up", format!("{} ms until ready, on an empty directory", server.ready_after.as_millis()));
        let seller = Account::sign_up(&server.api, "seller@example.com").await?;
        let buyer = Account::sign_up(&server.api, "buyer@example.com").await?;
        Ok(Self { options, server, seller, buyer, report, _site: site, directory })
    }

    /// Another place for a system to start from nothing.
    pub(crate) async fn site(&self, name: &str) -> Result<Site> {
        new_site(&self.options, &self.directory.path().join(name)).await
    }

    /// As many clients for as long as the options say.
    pub(crate) fn load(&self) -> Load {
        Load { api: self.server.api.clone(), clients: self.options.clients(), duration: self.options.duration() }
    }

    /// Adds a row on the server that all scenarios share.
    pub(crate) fn row(&mut self, row: Row) {
        self.report.row(row, self.server.peak_memory());
    }

    /// Adds a row from what the clients saw; a failure too if they saw what they should not.
    pub(crate) fn tally(&mut self, name: &str, tally: Tally, remark: String) {
        self.report.unexpected(name, &tally);
        let per_second = tally.per_second();
        self.row(Row { name: name.to_owned(), per_second, latencies: tally.latencies, remark });
    }

    /// Adds a row on what the system is compared with, below the system's own.
    pub(crate) fn baseline(&mut self, name: &str, per_second: f64, latencies: Latencies) {
        let row = Row { name: format!("  {name}"), per_second, latencies, remark: String::new() };
        self.report.row(row, None);
    }

    /// Stops the server and hands over the report; keeps what the server wrote if something went wrong.
    pub(crate) async fn finish(mut self, outcome: Result<()>) -> Result<Report> {
        if let Err(error) = outcome {
            self.report.failure(format!("{error:#}"));
        }
        let (directory, mut report) = (self.directory, self.report);
        stop(self.server, &mut report).await;
        if !report.is_good() {
            report.failure(format!("the servers' logs and data are kept in {}", directory.keep().display()));
        }
        Ok(report)
    }
}

async fn new_site(options: &Options, directory: &Path) -> Result<Site> {
    if options.spread() { Site::spread(directory.into()).await } else { Site::whole(directory.into()) }
}

/// Notes the server's peak memory and stops it the way an operator would.
pub(crate) async fn stop(server: Server, report: &mut Report) {
    if let Some(peak) = server.peak_memory() {
        report.peak_memory(peak);
    }
    if let Err(error) = server.stop().await {
        report.failure(format!("{error:#}"));
    }
}
