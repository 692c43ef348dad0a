//! The whole system in one process, on its own directory.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;
use tokio::time::sleep;

use super::api::{Api, http_client};
use super::binaries::Addresses;
use super::process::{Process, STOP_TIMEOUT};
use super::user::User;
use crate::wait::wait_until;

/// Sign-ups at the same time. Hashing passwords is expensive on purpose, and the system turns away more.
const CONCURRENT_SIGN_UPS: usize = 4;

/// The most memory that the system may use in a test.
const MEMORY_LIMIT: u64 = 250 << 20;

/// How to start the system.
#[derive(Clone, Debug)]
pub struct Setup {
    binary: PathBuf,
    variables: Vec<(&'static str, String)>,
    survives_file_size_limits: bool,
}

impl Setup {
    /// The path of the binary: `env!("CARGO_BIN_EXE_ticketing")`.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), variables: Vec::new(), survives_file_size_limits: false }
    }

    /// Sets an environment variable. There are no others.
    pub fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    /// Makes a write over the file size limit fail, as on a full disk, instead of killing the process.
    pub fn survive_file_size_limits(mut self) -> Self {
        self.survives_file_size_limits = true;
        self
    }

    /// A command that runs the binary on a data directory, on ports that the operating system chooses.
    pub fn command(&self, data: &Path) -> Command {
        let mut command = if self.survives_file_size_limits {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(&self.binary);
            shell
        } else {
            Command::new(&self.binary)
        };
        command.env_clear().envs(self.variables.iter().map(|(variable, value)| (variable, value)));
        command.args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(data);
        command
    }

    /// Starts the system on an empty directory and waits until it is ready.
    pub async fn start(self) -> System {
        self.start_on(TempDir::new().unwrap()).await
    }

    /// Starts the system on this directory and waits until it is ready.
    pub async fn start_on(self, directory: TempDir) -> System {
        let (process, addresses) = start(&self, directory.path()).await;
        System { setup: self, directory, process, addresses, http: http_client() }
    }
}

async fn start(setup: &Setup, data: &Path) -> (Process, Addresses) {
    let process = Process::start(&mut setup.command(data));
    let addresses = process.wait_for_output(Addresses::from_banner).await;
    (process, addresses)
}

/// A running system. Killed when dropped, and its data deleted.
pub struct System {
    setup: Setup,
    process: Process,
    addresses: Addresses,
    directory: TempDir,
    http: reqwest::Client,
}

impl System {
    /// Starts it again on the same data, on new ports.
    pub async fn restart(&mut self) {
        self.process.kill();
        (self.process, self.addresses) = start(&self.setup, self.directory.path()).await;
        // Another process may use the old ports by now.
        self.http = http_client();
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it and kills it a moment later, ready or not.
    pub async fn start_and_kill_after(&mut self, delay: Duration) {
        let mut process = Process::start(&mut self.setup.command(self.directory.path()));
        sleep(delay).await;
        process.kill();
    }

    /// A command that runs the binary with the same variables and data. Add the arguments.
    pub fn command(&self) -> Command {
        self.setup.command(self.directory())
    }

    /// Sends a signal: `TERM` or `INT`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Waits until it exits.
    pub async fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait_for_exit(limit).await
    }

    /// Stops it with a signal and expects it to exit successfully and in time.
    pub async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.wait_for_exit(STOP_TIMEOUT).await;
        assert!(status.success(), "exited with {status}");
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// The base URL of the API: `http://127.0.0.1:41973/api`.
    pub fn api(&self) -> String {
        format!("http://{}/api", self.address())
    }

    /// The address of the API: `127.0.0.1:41973`.
    pub fn address(&self) -> SocketAddr {
        self.addresses.http.unwrap()
    }

    /// The address of the admin port.
    pub fn admin_address(&self) -> SocketAddr {
        self.addresses.admin
    }

    /// Its data directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file in its data directory.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory().join(file)
    }

    /// Its database files.
    pub fn databases(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory()).unwrap().map(|entry| entry.unwrap().path());
        let databases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "db")).collect();
        assert!(databases.len() >= 5, "only {databases:?}");
        databases
    }

    /// Everything that this process has printed so far, banner and log.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// A user who is not signed in.
    pub fn visitor(&self) -> User {
        User::visitor(self.http.clone(), Api::single(self.api()))
    }

    /// A new user, signed in.
    pub async fn sign_up(&self, name: &str) -> User {
        self.visitor().sign_up(name).await
    }

    /// New users, signed in: `buyer0`, `buyer1`, …
    pub async fn sign_up_many(&self, name: &str, count: usize) -> Vec<User> {
        let names: Vec<String> = (0..count).map(|n| format!("{name}{n}")).collect();
        let mut users = Vec::new();
        for names in names.chunks(CONCURRENT_SIGN_UPS) {
            users.extend(join_all(names.iter().map(|name| self.sign_up(name))).await);
        }
        users
    }

    /// The same user, on the process that runs now.
    pub fn reconnect(&self, user: &User) -> User {
        user.reconnect(self.http.clone(), Api::single(self.api()))
    }

    /// Sends a request to the admin port. Returns status and body.
    pub async fn admin(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("http://{}{path}", self.addresses.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// The value of a metric, 0 if it does not exist yet.
    pub async fn metric(&self, series: &str) -> f64 {
        let text = self.admin("/metrics").await.1;
        let values = text.lines().filter_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        values.sum()
    }

    /// Waits until a listener has handled this many events since the start.
    pub async fn wait_until_handled(&self, listener: &str, count: u32) {
        let series = format!("events_handled_total{{listener=\"{listener}\"}}");
        wait_until(&format!("{listener} has handled {count} events"), async || {
            (self.metric(&series).await >= f64::from(count)).then_some(())
        })
        .await;
    }

    /// Processor time used so far, in clock ticks of the kernel (usually hundredths of a second).
    pub fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name may contain spaces and parentheses. The third field follows it; utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Expects that it still sells tickets, uses little memory, and has neither panicked nor answered with a 500.
    pub async fn assert_healthy(&self) {
        let (seller, buyer) = (self.sign_up("healthy-seller").await, self.sign_up("healthy-buyer").await);
        let order = buyer.order(&seller.create_ticket("Still here", "20").await).await;
        buyer.pay(&order, "tok_visa").await;
        buyer.wait_until_complete(&order).await;
        let memory = self.resident_memory();
        assert!(memory < MEMORY_LIMIT, "{memory} bytes of resident memory");
        let output = self.output();
        assert!(!output.contains("panicked"), "{output}");
        let metrics = self.admin("/metrics").await.1;
        let is_failure = |line: &&str| line.starts_with("http_requests_total") && line.contains("status=\"500\"");
        assert_eq!(metrics.lines().find(is_failure), None);
    }

    /// Resident memory in bytes.
    fn resident_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}
