//! Delayed jobs on Redis: three keys, changed by atomic scripts.
//!
//! `<prefix>:claimable` orders the jobs by when they can be claimed, `<prefix>:due` by their deadline, and
//! `<prefix>:payloads` holds their payloads. A claim moves a job to the end of its lease in `claimable`, so the jobs of
//! a dead worker become claimable again like any others.
//!
//! Redis must write an append-only file (`appendonly yes`) and must not evict keys (`maxmemory-policy noeviction`, the
//! default). It then loses at most the last second in a power failure. If it is killed, it loses nothing unless a slow
//! disk delays its writes. `appendfsync always` prevents both. [`DelayedJobs::is_complete`] detects the loss of
//! everything, but not of a part.

mod connection;
mod scripts;

use std::time::Duration;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job, JobsError, Rebuild};
use redis::{Cmd, FromRedisValue, Script, ScriptInvocation, ToRedisArgs};
use secrecy::SecretString;
use tracing::{error, warn};

use connection::{CommandError, Connection};
use scripts::{BATCH, Keys, Scripts};

/// The prefix of the mark during a rebuild.
const REBUILD: &str = "rebuild/";

/// Delayed jobs on a Redis server.
pub struct RedisJobs {
    connection: Connection,
    keys: Keys,
    owner: String,
    scripts: Scripts,
}

impl RedisJobs {
    /// Connects to `address`: `host`, `host:port`, or `redis://user:password@host:port/database`, or the same with
    /// `rediss` for TLS. All keys start with `prefix` and a colon. `owner` identifies the events that the jobs are made
    /// from.
    ///
    /// Fails if Redis cannot be reached, or if a key exists that has another type or another owner.
    pub async fn connect(address: &SecretString, prefix: &str, owner: &str) -> Result<Self, JobsError> {
        let connection = Connection::new(address)?;
        let jobs = Self { connection, keys: Keys::new(prefix), owner: owner.to_owned(), scripts: Scripts::new() };
        jobs.check_keys().await?;
        jobs.is_complete().await?;
        jobs.check_eviction().await;
        Ok(jobs)
    }

    /// Warns if Redis may evict jobs. Some providers do not say.
    async fn check_eviction(&self) {
        let info = self.run_command::<String>(redis::cmd("INFO").arg("memory")).await.unwrap_or_default();
        let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        if let Some(policy) = policy.filter(|policy| *policy != "noeviction") {
            warn!(policy, "Redis may evict jobs, set maxmemory-policy to noeviction");
        }
    }

    async fn run_command<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, JobsError> {
        let run = self.connection.run(|mut redis| async move { command.query_async(&mut redis).await });
        self.explain(run.await).await
    }

    async fn run_script<T: FromRedisValue + Send>(&self, script: &ScriptInvocation<'_>) -> Result<T, JobsError> {
        let run = self.connection.run(|mut redis| async move { script.invoke_async(&mut redis).await });
        self.explain(run.await).await
    }

    /// Runs a script that works on jobs.
    async fn run_jobs_script<T: FromRedisValue + Send>(
        &self,
        script: &Script,
        arguments: &[impl ToRedisArgs + Sync],
    ) -> Result<T, JobsError> {
        let mut invocation = self.keys.jobs(script);
        for argument in arguments {
            invocation.arg(argument);
        }
        self.run_script(&invocation).await
    }

    /// Replaces the mark of a rebuild. Returns false if it is another.
    async fn advance(&self, rebuild: &Rebuild, mark: &str) -> Result<bool, JobsError> {
        let mut invocation = self.keys.mark(&self.scripts.advance);
        invocation.arg(&rebuild.token).arg(mark);
        self.run_script(&invocation).await
    }

    /// Finds the key that has the wrong type, which Redis does not name.
    async fn explain<T>(&self, outcome: Result<T, CommandError>) -> Result<T, JobsError> {
        if outcome.as_ref().is_err_and(CommandError::is_wrong_type) {
            self.check_keys().await?;
        }
        Ok(outcome?)
    }

    /// Fails if a key has another type, so that it cannot be ours.
    async fn check_keys(&self) -> Result<(), JobsError> {
        let keys = self.keys.types();
        let mut types = redis::pipe();
        for (key, _) in keys {
            types.cmd("TYPE").arg(key);
        }
        let types = &types;
        let found = self.connection.run(|mut redis| async move { types.query_async(&mut redis).await });
        let found: Vec<String> = found.await?;
        for ((key, expected), found) in keys.into_iter().zip(found) {
            if found != expected && found != "none" {
                return Err(JobsError::unusable(format!(
                    "the key {key} in Redis is a {found}, not a {expected}; use another database or delete the key"
                )));
            }
        }
        Ok(())
    }
}

#[async_trait]
impl DelayedJobs for RedisJobs {
    async fn schedule(&self, job: &Job) -> Result<(), JobsError> {
        let due = job.due.as_millis().to_string();
        self.run_jobs_script(&self.scripts.schedule, &[&job.id, &due, &job.payload]).await
    }

    async fn cancel(&self, id: &str) -> Result<(), JobsError> {
        self.run_jobs_script(&self.scripts.remove, &[id]).await
    }

    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError> {
        let arguments = [now.as_millis(), limit.min(BATCH) as i64, now.plus(lease).as_millis()];
        let values: Vec<Vec<u8>> = self.run_jobs_script(&self.scripts.claim, &arguments).await?;
        let mut jobs = Vec::with_capacity(values.len() / 3);
        for [id, due, payload] in values.as_chunks().0 {
            match job(id, due, payload) {
                Some(job) => jobs.push(job),
                None => {
                    error!(key = self.keys.claimable, id = %id.escape_ascii(), "dropped an invalid job");
                    let () = self.run_jobs_script(&self.scripts.remove, &[id]).await?;
                }
            }
        }
        jobs.sort_by_key(|job| job.due);
        Ok(jobs)
    }

    async fn done(&self, ids: &[String]) -> Result<(), JobsError> {
        for batch in ids.chunks(BATCH) {
            let () = self.run_jobs_script(&self.scripts.remove, batch).await?;
        }
        Ok(())
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError> {
        let first = Cmd::zrange_withscores(&self.keys.claimable, 0, 0);
        let earliest: Vec<(String, String)> = self.run_command(&first).await?;
        earliest.first().map(|(_, at)| time(at)).transpose()
    }

    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError> {
        self.run_command(&Cmd::zcount(&self.keys.due, "-inf", now.as_millis())).await
    }

    async fn is_complete(&self) -> Result<bool, JobsError> {
        let (key, owner) = (&self.keys.complete, &self.owner);
        match self.run_command::<Option<String>>(&Cmd::get(key)).await? {
            Some(other) if other != *owner && !other.starts_with(REBUILD) => Err(JobsError::unusable(format!(
                "the jobs in this Redis were made from the events of {other}, not of {owner}; if two systems use one \
                 Redis, give each its own database (redis://host/1); if the stream was replaced, set the key {key} to \
                 {owner}"
            ))),
            mark => Ok(mark.as_ref() == Some(owner)),
        }
    }

    async fn begin_rebuild(&self, now: Timestamp, lease: Duration) -> Result<Option<Rebuild>, JobsError> {
        let token = format!("{:016x}", rand::random::<u64>());
        let times = [now, now.plus(lease)].map(|time| time.as_millis().to_string());
        let mut invocation = self.keys.mark(&self.scripts.begin);
        invocation.arg(&token).arg(&times);
        let position: Option<String> = self.run_script(&invocation).await?;
        Ok(position.map(|position| Rebuild { token, position: position.parse().ok() }))
    }

    async fn record_progress(
        &self,
        rebuild: &Rebuild,
        position: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool, JobsError> {
        let token = &rebuild.token;
        let mark = format!("{REBUILD}{token}/{}/{position}", now.plus(lease).as_millis());
        self.advance(rebuild, &mark).await
    }

    async fn mark_complete(&self, rebuild: &Rebuild) -> Result<bool, JobsError> {
        self.advance(rebuild, &self.owner).await
    }

    async fn ping(&self) -> Result<(), JobsError> {
        self.run_command(&redis::cmd("PING")).await
    }
}

/// Reads a claimed job. `None` if it is not one that this program scheduled.
fn job(id: &[u8], due: &[u8], payload: &[u8]) -> Option<Job> {
    let [id, due, payload] = [id, due, payload].map(|value| str::from_utf8(value).ok());
    Some(Job { id: id?.to_owned(), due: time(due?).ok()?, payload: payload?.to_owned() })
}

/// Parses a time. Redis writes a score as an integer, or in scientific notation if it has many digits.
fn time(score: &str) -> Result<Timestamp, JobsError> {
    let millis = score.parse::<i64>().or_else(|_| score.parse::<f64>().map(|score| score as i64));
    let invalid = |source| JobsError::unusable(InvalidScore { score: score.to_owned(), source });
    millis.map(Timestamp::from_millis).map_err(invalid)
}

#[derive(Debug, thiserror::Error)]
#[error("the score {score:?} in Redis is not a time")]
struct InvalidScore {
    score: String,
    source: std::num::ParseFloatError,
}

#[cfg(test)]
mod tests {
    use common::error::chain;

    use super::*;

    #[tokio::test]
    async fn errors_never_quote_the_address() {
        for address in ["http://:secret@redis.example", "redis://:secret@redis.example/secret"] {
            let Err(error) = RedisJobs::connect(&address.into(), "test", "owner").await else {
                panic!("{address} was accepted")
            };
            assert!(!format!("{error:?} {}", chain(&error)).contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn scores_are_parsed_in_both_notations() {
        for (score, millis) in
            [("1769860800007", 1_769_860_800_007), ("0", 0), ("-5", -5), ("9e+18", 9_000_000_000_000_000_000)]
        {
            assert_eq!(time(score).unwrap(), Timestamp::from_millis(millis));
        }
        assert!(time("soon").is_err());
    }
}
