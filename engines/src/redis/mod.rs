//! Delayed jobs on Redis: three keys, changed by scripts, each of which Redis runs whole and by itself.
//!
//! `<prefix>:claimable` orders the jobs by when they may be claimed, `<prefix>:due` by their deadline, and
//! `<prefix>:payloads` holds what they carry. A claim moves a job to the end of its lease in the first of them, so what
//! a dead worker held comes up again like anything else.
//!
//! Redis must write an append-only file (`appendonly yes`) and must not evict (`maxmemory-policy noeviction`, the
//! default). It then loses nothing when it is killed, and at most the last second in a power failure. Should it lose
//! everything, [`DelayedJobs::is_complete`] tells.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job, JobsError};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, FromRedisValue, RedisError, RedisResult, Script, ToRedisArgs};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};
use tracing::error;

/// How long Redis may be silent while it is asked something. Below the two seconds in which a request has to fail.
const ANSWER: Duration = Duration::from_millis(1500);

/// Jobs that one script touches. Redis runs nothing else meanwhile, and can not unpack more than some 8,000 values.
const BATCH: usize = 1000;

/// `claimable` last: it tells whether the job is there, so that what broke off in between is done again.
const SCHEDULE: &str = "
    if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return end
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])";

/// Reads everything before it writes: if a read fails, nobody holds a lease without knowing. A job returns as three
/// values: id, deadline, payload.
const CLAIM: &str = "
    local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
    if #ids == 0 then return {} end
    local dues = redis.call('ZMSCORE', KEYS[2], unpack(ids))
    local payloads = redis.call('HMGET', KEYS[3], unpack(ids))
    local jobs, leases = {}, {}
    for i, id in ipairs(ids) do
        jobs[3 * i - 2], jobs[3 * i - 1], jobs[3 * i] = id, dues[i] or ARGV[1], payloads[i] or ''
        leases[2 * i - 1], leases[2 * i] = ARGV[3], id
    end
    redis.call('ZADD', KEYS[1], unpack(leases))
    return jobs";

const FORGET: &str = "
    redis.call('ZREM', KEYS[1], unpack(ARGV))
    redis.call('ZREM', KEYS[2], unpack(ARGV))
    redis.call('HDEL', KEYS[3], unpack(ARGV))";

/// Puts the owner in the place of the rebuild that has ended, if that is still there.
const COMPLETE: &str = "
    local found = redis.call('GET', KEYS[1])
    if found == ARGV[1] then redis.call('SET', KEYS[1], ARGV[2]) end
    return found == ARGV[1] or found == ARGV[2]";

/// What the mark of a rebuild begins with.
const REBUILD: &str = "rebuild/";

/// Delayed jobs on a Redis server.
pub struct RedisJobs {
    client: Client,
    connection: Mutex<Connection>,
    keys: Keys,
    owner: String,
    schedule: Script,
    claim: Script,
    forget: Script,
}

struct Connection {
    redis: ConnectionManager,
    /// When it last answered. Of many commands at once the last is answered late, by a server that is well.
    answered: Instant,
}

struct Keys {
    claimable: String,
    due: String,
    payloads: String,
    complete: String,
}

impl RedisJobs {
    /// Connects to `address`: `host`, `host:port`, or `redis://user:password@host:port/database` and the same with
    /// `rediss` for TLS. All keys begin with `prefix` and a colon. `owner` names the events that the jobs are made from.
    ///
    /// Fails when Redis can not be reached, and when a key is there that is something else or somebody else's.
    pub async fn connect(address: &SecretString, prefix: &str, owner: &str) -> Result<Self, JobsError> {
        // For `rediss://`. Another part of the program may have been first.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        // Says nothing of the address itself: it may hold a password.
        let malformed =
            |_| JobsError::unusable("the address of Redis is not like host, host:6379 or redis://host:6379");
        let client = Client::open(url(address.expose_secret())).map_err(malformed)?;
        let connection = Mutex::new(Connection { redis: manager(&client)?, answered: Instant::now() });
        let keys = Keys {
            claimable: format!("{prefix}:claimable"),
            due: format!("{prefix}:due"),
            payloads: format!("{prefix}:payloads"),
            complete: format!("{prefix}:complete"),
        };
        let [schedule, claim, forget] = [SCHEDULE, CLAIM, FORGET].map(Script::new);
        let jobs = Self { client, connection, keys, owner: owner.to_owned(), schedule, claim, forget };
        jobs.check_keys().await?;
        jobs.is_complete().await?;
        Ok(jobs)
    }

    /// Does what `command` says, and once more when the connection turns out to be lost: its end may be noticed only
    /// when it is used.
    async fn run<T, F>(&self, command: impl Fn(ConnectionManager) -> F) -> Result<T, JobsError>
    where
        F: Future<Output = RedisResult<T>> + Send,
    {
        let redis = self.connection().redis.clone();
        let attempts = async {
            match command(redis.clone()).await {
                Err(error) if error.is_io_error() => command(redis).await,
                outcome => outcome,
            }
        };
        let mut attempts = pin!(attempts);
        let began = Instant::now();
        loop {
            let silent_at = self.connection().answered.max(began) + ANSWER;
            match timeout_at(silent_at, &mut attempts).await {
                Ok(Err(error)) if is_wrong_type(&error) => {
                    // Redis does not say which key.
                    Box::pin(self.check_keys()).await?;
                    return Err(unavailable(error));
                }
                Ok(Err(error)) if is_read_only(&error) => {
                    // Another server is the primary now. Made anew, the connection finds it.
                    self.connection().redis = manager(&self.client)?;
                    return Err(unavailable(error));
                }
                Ok(outcome) => {
                    if !outcome.as_ref().is_err_and(RedisError::is_io_error) {
                        self.connection().answered = Instant::now();
                    }
                    return outcome.map_err(unavailable);
                }
                Err(_elapsed) => {
                    let mut connection = self.connection();
                    if connection.answered.max(began).elapsed() >= ANSWER {
                        // Whatever becomes of this connection, the next command does not wait for it.
                        connection.redis = manager(&self.client)?;
                        return Err(JobsError::unavailable("Redis does not respond"));
                    }
                }
            }
        }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run_command<T: FromRedisValue + Send>(&self, command: &Cmd) -> Result<T, JobsError> {
        self.run(|mut redis| async move { command.query_async(&mut redis).await }).await
    }

    async fn run_script<T: FromRedisValue + Send>(
        &self,
        script: &Script,
        arguments: &[impl ToRedisArgs + Sync],
    ) -> Result<T, JobsError> {
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.keys.claimable).key(&self.keys.due).key(&self.keys.payloads);
        for argument in arguments {
            invocation.arg(argument);
        }
        let invocation = &invocation;
        self.run(|mut redis| async move { invocation.invoke_async(&mut redis).await }).await
    }

    /// Looks for a key of ours that somebody else uses.
    async fn check_keys(&self) -> Result<(), JobsError> {
        let Keys { claimable, due, payloads, complete } = &self.keys;
        let keys = [(claimable, "zset"), (due, "zset"), (payloads, "hash"), (complete, "string")];
        let mut types = redis::pipe();
        for (key, _) in keys {
            types.cmd("TYPE").arg(key);
        }
        let types = &types;
        let found: Vec<String> = self.run(|mut redis| async move { types.query_async(&mut redis).await }).await?;
        for ((key, expected), found) in keys.into_iter().zip(found) {
            if found != expected && found != "none" {
                return Err(JobsError::unusable(format!(
                    "the key {key} of Redis is a {found}, where a {expected} is needed"
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
        self.run_script(&self.schedule, &[&job.id, &due, &job.payload]).await
    }

    async fn cancel(&self, id: &str) -> Result<(), JobsError> {
        self.run_script(&self.forget, &[id]).await
    }

    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError> {
        let arguments = [now.as_millis(), limit.min(BATCH) as i64, now.plus(lease).as_millis()];
        let values: Vec<Vec<u8>> = self.run_script(&self.claim, &arguments).await?;
        let mut jobs = Vec::with_capacity(values.len() / 3);
        for [id, due, payload] in values.as_chunks().0 {
            match job(id, due, payload) {
                Some(job) => jobs.push(job),
                None => {
                    error!(prefix = self.keys.due, id = %id.escape_ascii(), "a job that is not ours; dropped");
                    let () = self.run_script(&self.forget, &[id]).await?;
                }
            }
        }
        jobs.sort_by_key(|job| job.due);
        Ok(jobs)
    }

    async fn done(&self, ids: &[String]) -> Result<(), JobsError> {
        for some in ids.chunks(BATCH) {
            let () = self.run_script(&self.forget, some).await?;
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
                "those in this Redis were made from the events {other}, and ours are {owner}: either two systems use one \
                 Redis, and one needs a database of its own (redis://host/1); or the stream was replaced, and the key {key} \
                 should be set to {owner}"
            ))),
            mark => Ok(mark.as_ref() == Some(owner)),
        }
    }

    async fn begin_rebuild(&self) -> Result<String, JobsError> {
        let mark = format!("{REBUILD}{:016x}", rand::random::<u64>());
        let _first: bool = self.run_command(&Cmd::set_nx(&self.keys.complete, &mark)).await?;
        Ok(self.run_command::<Option<String>>(&Cmd::get(&self.keys.complete)).await?.unwrap_or(mark))
    }

    async fn mark_complete(&self, rebuild: &str) -> Result<bool, JobsError> {
        let (script, key) = (Script::new(COMPLETE), &self.keys.complete);
        let mut invocation = script.key(key);
        invocation.arg(rebuild).arg(&self.owner);
        let invocation = &invocation;
        self.run(|mut redis| async move { invocation.invoke_async(&mut redis).await }).await
    }

    async fn ping(&self) -> Result<(), JobsError> {
        self.run_command(&redis::cmd("PING")).await
    }
}

/// A connection that is made when it is first used, and again after it was lost.
fn manager(client: &Client) -> Result<ConnectionManager, JobsError> {
    let config = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(ANSWER))
        // How long a command may take is for `RedisJobs::run` to say; and who asks again is the caller.
        .set_response_timeout(None)
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(client.clone(), config).map_err(unavailable)
}

fn url(address: &str) -> String {
    if address.contains("://") { address.to_owned() } else { format!("redis://{address}") }
}

/// A job as a claim returns it; `None` for what nobody scheduled.
fn job(id: &[u8], due: &[u8], payload: &[u8]) -> Option<Job> {
    let [id, due, payload] = [id, due, payload].map(|value| str::from_utf8(value).ok());
    Some(Job { id: id?.to_owned(), due: time(due?).ok()?, payload: payload?.to_owned() })
}

/// A time as Redis writes a score: an integer, or a number of many digits in scientific notation.
fn time(score: &str) -> Result<Timestamp, JobsError> {
    let millis = score.parse::<i64>().or_else(|_| score.parse::<f64>().map(|score| score as i64));
    let not_a_time = |_| JobsError::unusable(format!("Redis holds the time {score:?}, which is none"));
    millis.map(Timestamp::from_millis).map_err(not_a_time)
}

fn is_wrong_type(error: &RedisError) -> bool {
    error.to_string().contains("WRONGTYPE")
}

fn is_read_only(error: &RedisError) -> bool {
    // A script tells it in its own words.
    error.code() == Some("READONLY") || error.to_string().contains("READONLY")
}

fn unavailable(error: RedisError) -> JobsError {
    JobsError::unavailable(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_host_and_port_or_a_url() {
        for (address, expected) in [
            ("redis.example", "redis://redis.example"),
            ("redis.example:6380", "redis://redis.example:6380"),
            ("rediss://:secret@redis.example/1", "rediss://:secret@redis.example/1"),
        ] {
            assert_eq!(url(address), expected);
            assert!(Client::open(url(address)).is_ok());
        }
    }

    #[tokio::test]
    async fn a_malformed_address_is_not_repeated() {
        for address in ["http://:secret@redis.example", "redis://:secret@redis.example/secret"] {
            let Err(error) = RedisJobs::connect(&address.into(), "test", "owner").await else {
                panic!("{address} was taken")
            };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn times_are_read_as_redis_writes_them() {
        for (score, millis) in
            [("1769860800007", 1_769_860_800_007), ("0", 0), ("-5", -5), ("9e+18", 9_000_000_000_000_000_000)]
        {
            assert_eq!(time(score).unwrap(), Timestamp::from_millis(millis));
        }
        assert!(time("soon").is_err());
    }
}
