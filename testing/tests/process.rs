//! The life of a process.

use std::net::{IpAddr, Ipv4Addr};

use common::service::{Exit, ProcessConfig, Service, run};

/// A supervisor starts it again. If the process went on, the task's work would not be done.
#[tokio::test]
async fn a_background_task_that_ends_or_panics_stops_the_process_with_an_error() {
    let ends = Service::new("orders").worker(|_stop| async {});
    let panics = Service::new("orders").worker(|_stop| async { panic!("a bug") });
    for failing in [ends, panics] {
        let healthy = Service::new("tickets").worker(|stop| async move { stop.cancelled().await });
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let config = ProcessConfig { host, admin_port: 0, shutdown_delay_seconds: 0 };
        let exit = run(vec![healthy, failing], None, Some(0), config, Box::new(|_addresses| {})).await.unwrap();
        assert_eq!(exit, Exit::Failed);
    }
}
