//! What is measured, one file a scenario.

mod browse;
mod create;
mod expiry;
mod hot;
mod idle;
mod order;
mod purchase;
mod sign_in;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::options::Scenario;
use crate::progress;
use crate::settle::Admin;

/// Runs what the options ask for.
pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if bench.options.wants(Scenario::Browse) {
        browse::run(bench).await.context("browse")?;
    }
    if bench.options.wants(Scenario::Create) {
        create::run(bench).await.context("create")?;
    }
    if bench.options.wants(Scenario::Order) {
        order::run(bench).await.context("order")?;
    }
    if bench.options.wants(Scenario::Hot) {
        hot::run(bench).await.context("hot ticket")?;
    }
    if bench.options.wants(Scenario::Purchase) {
        purchase::run(bench).await.context("purchase")?;
    }
    if bench.options.wants(Scenario::SignIn) {
        sign_in::run(bench).await.context("sign-in")?;
    }
    if bench.options.wants(Scenario::Idle) {
        idle::run(bench).await.context("idle")?;
    }
    let metrics = Admin::open(&bench.server.admin).await?.metrics().await?;
    for letters in metrics.dead_letters() {
        bench.report.failure(format!("dead letters: {letters}"));
    }
    if bench.options.wants(Scenario::Expiry) {
        expiry::run(bench).await.context("expiry")?;
    }
    Ok(())
}

/// Says which scenario runs, and what it does now.
fn step(scenario: &str, what: &str) {
    progress(&format!("{scenario}: {what}"));
}
