//! Group commit: concurrent writes share a transaction, but a failed one does not affect the others.

use std::sync::mpsc;

use common::error::chain;
use engines::sqlite::SqliteFile;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tempfile::TempDir;
use testing::soon;
use tokio::sync::oneshot;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY) STRICT";

fn numbers(file: &SqliteFile) -> Vec<i64> {
    let read = file.read(|db| db.prepare("SELECT number FROM numbers")?.query_map([], |row| row.get(0))?.collect());
    read.expect("rows")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_failed_write_does_not_affect_others_in_its_group() {
    let directory = TempDir::new().unwrap();
    let file = SqliteFile::open(&directory.path().join("test.db"), SCHEMA).unwrap();
    // While the first write blocks the writer, the others queue up and become one group.
    let (begun, has_begun) = oneshot::channel();
    let (release, blocked) = mpsc::channel::<()>();
    let mut begun = Some(begun);
    let busy = tokio::spawn({
        let file = file.clone();
        async move {
            let change = move |_: &rusqlite::Connection| {
                begun.take().map(|begun| begun.send(()));
                let _released = blocked.recv();
                Ok(())
            };
            file.write(change).await
        }
    });
    has_begun.await.unwrap();

    let writes = join_all((0..100).map(|number| {
        file.write(move |db| {
            db.execute("INSERT INTO numbers VALUES (?1)", [number])?;
            // Fails after its insert, which must be rolled back too.
            if number % 10 == 7 { db.execute("INSERT INTO absent VALUES (1)", []) } else { Ok(0) }
        })
    }));
    let release = async move { drop(release) };
    let (outcomes, ()) = soon("the writes", async { tokio::join!(writes, release) }).await;
    busy.await.unwrap().unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number % 10 == 7, "{number}: {outcome:?}");
    }
    let error = chain(outcomes[7].as_ref().unwrap_err());
    assert!(error.contains("test.db") && error.contains("no such table: absent"), "{error}");
    assert_eq!(numbers(&file), (0..100).filter(|number| number % 10 != 7).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_commits_even_if_its_caller_is_cancelled() {
    let directory = TempDir::new().unwrap();
    let file = SqliteFile::open(&directory.path().join("test.db"), SCHEMA).unwrap();
    let insert = |number: i64| file.write(move |db| db.execute("INSERT INTO numbers VALUES (?1)", [number]));
    let mut cancelled = Box::pin(insert(1));
    assert!(futures_util::poll!(cancelled.as_mut()).is_pending() || !numbers(&file).is_empty());
    drop(cancelled);
    insert(2).await.unwrap();
    assert_eq!(numbers(&file), [1, 2]);
}

/// The writer never pauses by itself, and SQLite alone cannot begin the log again while it writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_log_stays_small_under_constant_writes_and_reads() {
    const WRITES: i64 = 3000;
    let directory = TempDir::new().unwrap();
    let schema = "CREATE TABLE IF NOT EXISTS blobs (number INTEGER PRIMARY KEY, data BLOB) STRICT";
    let file = SqliteFile::open(&directory.path().join("test.db"), schema).unwrap();
    let insert = |number: i64| {
        let replace = "REPLACE INTO blobs VALUES (?1, zeroblob(100000))";
        file.write(move |db| db.execute(replace, [number % 100]))
    };
    let count = "SELECT count(*), sum(length(data)) FROM blobs";
    let (file, directory, insert) = (&file, &directory, &insert);
    let sizes = stream::iter(0..WRITES).map(|number| async move {
        insert(number).await.unwrap();
        file.read(|db| db.query_row(count, [], |row| row.get::<_, i64>(0))).unwrap();
        std::fs::metadata(directory.path().join("test.db-wal")).unwrap().len()
    });
    let sizes: Vec<u64> = soon("the writes", sizes.buffer_unordered(16).collect()).await;
    // 300 MB have been written.
    let largest = sizes.into_iter().max().unwrap() >> 20;
    assert!(largest < 100, "the log has grown to {largest} MB");
}

#[tokio::test]
async fn an_error_opening_a_file_names_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing").join("test.db");
    let error = SqliteFile::open(&path, SCHEMA).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
}

#[tokio::test]
async fn a_tool_opens_only_an_existing_file_and_cannot_write_to_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("test.db");
    assert!(SqliteFile::open_read_only(&path).is_err());
    assert!(!path.exists());
    let insert = |db: &rusqlite::Connection| db.execute("INSERT INTO numbers VALUES (1)", []);
    let file = SqliteFile::open(&path, SCHEMA).unwrap();
    file.write(insert).await.unwrap();
    let tool = SqliteFile::open_read_only(&path).unwrap();
    let error = chain(&tool.write(insert).await.unwrap_err());
    assert!(error.contains("readonly"), "{error}");
    assert_eq!(numbers(&tool), [1]);
}
