//! The expiration service: announces that an order's time is up.
//!
//! It keeps a delayed job for each open order (`listeners`) and publishes `expiration:complete` when the job is due
//! (`worker`). The orders service decides what that means for the order. Meanwhile, lost jobs are rebuilt from the
//! history of orders (`rebuild`).
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
use rebuild::Rebuilder;
use worker::Worker;

/// The state shared by the listeners.
#[derive(Clone)]
struct AppState {
    jobs: Arc<dyn DelayedJobs>,
    clock: Arc<dyn Clock>,
    alarm: Arc<Alarm>,
}

/// Creates the service on these engines.
pub fn service(jobs: Arc<dyn DelayedJobs>, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>) -> Service {
    let alarm = Arc::new(Alarm::new(clock.clone()));
    let app = AppState { jobs: jobs.clone(), clock: clock.clone(), alarm: alarm.clone() };
    let rebuilder = Rebuilder { jobs: jobs.clone(), bus: bus.clone(), clock: clock.clone(), alarm: alarm.clone() };
    let worker = Worker { jobs: jobs.clone(), publisher: bus, clock, alarm };
    let service = Service::new("expiration").listeners(listeners(app));
    service.worker(|stop| worker.run(stop)).worker(|stop| rebuilder.run(stop)).probe("jobs", move || {
        let jobs = jobs.clone();
        async move { jobs.ping().await }
    })
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>().on::<OrderCompletedListener>()
}
