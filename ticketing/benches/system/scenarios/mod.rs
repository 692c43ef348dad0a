//! The scenarios, one file each.

mod browse;
mod create;
mod expiry;
mod grow;
mod hot;
mod idle;
mod order;
mod pay;
mod purchase;
mod sign_in;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::options::Scenario;

/// Runs the scenarios that the options ask for.
pub(crate) async fn run(bench: &mut Bench) -> Result<()> {
    if bench.options.grow() {
        return grow::run(bench).await.context("grow");
    }
    for scenario in bench.options.scenarios() {
        match scenario {
            Scenario::Browse => browse::run(bench).await.context("browse")?,
            Scenario::Create => create::run(bench).await.context("create")?,
            Scenario::Order => order::run(bench).await.context("order")?,
            Scenario::Hot => hot::run(bench).await.context("hot ticket")?,
            Scenario::Purchase => purchase::run(bench).await.context("purchase")?,
            Scenario::Pay => pay::run(bench).await.context("pay")?,
            Scenario::SignIn => sign_in::run(bench).await.context("sign-in")?,
            Scenario::Idle => idle::run(bench).await.context("idle")?,
            Scenario::Expiry => expiry::run(bench).await.context("expiry")?,
        }
    }
    Ok(())
}
