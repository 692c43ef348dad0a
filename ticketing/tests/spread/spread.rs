//! The processes under test: started, stopped, killed, and started again.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use testing::servers::{self, Program, Proxy, Server};
use tokio::time::Instant;

use crate::services::{self, Ports, Ready, SERVICES};
use crate::support::books::{BookedOrder, BookedTicket, Books, open, texts};
use crate::support::client::{Api, http_client};
use crate::support::output::Output;
use crate::support::{LIMIT, User, wait_for};

/// A server and the way to it, which can be cut.
pub(crate) struct Engine {
    pub(crate) server: Server,
    pub(crate) way: Proxy,
}

impl Engine {
    async fn start(program: Program) -> Option<Self> {
        let server = Server::start(program).await?;
        let way = Proxy::to(server.port()).await;
        Some(Self { server, way })
    }
}

/// The three servers.
pub(crate) struct Engines {
    pub(crate) mongo: Engine,
    pub(crate) nats: Engine,
    pub(crate) redis: Engine,
}

impl Engines {
    /// Starts them with no data. `None`, and a line that says so, where one is missing.
    pub(crate) async fn start() -> Option<Self> {
        let nats = Engine::start(servers::NATS).await?;
        let redis = Engine::start(servers::REDIS).await?;
        Some(Self { mongo: Engine::start(servers::mongo()).await?, nats, redis })
    }

    /// A command that would start a service on them, on ports of the operating system's choice.
    pub(crate) fn command(&self, service: &str) -> Command {
        let Self { mongo, nats, redis } = self;
        let ports = Ports { mongo: mongo.way.port(), nats: nats.way.port(), redis: redis.way.port() };
        let mut command = services::service(service, &ports);
        command.env("RUST_LOG", "warn,common::spread=info");
        command
    }
}

/// A running system. Nothing of it is left when it is dropped.
pub(crate) struct Spread {
    pub(crate) services: Vec<Replica>,
    pub(crate) engines: Engines,
    _stripe: Process,
    simulator: String,
    expiration: Duration,
    api: Api,
    http: reqwest::Client,
    directory: TempDir,
}

/// A service by itself, running or not.
pub(crate) struct Replica {
    pub(crate) name: &'static str,
    part: Option<&'static str>,
    process: Option<Process>,
}

impl Spread {
    /// Starts one whose orders are reserved for so long. `None`, and a line that says so, where a server is missing.
    pub(crate) async fn start(expiration: Duration) -> Option<Self> {
        Self::start_replicas(expiration, &[]).await
    }

    /// The same with a second replica of these services.
    pub(crate) async fn start_replicas(expiration: Duration, twice: &[&str]) -> Option<Self> {
        let engines = Engines::start().await?;
        let directory = TempDir::new().unwrap();
        let mut stripe = services::command("stripe-simulator");
        stripe.args(["--port", "0", "--file"]).arg(stripe_file(&directory));
        let stripe = Process::start(&mut stripe);
        let simulator = stripe.said(services::simulator).await;

        let replica = |(name, part)| Replica { name, part, process: None };
        let more = SERVICES.into_iter().filter(|(name, _)| twice.contains(name));
        let services = SERVICES.into_iter().chain(more).map(replica).collect();
        let api = Api::whole("");
        let mut system =
            Self { services, engines, _stripe: stripe, simulator, expiration, api, http: http_client(), directory };
        system.restart_all().await;
        Some(system)
    }

    /// Starts every service that is not running, and returns once they are ready.
    pub(crate) async fn restart_all(&mut self) {
        for replica in self.services.iter_mut().filter(|replica| replica.process.is_none()) {
            let mut command = self.engines.command(replica.name);
            match replica.name {
                "orders" => command.env("ORDER_EXPIRATION_SECONDS", self.expiration.as_secs().to_string()),
                "payments" => command.env("STRIPE_API_BASE", &self.simulator),
                "auth" => command.env("COOKIE_SECURE", "false"),
                _ => &mut command,
            };
            replica.process = Some(Process::start(&mut command));
        }
        join_all(self.services.iter_mut().flat_map(|replica| &mut replica.process).map(Process::ready)).await;
        self.route();
    }

    /// `kill -9` to a service.
    pub(crate) fn kill(&mut self, nth: usize) {
        drop(self.services[nth].process.take());
        self.route();
    }

    /// Stops all services at once and in good order, each within ten seconds.
    pub(crate) async fn stop_all(&mut self) {
        let processes = self.services.iter_mut().map(|replica| (replica.name, replica.process.take().unwrap()));
        let stopped = processes.map(async |(name, mut process)| {
            process.signal("TERM");
            let status = process.ended_within(Duration::from_secs(10)).await;
            assert!(status.success(), "{name} ended with {status}");
        });
        join_all(stopped).await;
        self.route();
    }

    /// Tells users where the services are; those that are not running are where nobody listens.
    fn route(&self) {
        let port = |replica: &Replica| replica.process.as_ref().and_then(|process| process.http).unwrap_or(9);
        let url = |replica: &Replica| format!("http://127.0.0.1:{}/api", port(replica));
        let parts = self.services.iter().filter_map(|replica| Some((replica.part?, url(replica))));
        *self.api.0.lock().unwrap() = parts.collect();
    }

    /// Somebody who is not signed in.
    pub(crate) fn nobody(&self) -> User {
        User::nobody(self.http.clone(), self.api.clone())
    }

    /// A new user, signed in.
    pub(crate) async fn sign_up(&self, name: &str) -> User {
        self.nobody().sign_up(name).await
    }

    /// What the admin port of each replica answers.
    pub(crate) async fn admin(&self, path: &str) -> Vec<(&'static str, u16, String)> {
        let answers = self.services.iter().map(async |replica| {
            let port = replica.process.as_ref().unwrap().admin;
            let response = self.http.get(format!("http://127.0.0.1:{port}{path}")).send().await.unwrap();
            (replica.name, response.status().as_u16(), response.text().await.unwrap())
        });
        join_all(answers).await
    }

    /// Waits until these services, and no others, are not ready, and say so by this word.
    pub(crate) async fn only_unready(&self, unready: &[&str], why: &str) {
        wait_for(async || {
            let answers = self.admin("/healthz/ready").await;
            let as_expected = |(name, status, text): &(&str, u16, String)| {
                if unready.contains(name) { *status == 503 && text.contains(why) } else { *status == 200 }
            };
            if answers.iter().all(as_expected) { Ok(()) } else { Err(format!("{unready:?} for {why}: {answers:?}")) }
        })
        .await;
    }

    /// Waits until the services agree on all that these users, who must be all there are, and these tickets are part
    /// of, with no order left undecided.
    pub(crate) async fn agrees(&self, users: &[User], tickets: impl IntoIterator<Item = String>) {
        let tickets: HashSet<String> = tickets.into_iter().collect();
        wait_for(async || {
            let disagreements = self.books(users, tickets.clone()).await.disagreements();
            if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
        })
        .await;
        #[cfg(feature = "spread")]
        crate::dead_letters::there_are_none(&self.engines).await;
        for replica in &self.services {
            let said = replica.process.as_ref().unwrap().output.text();
            assert!(!said.contains("panicked"), "{}: {said}", replica.name);
        }
    }

    async fn books(&self, users: &[User], mut known: HashSet<String>) -> Books {
        let (mut orders, mut payments): (Vec<BookedOrder>, _) = (Vec::new(), Vec::new());
        for user in users {
            let own: Vec<BookedOrder> = user.all("/orders?limit=200").await;
            for order in &own {
                // The payments service may not have heard of the order yet.
                let answer = user.get(&format!("/payments?orderId={}", order.id)).send().await;
                if answer.status != 404 {
                    payments.append(&mut answer.expect(200).json());
                }
            }
            known.extend(own.iter().map(|order| order.ticket.id.clone()));
            orders.extend(own);
        }
        let mut tickets: Vec<BookedTicket> = self.nobody().all("/tickets?limit=200").await;
        for ticket in &tickets {
            known.remove(&ticket.id);
        }
        for id in known {
            tickets.push(self.nobody().get(&format!("/tickets/{id}")).send().await.expect(200).json());
        }
        let undecided = orders.iter().filter(|order| order.status == "created");
        let mut under_way: Vec<_> = undecided.map(|order| format!("order {} is undecided", order.id)).collect();
        under_way.extend(misplaced_money(&stripe_file(&self.directory), &orders));
        Books::of(tickets, orders, payments, under_way)
    }
}

/// What Stripe's simulator, whose file this is, has done with the money for these orders and should not have, in words.
fn misplaced_money(simulator: &Path, orders: &[BookedOrder]) -> Vec<String> {
    let last_steps = "SELECT json_extract(body, '$.metadata.order_id') || ' '
                             || coalesce(json_extract(body, '$.steps[#-1].action'), 'authorise')
                      FROM intents WHERE json_extract(body, '$.card') NOT LIKE 'charge_declined%'";
    let last_steps = texts(&open(simulator), last_steps);
    let count = |order: &BookedOrder, step| {
        let wanted = format!("{} {step}", order.id);
        last_steps.iter().filter(|found| **found == wanted).count()
    };
    let money = |order: &BookedOrder| {
        let (captured, held) = (count(order, "capture"), count(order, "authorise"));
        let right = (usize::from(order.status == "complete"), 0);
        (right != (captured, held)).then(|| format!("{order:?}: {captured} payments captured, {held} held"))
    };
    orders.iter().filter_map(money).collect()
}

fn stripe_file(directory: &TempDir) -> PathBuf {
    directory.path().join("stripe.db")
}

/// One run of a binary, killed when dropped.
pub(crate) struct Process {
    child: Child,
    path: PathBuf,
    /// Where its API is, once it is ready.
    http: Option<u16>,
    admin: u16,
    pub(crate) output: Output,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let path = PathBuf::from(command.get_program());
        assert!(path.exists(), "{} is missing: build it by `cargo build --workspace`", path.display());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut output = Output::default();
        output.read(child.stdout.take().unwrap(), |_| {});
        output.read(child.stderr.take().unwrap(), |_| {});
        Self { child, path, http: None, admin: 0, output }
    }

    /// Waits until it says that it is ready, and where.
    pub(crate) async fn ready(&mut self) {
        let ready = self.said(Ready::parse).await;
        (self.http, self.admin) = (ready.http.map(|address| address.port()), ready.admin.port());
    }

    /// Waits until it has written a line that `find` finds something in.
    pub(crate) async fn said<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let give_up = Instant::now() + LIMIT;
        loop {
            let text = self.output.text();
            if let Some(found) = text.lines().find_map(&find) {
                return found;
            }
            assert!(Instant::now() < give_up, "{} has not said it:\n{text}", self.path.display());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        // Of the shell itself: there need not be a program for it.
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for it to end by itself, at most so long.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let give_up = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.output.complete();
                return status;
            }
            let path = self.path.display();
            assert!(Instant::now() < give_up, "{path} has not ended within {limit:?}:\n{}", self.output.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Expects it to refuse to start, and returns what it wrote.
    pub(crate) async fn refuses(mut self) -> String {
        let status = self.ended_within(LIMIT).await;
        assert!(!status.success(), "it ended with {status}");
        self.output.text()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Killing what has ended already does nothing.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output.complete();
        if std::thread::panicking() {
            self.output.print_remarkable();
        }
    }
}
