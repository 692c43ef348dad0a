//! The binary under test: started on a directory of its own, stopped, killed, and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::books::Books;
use super::client::{Api, User, http_client};
use super::output::Output;
use super::{LIMIT, wait_for, wait_until};

/// How the binary is to be started.
#[derive(Default)]
pub(crate) struct Setup {
    variables: Vec<(&'static str, String)>,
    may_exceed_file_size: bool,
}

impl Setup {
    /// Sets an environment variable.
    pub(crate) fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    /// Lets a write beyond the limit on file sizes fail like one to a full disk, instead of ending the process.
    pub(crate) fn surviving_file_size_limits(mut self) -> Self {
        self.may_exceed_file_size = true;
        self
    }

    /// A command that would start the binary on `data`, on ports of the operating system's choice.
    pub(crate) fn command(&self, data: &Path) -> Command {
        let binary = env!("CARGO_BIN_EXE_ticketing");
        let mut command = if self.may_exceed_file_size {
            let mut shell = Command::new("sh");
            shell.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", binary]);
            shell
        } else {
            Command::new(binary)
        };
        command.env_clear().envs(self.variables.iter().map(|(variable, value)| (variable, value)));
        command.args(["--port", "0", "--admin-port", "0", "--data-dir"]).arg(data);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it on a new directory and returns once it is ready.
    pub(crate) async fn start(self) -> System {
        self.start_on(TempDir::new().unwrap()).await
    }

    /// Starts it on this directory and returns once it is ready.
    pub(crate) async fn start_on(self, directory: TempDir) -> System {
        let process = Process::start(&self, directory.path()).await;
        System { setup: self, directory, process, http: http_client() }
    }
}

/// Runs a command that is expected to end by itself, and returns whether it succeeded and what it wrote. One that does
/// not end has not failed, and is killed.
pub(crate) async fn run(command: &mut Command) -> (bool, String) {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let give_up = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() && Instant::now() < give_up {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (ended.is_none_or(|status| status.success()), String::from_utf8(text).unwrap())
}

/// A running system. Nothing of it is left when it is dropped.
pub(crate) struct System {
    setup: Setup,
    process: Process,
    directory: TempDir,
    http: reqwest::Client,
}

impl System {
    /// Starts one as it comes.
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    /// Starts it again on its directory, after it was stopped or killed.
    pub(crate) async fn restart(&mut self) {
        self.process.kill();
        self.process = Process::start(&self.setup, self.directory.path()).await;
        // Connections of before lead nowhere, or to somebody else.
        self.http = http_client();
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it and kills it after a while, ready or not.
    pub(crate) async fn start_and_kill_after(&mut self, while_starting: Duration) {
        let mut child = self.setup.command(self.directory.path()).spawn().unwrap();
        tokio::time::sleep(while_starting).await;
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Sends a signal: `TERM`, `INT`.
    pub(crate) fn signal(&self, name: &str) {
        // Of the shell itself: there need not be a program for it.
        let kill = format!("kill -{name} {}", self.pid());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the process to end by itself, at most so long.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        self.process.ended_within(limit).await
    }

    /// Stops it in good order.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM");
        let status = self.ended_within(Duration::from_secs(10)).await;
        assert!(status.success(), "it ended with {status}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// Where the API is: `http://127.0.0.1:41973/api`.
    pub(crate) fn api(&self) -> &str {
        &self.process.api
    }

    /// Where the API listens: `127.0.0.1:41973`.
    pub(crate) fn address(&self) -> &str {
        let (_, rest) = self.process.api.split_once("//").unwrap();
        rest.split('/').next().unwrap()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A file in its data directory.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Its databases.
    pub(crate) fn databases(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let databases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "db")).collect();
        assert!(databases.len() >= 5, "only {databases:?}");
        databases
    }

    /// All that this process has written so far, start-up lines and log.
    pub(crate) fn output(&self) -> String {
        self.process.output.text()
    }

    /// Somebody who is not signed in.
    pub(crate) fn nobody(&self) -> User {
        User::nobody(self.http.clone(), Api::whole(self.api()))
    }

    /// A new user, signed in.
    pub(crate) async fn sign_up(&self, name: &str) -> User {
        self.nobody().sign_up(name).await
    }

    /// New users, signed in: `buyer0`, `buyer1`, …
    pub(crate) async fn sign_up_many(&self, name: &str, count: usize) -> Vec<User> {
        let mut users = Vec::new();
        for first in (0..count).step_by(4) {
            // Few at a time: hashing passwords is meant to be hard work, and more would be told to come back later.
            let few = (first..count.min(first + 4)).map(|n| async move { self.sign_up(&format!("{name}{n}")).await });
            users.extend(futures_util::future::join_all(few).await);
        }
        users
    }

    /// The same user, talking to the process that runs now.
    pub(crate) fn again(&self, user: &User) -> User {
        user.at(self.http.clone(), Api::whole(self.api()))
    }

    /// The value of a series as Prometheus would read it, 0 when it does not exist (yet).
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.admin("/metrics").await.1;
        let values = text.lines().filter_map(|line| line.strip_prefix(series)?.trim().parse::<f64>().ok());
        values.sum()
    }

    /// What the admin port answers.
    pub(crate) async fn admin(&self, path: &str) -> (u16, String) {
        let response = self.http.get(format!("{}{path}", self.process.admin)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Waits until a listener has handled so many events since the start.
    pub(crate) async fn handled(&self, listener: &str, count: u32) {
        let series = format!("events_handled_total{{listener=\"{listener}\"}}");
        wait_until(&format!("{listener} has handled {count} events"), async || {
            (self.metric(&series).await >= f64::from(count)).then_some(())
        })
        .await;
    }

    /// Waits until its services agree and have nothing left to do.
    pub(crate) async fn agrees(&self) {
        wait_for(async || {
            let books = Books::read(self.directory.path());
            assert_eq!(books.double_bookings(), Vec::<String>::new());
            let disagreements = books.disagreements();
            if disagreements.is_empty() { Ok(()) } else { Err(disagreements.join("\n")) }
        })
        .await;
    }

    /// Resident memory in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Processor time used so far, in ticks of the kernel (usually hundredths of a second).
    pub(crate) fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The name, in parentheses, may hold spaces; user and system time are the 12th and 13th field after it.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// Whatever has been done to it: it sells a ticket, has not grown beyond measure, and nothing in it has panicked.
    pub(crate) async fn assert_unharmed(&self) {
        let (seller, buyer) = (self.sign_up("unharmed-seller").await, self.sign_up("unharmed-buyer").await);
        let order = buyer.order(&seller.list_ticket("Still here", "20").await).await;
        buyer.pay(&order, "tok_visa").await;
        buyer.sees_complete(&order).await;
        let resident = self.resident_bytes();
        assert!(resident < 250 << 20, "{resident} bytes resident");
        let output = self.output();
        assert!(!output.contains("panicked"), "{output}");
        let served = self.admin("/metrics").await.1;
        let failed =
            served.lines().find(|line| line.starts_with("http_requests_total") && line.contains("status=\"500\""));
        assert_eq!(failed, None);
    }
}

/// One run of the binary, killed when dropped.
struct Process {
    child: Child,
    api: String,
    admin: String,
    output: Output,
}

impl Process {
    async fn start(setup: &Setup, data: &Path) -> Self {
        let mut child = setup.command(data).spawn().unwrap();
        let (announce, mut announced) = mpsc::unbounded_channel();
        let mut output = Output::default();
        output.read(child.stdout.take().unwrap(), move |line| {
            // Once everything is known nobody listens any more.
            let _gone = announce.send(line.to_owned());
        });
        output.read(child.stderr.take().unwrap(), |_| {});
        let mut process = Self { child, api: String::new(), admin: String::new(), output };
        let everything_is_known = async {
            while process.api.is_empty() || process.admin.is_empty() {
                let line: String = announced.recv().await?;
                let mut words = line.split_whitespace();
                match (words.next(), words.next()) {
                    (Some("API"), Some(url)) => process.api = url.to_owned(),
                    (Some("Admin"), Some(url)) => process.admin = url.to_owned(),
                    _ => {}
                }
            }
            Some(())
        };
        let ready = timeout(LIMIT, everything_is_known).await;
        assert_eq!(ready, Ok(Some(())), "it did not start:\n{}", process.output.text());
        process
    }

    async fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        let give_up = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.output.complete();
                return status;
            }
            assert!(Instant::now() < give_up, "it has not ended within {limit:?}:\n{}", self.output.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn kill(&mut self) {
        // Killing what has ended already does nothing.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.output.complete();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            self.output.print_remarkable();
        }
    }
}
