//! The system under test, as one process or several.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::join_all;

use crate::api::Api;
use crate::process::Process;
use crate::site::{Part, Site};

/// A running system; killed when dropped.
pub(crate) struct Server {
    pub(crate) api: Api,
    pub(crate) admin: Vec<SocketAddr>,
    /// From the start of the first process until the last said that it was ready.
    pub(crate) ready_after: Duration,
    processes: Vec<Process>,
}

/// Where a process serves, once it is ready.
pub(crate) struct Addresses {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts the system on what is at this site, and waits until all of it is ready. Orders expire after
    /// `expiration`, or after the default.
    pub(crate) async fn start(site: &Site, expiration: Option<Duration>) -> Result<Self> {
        let began = Instant::now();
        let mut starting = Vec::new();
        for Part { name, command, api, ready } in site.parts(expiration) {
            starting.push((Process::start(command, &site.log(name))?, api, ready));
        }
        let (mut processes, mut admin, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for (mut process, api, ready) in starting {
            let addresses = process.said(ready).await?;
            admin.push(addresses.admin);
            parts.extend(api.zip(addresses.http));
            processes.push(process);
        }
        Ok(Self { api: Api::parts(parts), admin, ready_after: began.elapsed(), processes })
    }

    /// Asks all of it to stop, and checks that it does so in time and in good order.
    pub(crate) async fn stop(self) -> Result<()> {
        join_all(self.processes.into_iter().map(Process::stop)).await.into_iter().collect()
    }

    /// The most memory it ever had resident, in bytes: of all processes, each at its own worst. Only Linux tells.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.processes.iter().map(Process::peak_memory).sum()
    }

    /// The processor time it has used so far. Only Linux tells.
    pub(crate) fn processor_time(&self) -> Option<Duration> {
        self.processes.iter().map(Process::processor_time).sum()
    }
}
