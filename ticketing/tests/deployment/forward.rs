//! Ports of the system, forwarded to this machine. The kubelet forwards them, so no network policy applies.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::kubectl;

const START_LIMIT: Duration = Duration::from_secs(20);

/// A forwarded port, closed when dropped.
pub(crate) struct Forward {
    /// The port on this machine.
    pub(crate) port: u16,
    _process: Child,
    /// kubectl writes a line for each connection, and dies if it cannot.
    _output: BufReader<ChildStdout>,
}

impl Forward {
    /// Forwards a port of one of a service's pods.
    pub(crate) async fn to(service: &str, port: u16) -> Result<Self, String> {
        let mut command = kubectl::command(&["port-forward", "--address=127.0.0.1"]);
        let (process, output, line) = start(command.args([format!("service/{service}"), format!(":{port}")])).await?;
        let port = line.split(" -> ").next().and_then(|local| local.rsplit(':').next()?.parse().ok());
        let port = port.ok_or_else(|| format!("kubectl port-forward to {service} printed {line:?}"))?;
        Ok(Self { port, _process: process, _output: output })
    }
}

/// Starts a program and returns it with its first line.
async fn start(command: &mut Command) -> Result<(Child, BufReader<ChildStdout>, String), String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    let read = timeout(START_LIMIT, output.read_line(&mut line)).await;
    read.map_err(|_| "kubectl port-forward has not started".to_owned())?.map_err(|error| error.to_string())?;
    Ok((process, output, line))
}
