//! The system on a real cluster: the one that the current kubeconfig points to. Deploys it with Skaffold from a clean
//! clone, uses it through its ingress while pods are replaced, killed and evicted, and removes it.
//!
//! Runs only with `TEST_CLUSTER=1`. Needs kubectl, skaffold and git, an ingress controller of class nginx, and a cluster
//! that admits privileged pods outside the system's namespace: `kill -9` is sent from one.
//!
//! | variable | default | |
//! |---|---|---|
//! | `TEST_INGRESS`, `TEST_INGRESS_HTTP` | `127.0.0.1:443`, `127.0.0.1:80` | where the ingress controller listens |
//! | `TEST_INGRESS_CA` | a certificate made for the test | PEM file of the authority to trust |
//! | `TEST_PROBE_IMAGE` | `busybox:1` | image of the pods that probe the network and kill processes |
//! | `TEST_STEPS` | all | comma-separated steps; without `deploy`, uses the system that runs |
//! | `TEST_KEEP` | | `1`: leave everything in place afterwards |

#![expect(clippy::unwrap_used, reason = "anything unexpected fails the test")]

mod command;
mod kubectl;
mod progress;
mod settings;

mod deploy;
mod dev;
mod skaffold;

mod forward;
mod ingress;
mod records;
mod traffic;

mod drain;
mod isolation;
mod kill;
mod outage;
mod probe;
mod purchase;
mod rollout;

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures_util::FutureExt;

use crate::deploy::System;
use crate::progress::{Steps, report};
use crate::settings::is_set;

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stdout, reason = "a skipped test must be visible")]
async fn a_deployed_system_loses_nothing_and_recovers_on_its_own() {
    if !is_set("TEST_CLUSTER") {
        println!("skipped: set TEST_CLUSTER=1 to deploy to the cluster of the current kubeconfig");
        return;
    }
    let steps = Steps::selected();
    if steps.includes("deploy") {
        deploy::assert_cluster_is_free().await;
    }
    let outcome = AssertUnwindSafe(run(steps)).catch_unwind().await;
    if outcome.is_err() {
        kubectl::report_state().await;
    }
    if is_set("TEST_KEEP") {
        report("everything is left in place");
    } else {
        deploy::clean_up().await;
    }
    if let Err(failure) = outcome {
        resume_unwind(failure);
    }
}

async fn run(steps: Steps) {
    let system = System::new().await;
    steps.run("deploy", system.deploy()).await;
    steps.run("purchase", purchase::tickets_are_sold_through_the_ingress(&system)).await;
    steps.run("expiry", purchase::unpaid_orders_expire(&system)).await;
    steps.run("isolation", isolation::only_the_required_connections_are_open()).await;
    steps.run("rollout", rollout::replaced_pods_lose_no_request(&system)).await;
    steps.run("kill", kill::killed_services_recover(&system)).await;
    steps.run("outage", outage::restarted_engines_lose_nothing(&system)).await;
    steps.run("drain", drain::draining_a_node_keeps_the_system_serving(&system)).await;
    steps.run("delete", system.delete()).await;
    steps.run("dev", dev::a_change_is_redeployed(&system)).await;
}
