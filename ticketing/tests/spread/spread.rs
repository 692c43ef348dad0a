//! The services of a system: started, stopped, killed and started again.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use testing::system::records::{OrderRecord, Records, TicketRecord};
use testing::system::{Addresses, Api, Process, SERVICES, STOP_TIMEOUT, User, http_client, run};
use testing::wait_until_ok;

use crate::binaries::binaries;
use crate::engines::Engines;
use crate::simulator::Simulator;

/// Nothing listens here.
const CLOSED_PORT: u16 = 9;

/// A running system. Killed when dropped, and its data deleted.
pub(crate) struct Spread {
    pub(crate) services: Vec<Replica>,
    pub(crate) engines: Engines,
    pub(crate) simulator: Simulator,
    expiration: Duration,
    api: Api,
    http: reqwest::Client,
}

/// One replica of a service, running or not.
pub(crate) struct Replica {
    name: &'static str,
    api_prefix: Option<&'static str>,
    running: Option<(Process, Addresses)>,
}

impl Replica {
    fn running(&self) -> &(Process, Addresses) {
        self.running.as_ref().expect("a running replica")
    }

    /// The base URL of its API. Leads nowhere while it is not running.
    fn url(&self) -> String {
        let address = self.running.as_ref().and_then(|(_, addresses)| addresses.http);
        format!("http://127.0.0.1:{}/api", address.map_or(CLOSED_PORT, |address| address.port()))
    }
}

impl Spread {
    /// Starts one replica of each service. Returns `None` and says so if a server is not installed.
    pub(crate) async fn start(expiration: Duration) -> Option<Self> {
        Self::start_replicas(expiration, &[]).await
    }

    /// Like [`start`](Self::start), with two replicas of some services.
    pub(crate) async fn start_replicas(expiration: Duration, twice: &[&str]) -> Option<Self> {
        let engines = Engines::start().await?;
        let simulator = Simulator::start().await;
        let replica = |(name, api_prefix)| Replica { name, api_prefix, running: None };
        let second = SERVICES.into_iter().filter(|(name, _)| twice.contains(name));
        let services = SERVICES.into_iter().chain(second).map(replica).collect();
        let mut system = Self { services, engines, simulator, expiration, api: Api::default(), http: http_client() };
        system.restart_all().await;
        Some(system)
    }

    /// Starts every replica that is not running, and waits until they are ready.
    pub(crate) async fn restart_all(&mut self) {
        let Self { services, engines, simulator, expiration, .. } = self;
        let down = services.iter_mut().filter(|replica| replica.running.is_none());
        let starting = down.map(|replica| {
            let mut command = engines.command(replica.name);
            match replica.name {
                "orders" => command.env("ORDER_EXPIRATION_SECONDS", expiration.as_secs().to_string()),
                "payments" => command.env("STRIPE_API_BASE", &simulator.url),
                "auth" => command.env("COOKIE_SECURE", "false"),
                _ => &mut command,
            };
            let process = Process::start(&mut command);
            async move {
                let addresses = process.wait_for_output(Addresses::from_log).await;
                replica.running = Some((process, addresses));
            }
        });
        // Collected first: all processes start before any is waited for.
        join_all(starting.collect::<Vec<_>>()).await;
        self.route();
    }

    /// Kills a replica as `kill -9` does.
    pub(crate) fn kill(&mut self, nth: usize) {
        drop(self.services[nth].running.take());
        self.route();
    }

    /// Stops all replicas at once and expects each to exit successfully and in time.
    pub(crate) async fn stop_all(&mut self) {
        let running = self.services.iter_mut().map(|replica| (replica.name, replica.running.take().unwrap()));
        let stopped = running.map(async |(name, (mut process, _))| {
            process.signal("TERM");
            let status = process.wait_for_exit(STOP_TIMEOUT).await;
            assert!(status.success(), "{name} exited with {status}");
        });
        join_all(stopped).await;
        self.route();
    }

    /// Sends users to the replicas that are running.
    fn route(&self) {
        let addresses = self.services.iter().filter_map(|replica| Some((replica.api_prefix?, replica.url())));
        self.api.route(addresses.collect());
    }

    /// Waits until a service has logged this.
    pub(crate) async fn wait_for_line(&self, service: &str, text: &str) {
        for replica in self.services.iter().filter(|replica| replica.name == service) {
            replica.running().0.wait_for_line(|line| line.contains(text)).await;
        }
    }

    /// A user who is not signed in.
    pub(crate) fn visitor(&self) -> User {
        User::visitor(self.http.clone(), self.api.clone())
    }

    /// A new user, signed in.
    pub(crate) async fn sign_up(&self, name: &str) -> User {
        self.visitor().sign_up(name).await
    }

    /// Sends a request to the admin port of each replica. Returns their names, statuses and bodies.
    pub(crate) async fn admin(&self, path: &str) -> Vec<(&'static str, u16, String)> {
        let replies = self.services.iter().map(async |replica| {
            let port = replica.running().1.admin.port();
            let response = self.http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
            (replica.name, response.status().as_u16(), response.text().await.unwrap())
        });
        join_all(replies).await
    }

    /// Waits until exactly these services are not ready, and report this reason.
    pub(crate) async fn wait_until_unready(&self, unready: &[&str], reason: &str) {
        wait_until_ok(async || {
            let replies = self.admin("/healthz/ready").await;
            let is_expected = |(name, status, text): &(&str, u16, String)| {
                if unready.contains(name) { *status == 503 && text.contains(reason) } else { *status == 200 }
            };
            if replies.iter().all(is_expected) { Ok(()) } else { Err(format!("{unready:?}, {reason}: {replies:?}")) }
        })
        .await;
    }

    /// Waits until every service with a bus reports in its metrics whether that is up. Being down does not make a
    /// service unready.
    pub(crate) async fn wait_until_bus_is(&self, up: bool) {
        let gauge = if up { "bus_up 1" } else { "bus_up 0" };
        wait_until_ok(async || {
            let replies = self.admin("/metrics").await;
            let is_expected =
                |(name, _, metrics): &(&str, u16, String)| *name == "auth" || metrics.lines().any(|line| line == gauge);
            let others: Vec<_> = replies.iter().filter(|reply| !is_expected(reply)).map(|(name, ..)| name).collect();
            if others.is_empty() { Ok(()) } else { Err(format!("not {gauge}: {others:?}")) }
        })
        .await;
        let ready = self.admin("/healthz/ready").await;
        assert!(ready.iter().all(|(_, status, _)| *status == 200), "{ready:?}");
        let message = if up { "the bus is up again" } else { "the bus is down" };
        for replica in self.services.iter().filter(|replica| replica.name != "auth") {
            let (process, _) = replica.running();
            process.wait_for_line(|line| line.contains(message)).await;
        }
    }

    /// Waits until every service is ready.
    pub(crate) async fn wait_until_ready(&self) {
        self.wait_until_unready(&[], "").await;
    }

    /// Waits until the services agree with each other and no order is undecided. Checks the orders of these users, who
    /// must be all that there are, and these tickets besides those for sale.
    pub(crate) async fn wait_until_consistent(&self, users: &[User], tickets: impl IntoIterator<Item = String>) {
        let tickets: HashSet<String> = tickets.into_iter().collect();
        wait_until_ok(async || {
            let inconsistencies = self.records(users, tickets.clone()).await.inconsistencies();
            if inconsistencies.is_empty() { Ok(()) } else { Err(inconsistencies.join("\n")) }
        })
        .await;
        self.engines.assert_no_dead_letters().await;
        let (holds, output) = run(&mut self.check()).await;
        assert!(holds && output.contains("Every invariant holds: "), "{output}");
        for replica in &self.services {
            let output = replica.running().0.output();
            assert!(!output.contains("panicked"), "{}: {output}", replica.name);
        }
    }

    /// A command that runs `ticketing check` on this system.
    pub(crate) fn check(&self) -> Command {
        let mut check = self.engines.check();
        check.env("STRIPE_KEY", "sk_test_spread").env("STRIPE_API_BASE", &self.simulator.url);
        check
    }

    /// Runs `ticketing republish` for a service. Returns whether it succeeded, and its output.
    pub(crate) async fn republish(&self, service: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = binaries().command("ticketing");
        command.env("MONGO_URI", self.engines.mongo_uri(service));
        command.env("NATS_URL", format!("nats://127.0.0.1:{}", self.engines.nats.proxy.port()));
        run(command.args(["republish", service]).args(arguments)).await
    }

    async fn records(&self, users: &[User], mut known: HashSet<String>) -> Records {
        let (mut orders, mut payments): (Vec<OrderRecord>, _) = (Vec::new(), Vec::new());
        for user in users {
            let own: Vec<OrderRecord> = user.list_all("/orders?limit=200").await;
            for order in &own {
                // The payments service may not have a replica of the order yet.
                let reply = user.get_payments(&order.id).send().await;
                if reply.status != 404 {
                    payments.append(&mut reply.expect(200).json());
                }
            }
            known.extend(own.iter().map(|order| order.ticket.id.clone()));
            orders.extend(own);
        }
        let mut tickets: Vec<TicketRecord> = self.visitor().list_all("/tickets?limit=200").await;
        for ticket in &tickets {
            known.remove(&ticket.id);
        }
        for id in known {
            tickets.push(self.visitor().get(&format!("/tickets/{id}")).send().await.expect(200).json());
        }
        let undecided = orders.iter().filter(|order| order.status == "created");
        let mut pending: Vec<_> = undecided.map(|order| format!("order {} is undecided", order.id)).collect();
        pending.extend(self.simulator.misplaced_money(&orders).await);
        Records::new(tickets, orders, payments, pending)
    }
}
