//! The running system under test, in one process or several.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;

use crate::api::Api;
use crate::deployment::{Deployment, ProcessSpec};
use crate::process::Process;

/// A running system; killed when dropped.
pub(crate) struct System {
    pub(crate) api: Api,
    pub(crate) admin: Vec<SocketAddr>,
    /// The time from the start of the first process until all were ready.
    pub(crate) ready_after: Duration,
    processes: Vec<Process>,
}

impl System {
    /// Starts all processes of a deployment, and waits until they are ready. Orders expire after `expiration`, or after
    /// the default.
    pub(crate) async fn start(deployment: &Deployment, expiration: Option<Duration>) -> Result<Self> {
        let began = Instant::now();
        let mut starting = Vec::new();
        for ProcessSpec { name, command, api_prefix, ready } in deployment.processes(expiration) {
            starting.push((Process::start(command, &deployment.log(name))?, api_prefix, ready));
        }
        let (mut processes, mut admin, mut services) = (Vec::new(), Vec::new(), Vec::new());
        for (mut process, api_prefix, ready) in starting {
            let addresses = process.wait_for_output(ready).await?;
            admin.push(addresses.admin);
            services.extend(api_prefix.zip(addresses.http));
            processes.push(process);
        }
        Ok(Self { api: Api::by_prefix(services), admin, ready_after: began.elapsed(), processes })
    }

    /// Sends SIGTERM to all processes and checks that they exit successfully and in time.
    pub(crate) async fn stop(self) -> Result<()> {
        join_all(self.processes.into_iter().map(Process::stop)).await.into_iter().collect()
    }

    /// The sum of all processes' peak resident memory, in bytes. Only known on Linux.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.processes.iter().map(Process::peak_memory).sum()
    }

    /// The processor time used so far. Only known on Linux.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.processes.iter().map(Process::processor_time).sum()
    }
}
