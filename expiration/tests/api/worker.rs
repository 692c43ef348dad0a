//! The worker publishes `expiration:complete` on time.

use std::time::Duration;

use common::bus::Publisher;
use common::clock::Clock;
use common::events::ExpirationComplete;
use common::jobs::Job;
use futures_util::future::try_join_all;
use metrics_exporter_prometheus::PrometheusBuilder;
use testing::message;
use testing::soon;

use crate::{ExpirationApp, counts, order_due};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const FIFTEEN_MINUTES: Duration = Duration::from_secs(900);

#[tokio::test]
async fn an_order_expires_at_its_time_and_not_before() {
    let app = ExpirationApp::start().await;
    let later = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    let earlier = app.order_due(app.in_time(FIFTEEN_MINUTES - MILLISECOND)).await;
    app.env.clock.advance(FIFTEEN_MINUTES - MILLISECOND);
    assert_eq!(app.expired(1).await, [earlier.id]);
    app.env.clock.advance(MILLISECOND);
    assert_eq!(app.expired(1).await, [later.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_earlier_order_wakes_the_worker() {
    let app = ExpirationApp::start().await;
    app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    // Each round finds the worker asleep or about to sleep, and takes less time than its longest sleep.
    for _ in 0..100 {
        let order = app.order_due(app.in_time(MILLISECOND)).await;
        app.env.clock.advance(MILLISECOND);
        assert_eq!(app.expired(1).await, [order.id]);
    }
}

#[tokio::test]
async fn a_sleeping_worker_finds_jobs_scheduled_by_another_replica() {
    let app = ExpirationApp::start().await;
    let event = order_due(app.in_time(SECOND));
    let job = Job { id: event.id.to_string(), due: event.expires_at, payload: String::new() };
    // After this expiration the worker sleeps as long as it ever does.
    let first = app.order_due(app.env.clock.now()).await;
    assert_eq!(app.expired(1).await, [first.id]);
    app.jobs.schedule(&job).await.unwrap();
    app.env.clock.advance(Duration::from_secs(60));
    assert_eq!(app.expired(1).await, [event.id]);
}

#[tokio::test]
async fn orders_due_during_downtime_expire_at_the_start() {
    let app = ExpirationApp::start().await;
    let order = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    let app = app.crash_and_restart_after(2 * FIFTEEN_MINUTES).await;
    assert_eq!(app.expired(1).await, [order.id]);
}

#[tokio::test]
async fn an_event_repeated_after_a_crash_is_dropped_by_the_bus() {
    let app = ExpirationApp::start().await;
    // The state that a crash between publishing and deleting the job leaves behind.
    let crashed = order_due(app.in_time(FIFTEEN_MINUTES));
    app.service.deliver(&crashed).await;
    assert_eq!(app.jobs.claim(crashed.expires_at, 1, SECOND).await.unwrap().len(), 1);
    app.bus.publish(&[message(&ExpirationComplete { order_id: crashed.id })]).await.unwrap();

    let app = app.crash_and_restart_after(FIFTEEN_MINUTES + SECOND).await;
    let next = app.order_due(app.env.clock.now()).await;
    // The worker published the first again and the bus dropped it.
    assert_eq!(app.expired(2).await, [crashed.id, next.id]);
    app.idle().await;
}

#[tokio::test]
async fn jobs_are_kept_while_the_bus_is_down_and_published_afterwards() {
    let app = ExpirationApp::start().await;
    let order = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    app.bus.interrupt();
    app.env.clock.advance(FIFTEEN_MINUTES);
    for attempts in 1..=3 {
        soon("an attempt", app.bus.wait_for_refusals(attempts)).await;
        assert_eq!(app.jobs.count_due(app.env.clock.now()).await.unwrap(), 1);
        // The worker may not sleep yet, so the clock advances until it tries again.
        soon("another attempt", async {
            tokio::select! {
                () = app.bus.wait_for_refusals(attempts + 1) => {}
                () = keep_advancing(&app) => {}
            }
        })
        .await;
    }
    app.bus.resume();
    let expired = soon("the expiration", async {
        tokio::select! {
            expired = app.expired(1) => expired,
            () = keep_advancing(&app) => Vec::new(),
        }
    })
    .await;
    assert_eq!(expired, [order.id]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_thousand_orders_due_at_once_expire_exactly_once() {
    const ORDERS: usize = 20_000;
    let app = ExpirationApp::start().await;
    let due = app.in_time(FIFTEEN_MINUTES);
    let events: Vec<_> = (0..ORDERS).map(|_| order_due(due)).collect();
    for batch in events.chunks(500) {
        try_join_all(batch.iter().map(|event| app.service.deliver_once(event))).await.unwrap();
    }
    app.env.clock.advance(FIFTEEN_MINUTES);
    let expired = app.expired(ORDERS).await;
    assert_eq!(counts(expired), counts(events.into_iter().map(|event| event.id)));
}

#[tokio::test]
async fn due_and_published_jobs_are_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let app = ExpirationApp::start().await;
    app.order_due(app.env.clock.now()).await;
    app.expired(1).await;
    app.idle().await;
    let rendered = metrics.render();
    for line in ["jobs_fired_total 1", "events_published_total{subject=\"expiration:complete\"} 1"] {
        assert!(rendered.contains(&format!("\n{line}\n")), "{rendered}");
    }

    app.bus.interrupt();
    app.order_due(app.env.clock.now()).await;
    // The gauge is set at the start of an attempt, and the job may become due during the first.
    soon("two attempts", async {
        tokio::select! {
            () = app.bus.wait_for_refusals(2) => {}
            () = keep_advancing(&app) => {}
        }
    })
    .await;
    let rendered = metrics.render();
    assert!(rendered.contains("\njobs_due 1\n"), "{rendered}");
}

#[tokio::test]
async fn the_worker_stops_on_request_even_while_the_bus_is_down() {
    let app = ExpirationApp::start().await;
    app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    soon("the end of the worker", app.workers.stop()).await;

    let app = ExpirationApp::start().await;
    app.bus.interrupt();
    app.order_due(app.env.clock.now()).await;
    soon("an attempt", app.bus.wait_for_refusals(1)).await;
    soon("the end of the worker", app.workers.stop()).await;
}

async fn keep_advancing(app: &ExpirationApp) {
    loop {
        app.env.clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
}
