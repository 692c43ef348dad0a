//! The expiration service: announces that an order's time is up.
//!
//! It keeps a delayed job for each open order (`listeners`) and publishes `expiration:complete` when the job is due
//! (`worker`). The orders service decides what that means for the order. Lost jobs are rebuilt from the history of
//! orders (`rebuild`).
//!
//! The service has no HTTP API and no outbox: a stored job is an event that is not published yet.

mod alarm;
mod error;
mod job;
mod listeners;
mod rebuild;
mod worker;

use std::sync::Arc;

use common::bus::Bus;
use common::clock::Clock;
use common::jobs::DelayedJobs;
use common::listener::Listeners;
use common::service::Service;

use alarm::Alarm;
use listeners::{OrderCancelledListener, OrderCompletedListener, OrderCreatedListener};
use rebuild::Rebuild;
use worker::Worker;

/// The state shared by the listeners.
#[derive(Clone)]
struct AppState {
    jobs: Arc<dyn DelayedJobs>,
    alarm: Arc<Alarm>,
}

/// Creates the service on these engines.
pub fn service(jobs: Arc<dyn DelayedJobs>, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Service {
    let app = AppState { jobs: jobs.clone(), alarm: Arc::new(Alarm::new(clock.clone())) };
    let alarm = app.alarm.clone();
    let listeners = listeners(app);
    let rebuild = Rebuild { jobs: jobs.clone(), bus: bus.clone() };
    let worker = Worker { jobs: jobs.clone(), publisher: bus, rebuild, clock, alarm };
    Service::new("expiration").listeners(listeners).worker(|stop| worker.run(stop)).probe("jobs", move || {
        let jobs = jobs.clone();
        async move { jobs.ping().await }
    })
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>().on::<OrderCompletedListener>()
}
