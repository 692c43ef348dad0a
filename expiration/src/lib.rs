//! The expiration service: tells when the time of an order is up.
//!
//! It remembers a delayed job for every order that may still expire (`listeners`) and publishes
//! `expiration:complete` when the job is due (`worker`). What that does to the order is for the orders service to say.
//!
//! When the jobs have been lost, it schedules them anew from the history of orders (`rebuild`).
//!
//! It has no HTTP API, no records and so no outbox: a job is what is left to publish.

mod alarm;
mod listeners;
mod rebuild;
mod worker;

use std::sync::Arc;

use common::bus::{Bus, Listeners};
use common::clock::Clock;
use common::jobs::DelayedJobs;
use common::service::Service;

use alarm::Alarm;
use listeners::{OrderCancelledListener, OrderCompletedListener, OrderCreatedListener};
use worker::Worker;

/// What every listener works with.
#[derive(Clone)]
struct AppState {
    jobs: Arc<dyn DelayedJobs>,
    alarm: Arc<Alarm>,
}

/// The service on these engines.
pub fn service(jobs: Arc<dyn DelayedJobs>, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Service {
    let app = AppState { jobs: jobs.clone(), alarm: Arc::new(Alarm::new(clock.clone())) };
    let alarm = app.alarm.clone();
    let listeners = listeners(app);
    let worker = Worker { jobs: jobs.clone(), bus, clock, alarm };
    Service::new("expiration").listeners(listeners).worker(|stop| worker.run(stop)).probe("jobs", move || {
        let jobs = jobs.clone();
        async move { jobs.ping().await }
    })
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>().on::<OrderCompletedListener>()
}
