//! What every engine of the [`DelayedJobs`] port does. See [`crate::contract`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::Data;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job};

/// Makes the tests of one engine, in a module of its name: `jobs_contract!(sqlite, crate::sqlite::jobs)`.
#[macro_export]
macro_rules! jobs_contract {
    ($engine:ident, $fresh:path) => {
        mod $engine {
            use $crate::contract::jobs as suite;
            $crate::contract_tests! { $fresh;
                a_job_is_not_claimed_before_its_time
                a_job_comes_back_as_it_was_scheduled
                the_earliest_come_first_and_no_more_than_asked_for
                each_job_goes_to_one_of_many_claimers
                a_job_can_be_claimed_again_when_its_lease_ends
                one_of_many_gets_a_job_whose_lease_ended
                what_is_done_is_forgotten
                a_cancelled_job_is_not_claimed
                a_claimed_job_can_be_cancelled
                scheduling_again_changes_nothing
                what_is_done_can_be_scheduled_anew
                the_next_time_is_the_earliest_deadline_or_end_of_a_lease
                jobs_due_are_counted_until_they_are_done
                jobs_survive_reopening
                many_due_at_once_come_in_bounded_batches
                that_jobs_are_complete_is_remembered_once_said
            }
        }
    };
}

const LEASE: Duration = Duration::from_secs(30);

/// A new engine is not complete; one that was said to be is, also after reopening.
pub async fn that_jobs_are_complete_is_remembered_once_said(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    assert!(!jobs.is_complete().await.expect("an answer"));
    let (rebuild, joined) = (jobs.begin_rebuild().await.expect("a mark"), jobs.begin_rebuild().await.expect("a mark"));
    assert!(!jobs.is_complete().await.expect("an answer"));
    for mark in [rebuild, joined] {
        assert!(jobs.mark_complete(&mark).await.expect("mark"));
        assert!(jobs.is_complete().await.expect("an answer"));
    }
    drop(jobs);
    assert!(data.open().await.is_complete().await.expect("an answer"));
}

/// A job can be claimed from its time on.
pub async fn a_job_is_not_claimed_before_its_time(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, [""; 0]);
    schedule(&*jobs, "a", 1000).await;
    assert_eq!(claim(&*jobs, 999, 10).await, [""; 0]);
    assert_eq!(claim(&*jobs, 1000, 10).await, ["a"]);
}

/// Id, time and payload come back, whatever is in them.
pub async fn a_job_comes_back_as_it_was_scheduled(data: &dyn Data<dyn DelayedJobs>) {
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

/// The job that has been due for longest comes first.
pub async fn the_earliest_come_first_and_no_more_than_asked_for(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    for (id, due) in [("c", 300), ("a", 100), ("d", 400), ("b", 200)] {
        schedule(&*jobs, id, due).await;
    }
    assert_eq!(claim(&*jobs, 1000, 3).await, ["a", "b", "c"]);
    assert_eq!(claim(&*jobs, 1000, 3).await, ["d"]);
    assert_eq!(claim(&*jobs, 1000, 3).await, [""; 0]);
}

/// Twenty claimers share a thousand jobs; nobody gets another's.
pub async fn each_job_goes_to_one_of_many_claimers(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    let ids: Vec<String> = (0..1000).map(|number| format!("job {number}")).collect();
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
    let mut ids = ids;
    ids.sort();
    assert_eq!(claimed, ids);
}

/// A job that is not done when its lease ends goes to the next claimer.
pub async fn a_job_can_be_claimed_again_when_its_lease_ends(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    for began in [1000, 31_000, 61_000] {
        assert_eq!(claim(&*jobs, began, 10).await, ["a"]);
        assert_eq!(claim(&*jobs, began + 29_999, 10).await, [""; 0]);
    }
}

/// Also then it goes to one alone.
pub async fn one_of_many_gets_a_job_whose_lease_ended(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    for began in [1000, 31_000] {
        let claimed = join_all((0..20).map(|_| claim(&*jobs, began, 10))).await.concat();
        assert_eq!(claimed, ["a"]);
    }
}

/// A job that is done is not claimed again; saying so again, or of what is unknown, is harmless.
pub async fn what_is_done_is_forgotten(data: &dyn Data<dyn DelayedJobs>) {
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

/// A job that is cancelled before its time never comes; cancelling what is not there is harmless.
pub async fn a_cancelled_job_is_not_claimed(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    schedule(&*jobs, "b", 1000).await;
    for id in ["a", "a", "unknown"] {
        jobs.cancel(id).await.expect("cancel");
    }
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, ["b"]);
}

/// A job that is cancelled while claimed does not come back at the end of its lease.
pub async fn a_claimed_job_can_be_cancelled(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    assert_eq!(claim(&*jobs, 1000, 10).await, ["a"]);
    jobs.cancel("a").await.expect("cancel");
    assert_eq!(claim(&*jobs, 1_000_000, 10).await, [""; 0]);
    assert_eq!(jobs.next_due().await.expect("next"), None);
    jobs.done(&["a".into()]).await.expect("done");
}

/// Scheduling a job that is there, claimed or not, moves neither its time nor its lease, and keeps its payload.
pub async fn scheduling_again_changes_nothing(data: &dyn Data<dyn DelayedJobs>) {
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

/// An id is free again once its job is done.
pub async fn what_is_done_can_be_scheduled_anew(data: &dyn Data<dyn DelayedJobs>) {
    let jobs = data.open().await;
    schedule(&*jobs, "a", 1000).await;
    claim(&*jobs, 1000, 10).await;
    jobs.done(&["a".into()]).await.expect("done");
    schedule(&*jobs, "a", 2000).await;
    assert_eq!(claim(&*jobs, 1999, 10).await, [""; 0]);
    assert_eq!(claim(&*jobs, 2000, 10).await, ["a"]);
}

/// A worker that sleeps until `next_due` finds something to claim then, and misses nothing before.
pub async fn the_next_time_is_the_earliest_deadline_or_end_of_a_lease(data: &dyn Data<dyn DelayedJobs>) {
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

/// What is claimed is still due until it is done.
pub async fn jobs_due_are_counted_until_they_are_done(data: &dyn Data<dyn DelayedJobs>) {
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

/// Jobs, claims and their leases, and what was forgotten: all as before.
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
    jobs.ping().await.expect("an answer");
}

/// Twenty thousand at one instant come out in the batches asked for, each once.
pub async fn many_due_at_once_come_in_bounded_batches(data: &dyn Data<dyn DelayedJobs>) {
    const MANY: usize = 20_000;
    let jobs = data.open().await;
    let ids: Vec<String> = (0..MANY).map(|number| format!("{number:024x}")).collect();
    for some in ids.chunks(1000) {
        join_all(some.iter().map(|id| schedule(&*jobs, id, 1000))).await;
    }
    assert_eq!(jobs.count_due(at(1000)).await.expect("count"), MANY as u64);
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

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn schedule(jobs: &dyn DelayedJobs, id: &str, due: i64) {
    let job = Job { id: id.to_owned(), due: at(due), payload: format!("payload of {id}") };
    jobs.schedule(&job).await.expect("schedule");
}

/// The ids of the jobs claimed at `now`, for half a minute.
async fn claim(jobs: &dyn DelayedJobs, now: i64, limit: usize) -> Vec<String> {
    jobs.claim(at(now), limit, LEASE).await.expect("claim").into_iter().map(|job| job.id).collect()
}
