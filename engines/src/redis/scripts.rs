//! The Lua scripts, each of which Redis runs atomically.
//!
//! They are our own because no crate offers delayed jobs with leases, with the time as an argument, and with a bound on
//! the work of one script.

use redis::{Script, ScriptInvocation};

/// The most jobs that one script handles. Redis runs nothing else meanwhile, and Lua's `unpack` is limited to about
/// 8,000 values.
pub(super) const BATCH: usize = 1000;

/// Arguments: id, deadline, payload. Adds the job to `claimable` last: only a job that is there counts as scheduled, so
/// repeating an interrupted script completes it.
const SCHEDULE: &str = "
    if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return end
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[3])
    redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])";

/// Arguments: now, the maximum number of jobs, the end of the lease. Returns each job as three values: id, deadline,
/// payload. Reads before it writes, so that a failed read leaves no leases behind.
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

/// Arguments: ids.
const REMOVE: &str = "
    redis.call('ZREM', KEYS[1], unpack(ARGV))
    redis.call('ZREM', KEYS[2], unpack(ARGV))
    redis.call('HDEL', KEYS[3], unpack(ARGV))";

/// Key: the mark. Arguments: a new token, now, the end of the lease. Returns the position that an earlier rebuild has
/// reached, empty if none; or nil if the jobs are complete, or the lease of another rebuild has not ended.
const BEGIN: &str = "
    local found, position = redis.call('GET', KEYS[1]), ''
    if found then
        if string.sub(found, 1, 8) ~= 'rebuild/' then return nil end
        local lease, reached = string.match(found, '^rebuild/%w+/(%d+)/(%d*)$')
        if lease and tonumber(lease) > tonumber(ARGV[2]) then return nil end
        position = reached or ''
    end
    redis.call('SET', KEYS[1], 'rebuild/' .. ARGV[1] .. '/' .. ARGV[3] .. '/' .. position)
    return position";

/// Key: the mark. Arguments: the token of a rebuild, the new mark. Returns whether the mark is that of the rebuild, or
/// the new one already.
const ADVANCE: &str = "
    local found, ours = redis.call('GET', KEYS[1]) or '', 'rebuild/' .. ARGV[1] .. '/'
    if string.sub(found, 1, #ours) == ours then
        redis.call('SET', KEYS[1], ARGV[2])
        return true
    end
    return found == ARGV[2]";

/// The keys of one set of jobs.
pub(super) struct Keys {
    /// Ids by the time at which they can be claimed.
    pub(super) claimable: String,
    /// Ids by deadline.
    pub(super) due: String,
    /// Payloads by id.
    pub(super) payloads: String,
    /// The mark: the owner of the jobs, or `rebuild/<token>/<end of its lease>/<position reached>`.
    pub(super) complete: String,
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            claimable: format!("{prefix}:claimable"),
            due: format!("{prefix}:due"),
            payloads: format!("{prefix}:payloads"),
            complete: format!("{prefix}:complete"),
        }
    }

    /// The keys with the types that they must have.
    pub(super) fn types(&self) -> [(&str, &'static str); 4] {
        let Self { claimable, due, payloads, complete } = self;
        [(claimable, "zset"), (due, "zset"), (payloads, "hash"), (complete, "string")]
    }

    /// A call of a script that works on the mark.
    pub(super) fn mark<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        script.key(&self.complete)
    }

    /// A call of a script that works on jobs.
    pub(super) fn jobs<'a>(&self, script: &'a Script) -> ScriptInvocation<'a> {
        let mut invocation = script.prepare_invoke();
        invocation.key(&self.claimable).key(&self.due).key(&self.payloads);
        invocation
    }
}

/// The scripts, hashed once.
pub(super) struct Scripts {
    pub(super) schedule: Script,
    pub(super) claim: Script,
    pub(super) remove: Script,
    pub(super) begin: Script,
    pub(super) advance: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        let [schedule, claim, remove] = [SCHEDULE, CLAIM, REMOVE].map(Script::new);
        let [begin, advance] = [BEGIN, ADVANCE].map(Script::new);
        Self { schedule, claim, remove, begin, advance }
    }
}
