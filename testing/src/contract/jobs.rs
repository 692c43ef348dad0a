//! The contract of the [`DelayedJobs`] port.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job, Rebuild};
use futures_util::future::join_all;
use tokio::task::JoinSet;

use crate::contract::harness::Data;

/// Makes the tests of one engine: `jobs_contract!(sqlite, crate::sqlite::jobs)`.
#[macro_export]
macro_rules! jobs_contract {
    ($engine:ident, $fresh:path) => {
        $crate::contract_tests! { $engine, $fresh;
            $crate::contract::jobs {
                a_job_cannot_be_claimed_before_it_is_due
                a_claimed_job_is_unchanged
                the_earliest_jobs_come_first_up_to_the_limit
                each_job_goes_to_one_of_many_claimers
                a_job_can_be_claimed_again_when_its_lease_ends
                one_of_many_claimers_gets_a_job_whose_lease_ended
                a_finished_job_is_not_claimed_again
                a_cancelled_job_is_not_claimed
                a_claimed_job_can_be_cancelled
                scheduling_a_job_again_changes_nothing
                a_finished_job_can_be_scheduled_again
                next_due_is_the_earliest_due_time_or_lease_end
                due_jobs_are_counted_until_they_are_done
                jobs_survive_reopening
                many_jobs_due_at_once_come_in_bounded_batches
                completeness_survives_reopening
                one_of_many_workers_rebuilds_while_its_lease_lasts
                an_interrupted_rebuild_is_continued_by_another_worker
            }
        }
    };
}

const LEASE: Duration = Duration::from_secs(30);

/// A job can be claimed from its due time on.
pub async fn a_job_cannot_be_claimed_before_it_is_due(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, [""; 0]);
    schedule(&*jobs, "a", 1000).await;
    assert_eq!(claim(&*jobs, 999, 10).await, [""; 0]);
    assert_eq!(claim(&*jobs, 1000, 10).await, ["a"]);
}

/// Id, due time and payload come back unchanged, whatever characters they contain.
pub async fn a_claimed_job_is_unchanged(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    let scheduled = [
        Job { id: "65c0ffee65c0ffee65c0ffee".into(), due: at(1_769_860_800_007), payload: "é \"\\\n🎭".repeat(100) },
        Job { id: "with spaces:and/signs".into(), due: at(1_769_860_800_008), payload: String::new() },
    ];
    for job in &scheduled {
        jobs.schedule(job).await.expect("schedule");
    }
    assert_eq!(jobs.claim(at(1_769_860_800_008), 10, LEASE).await.expect("claim"), scheduled);
}

/// The job that has been due longest comes first.
pub async fn the_earliest_jobs_come_first_up_to_the_limit(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    for (id, due) in [("c", 300), ("a", 100), ("d", 400), ("b", 200)] {
        schedule(&*jobs, id, due).await;
    }
    assert_eq!(claim(&*jobs, 1000, 3).await, ["a", "b", "c"]);
    assert_eq!(claim(&*jobs, 1000, 3).await, ["d"]);
    assert_eq!(claim(&*jobs, 1000, 3).await, [""; 0]);
}

/// Twenty concurrent claimers share a thousand jobs without getting any twice.
pub async fn each_job_goes_to_one_of_many_claimers(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    let mut ids: Vec<String> = (0..1000).map(|number| format!("job {number}")).collect();
    join_all(ids.iter().map(|id| schedule(&*jobs, id, 1000))).await;
    let mut claimers = JoinSet::new();
    for _ in 0..20 {
        let jobs = jobs.clone();
        claimers.spawn(async move {
            let mut claimed = Vec::new();
            loop {
                let batch = claim(&*jobs, 1000, 7).await;
                if batch.is_empty() {
                    return claimed;
                }
                claimed.extend(batch);
            }
        });
    }
    let mut claimed = claimers.join_all().await.concat();
    claimed.sort();
    ids.sort();
    assert_eq!(claimed, ids);
}

/// A job that is not done when its lease ends can be claimed again.
pub async fn a_job_can_be_claimed_again_when_its_lease_ends(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    for began in [1000, 31_000, 61_000] {
        assert_eq!(claim(&*jobs, began, 10).await, ["a"]);
        assert_eq!(claim(&*jobs, began + 29_999, 10).await, [""; 0]);
    }
}

/// A job whose lease has ended goes to one of twenty concurrent claimers.
pub async fn one_of_many_claimers_gets_a_job_whose_lease_ended(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    for began in [1000, 31_000] {
        let claimed = join_all((0..20).map(|_| claim(&*jobs, began, 10))).await.concat();
        assert_eq!(claimed, ["a"]);
    }
}

/// A finished job is not claimed again. `done` is idempotent and ignores unknown ids.
pub async fn a_finished_job_is_not_claimed_again(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    for id in ["a", "b", "c"] {
        schedule(&*jobs, id, 1000).await;
    }
    claim(&*jobs, 1000, 10).await;
    for _ in 0..2 {
        jobs.done(&["a".into(), "c".into(), "unknown".into()]).await.expect("done");
    }
    jobs.done(&[]).await.expect("done");
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, ["b"]);
}

/// A job cancelled before it is due is never claimed. `cancel` is idempotent and ignores unknown ids.
pub async fn a_cancelled_job_is_not_claimed(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    schedule(&*jobs, "b", 1000).await;
    for id in ["a", "a", "unknown"] {
        jobs.cancel(id).await.expect("cancel");
    }
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, ["b"]);
}

/// A job cancelled while it is claimed does not come back when its lease ends.
pub async fn a_claimed_job_can_be_cancelled(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    assert_eq!(claim(&*jobs, 1000, 10).await, ["a"]);
    jobs.cancel("a").await.expect("cancel");
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, [""; 0]);
    assert_eq!(jobs.next_due().await.expect("next"), None);
    jobs.done(&["a".into()]).await.expect("done");
}

/// Scheduling an existing job, claimed or not, changes neither its due time nor its lease nor its payload.
pub async fn scheduling_a_job_again_changes_nothing(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    for due in [500, 5000] {
        jobs.schedule(&Job { id: "a".into(), due: at(due), payload: "other".into() }).await.expect("schedule");
    }
    assert_eq!(claim(&*jobs, 999, 10).await, [""; 0]);
    let first = jobs.claim(at(1000), 10, LEASE).await.expect("claim");
    assert_eq!(first, [Job { id: "a".into(), due: at(1000), payload: "payload of a".into() }]);

    schedule(&*jobs, "a", 1000).await;
    assert_eq!(claim(&*jobs, 30_999, 10).await, [""; 0]);
    assert_eq!(jobs.claim(at(31_000), 10, LEASE).await.expect("claim"), first);
}

/// The id of a finished job can be reused.
pub async fn a_finished_job_can_be_scheduled_again(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    claim(&*jobs, 1000, 10).await;
    jobs.done(&["a".into()]).await.expect("done");
    schedule(&*jobs, "a", 2000).await;
    assert_eq!(claim(&*jobs, 1999, 10).await, [""; 0]);
    assert_eq!(claim(&*jobs, 2000, 10).await, ["a"]);
}

/// A worker that sleeps until `next_due` finds a job to claim then and misses none before.
pub async fn next_due_is_the_earliest_due_time_or_lease_end(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    assert_eq!(jobs.next_due().await.expect("next"), None);
    schedule(&*jobs, "late", 40_000).await;
    schedule(&*jobs, "early", 1000).await;
    assert_eq!(jobs.next_due().await.expect("next"), Some(at(1000)));
    assert_eq!(claim(&*jobs, 2000, 10).await, ["early"]);
    assert_eq!(jobs.next_due().await.expect("next"), Some(at(32_000)));
    jobs.done(&["early".into()]).await.expect("done");
    assert_eq!(jobs.next_due().await.expect("next"), Some(at(40_000)));
    assert_eq!(claim(&*jobs, 40_000, 10).await, ["late"]);
    assert_eq!(jobs.next_due().await.expect("next"), Some(at(70_000)));
}

/// A claimed job counts as due until it is done.
pub async fn due_jobs_are_counted_until_they_are_done(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    for (id, due) in [("a", 1000), ("b", 1000), ("c", 2000)] {
        schedule(&*jobs, id, due).await;
    }
    let count = async |now| jobs.count_due(at(now)).await.expect("count");
    assert_eq!((count(999).await, count(1000).await, count(2000).await), (0, 2, 3));
    assert_eq!(claim(&*jobs, 1000, 1).await.len(), 1);
    assert_eq!(count(1000).await, 2);
    jobs.done(&["a".into(), "b".into()]).await.expect("done");
    assert_eq!((count(1000).await, count(2000).await), (0, 1));
}

/// Jobs, claims and their leases survive a restart of the engine, and finished jobs do not come back.
pub async fn jobs_survive_reopening(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    for (id, due) in [("claimed", 1000), ("done", 1000), ("cancelled", 1000), ("waiting", 2000)] {
        schedule(&*jobs, id, due).await;
    }
    assert_eq!(claim(&*jobs, 1000, 10).await.len(), 3);
    jobs.done(&["done".into()]).await.expect("done");
    jobs.cancel("cancelled").await.expect("cancel");
    drop(jobs);

    let jobs = data.open().await;
    assert_eq!(jobs.next_due().await.expect("next"), Some(at(2000)));
    assert_eq!(claim(&*jobs, 2000, 10).await, ["waiting"]);
    assert_eq!(claim(&*jobs, 31_000, 10).await, ["claimed"]);
    assert_eq!(claim(&*jobs, 1_000_000, 1).await.len(), 1);
    assert_eq!(jobs.count_due(at(1_000_000)).await.expect("count"), 2);
    jobs.ping().await.expect("ping");
}

/// Twenty thousand jobs due at the same time come in batches of bounded size, each job once.
pub async fn many_jobs_due_at_once_come_in_bounded_batches(data: &dyn Data<dyn DelayedJobs>) {
    const JOBS: usize = 20_000;
    let jobs = data.open().await;
    let ids: Vec<String> = (0..JOBS).map(|number| format!("{number:024x}")).collect();
    for chunk in ids.chunks(1000) {
        join_all(chunk.iter().map(|id| schedule(&*jobs, id, 1000))).await;
    }
    assert_eq!(jobs.count_due(at(1000)).await.expect("count"), JOBS as u64);
    let mut seen: HashMap<String, u32> = HashMap::new();
    loop {
        let batch = claim(&*jobs, 1000, 500).await;
        if batch.is_empty() {
            break;
        }
        assert!(batch.len() <= 500);
        jobs.done(&batch).await.expect("done");
        for id in batch {
            *seen.entry(id).or_default() += 1;
        }
    }
    assert!(seen.values().all(|times| *times == 1));
    assert_eq!(seen.into_keys().collect::<HashSet<_>>(), ids.into_iter().collect());
    assert_eq!(jobs.next_due().await.expect("next"), None);
}

/// New jobs are incomplete until a rebuild marks them complete, which survives a restart of the engine.
pub async fn completeness_survives_reopening(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    assert!(!jobs.is_complete().await.expect("is_complete"));
    let rebuild = begin(&*jobs, 0).await.expect("a rebuild");
    assert_eq!(rebuild.position, None);
    assert!(!jobs.is_complete().await.expect("is_complete"));
    for _ in 0..2 {
        assert!(jobs.mark_complete(&rebuild).await.expect("mark_complete"));
        assert!(jobs.is_complete().await.expect("is_complete"));
    }
    drop(jobs);
    let jobs = data.open().await;
    assert!(jobs.is_complete().await.expect("is_complete"));
    assert_eq!(begin(&*jobs, 1_000_000).await, None);
}

/// One of many workers rebuilds. Each progress begins its lease again.
pub async fn one_of_many_workers_rebuilds_while_its_lease_lasts(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    let begun = join_all((0..20).map(|_| begin(&*jobs, 1000))).await;
    let [rebuild] = &begun.into_iter().flatten().collect::<Vec<_>>()[..] else { panic!("not one rebuild") };
    assert_eq!(begin(&*jobs, 30_999).await, None);
    assert!(progress(&*jobs, rebuild, 7, 20_000).await);
    assert_eq!(begin(&*jobs, 49_999).await, None);
    assert!(begin(&*jobs, 50_000).await.is_some());
}

/// An interrupted rebuild is continued at its position, also after a restart. Its first worker must stop then.
pub async fn an_interrupted_rebuild_is_continued_by_another_worker(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    let first = begin(&*jobs, 0).await.expect("a rebuild");
    assert!(progress(&*jobs, &first, 5, 0).await);
    assert!(progress(&*jobs, &first, 1 << 40, 0).await);
    drop(jobs);

    let jobs = data.open().await;
    let second = begin(&*jobs, 30_000).await.expect("a rebuild");
    assert_eq!(second.position, Some(1 << 40));
    assert!(!progress(&*jobs, &first, 6, 30_000).await);
    assert!(!jobs.mark_complete(&first).await.expect("mark_complete"));
    assert!(!jobs.is_complete().await.expect("is_complete"));
    assert!(progress(&*jobs, &second, (1 << 40) + 1, 30_000).await);
    assert!(jobs.mark_complete(&second).await.expect("mark_complete"));
}

async fn begin(jobs: &dyn DelayedJobs, now: i64) -> Option<Rebuild> {
    jobs.begin_rebuild(at(now), LEASE).await.expect("begin_rebuild")
}

async fn progress(jobs: &dyn DelayedJobs, rebuild: &Rebuild, position: u64, now: i64) -> bool {
    jobs.record_progress(rebuild, position, at(now), LEASE).await.expect("record_progress")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn schedule(jobs: &dyn DelayedJobs, id: &str, due: i64) {
    let job = Job { id: id.to_owned(), due: at(due), payload: format!("payload of {id}") };
    jobs.schedule(&job).await.expect("schedule");
}

/// Claims jobs at `now` and returns their ids.
async fn claim(jobs: &dyn DelayedJobs, now: i64, limit: usize) -> Vec<String> {
    jobs.claim(at(now), limit, LEASE).await.expect("claim").into_iter().map(|job| job.id).collect()
}
