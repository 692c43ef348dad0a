//! What the embedded engines rely on: writes share commits and fail alone.

use std::sync::mpsc;

use engines::sqlite::SqliteFile;
use futures_util::future::join_all;
use tempfile::TempDir;
use testing::contract::soon;

const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY) STRICT";

fn numbers(file: &SqliteFile) -> Vec<i64> {
    let read = file.read(|db| db.prepare("SELECT number FROM numbers")?.query_map([], |row| row.get(0))?.collect());
    read.expect("rows")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_that_fails_in_a_group_fails_alone() {
    let directory = TempDir::new().unwrap();
    let file = SqliteFile::open(&directory.path().join("test.db"), SCHEMA).unwrap();
    // The writer is kept busy while the others queue up behind it, so that they become one group.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let mut begun = Some(begun);
    let busy = tokio::spawn({
        let file = file.clone();
        async move {
            let change = move |_: &rusqlite::Connection| {
                begun.take().map(|begun| begun.send(()));
                let _released = wait.recv();
                Ok(())
            };
            file.write(change).await
        }
    });
    has_begun.await.unwrap();

    let writes = join_all((0..100).map(|number| {
        file.write(move |db| {
            db.execute("INSERT INTO numbers VALUES (?1)", [number])?;
            // After its own insert: that must be undone too.
            if number % 10 == 7 { db.execute("INSERT INTO absent VALUES (1)", []) } else { Ok(0) }
        })
    }));
    let release = async { drop(go_on) };
    let (outcomes, ()) = soon("the writes", async { tokio::join!(writes, release) }).await;
    busy.await.unwrap().unwrap();
    for (number, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.is_err(), number % 10 == 7, "{number}: {outcome:?}");
    }
    let why = outcomes[7].as_ref().unwrap_err().to_string();
    assert!(why.contains("test.db") && why.contains("no such table: absent"), "{why}");
    assert_eq!(numbers(&file), (0..100).filter(|number| number % 10 != 7).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_write_whose_asker_went_away_stands() {
    let directory = TempDir::new().unwrap();
    let file = SqliteFile::open(&directory.path().join("test.db"), SCHEMA).unwrap();
    let insert = |number: i64| file.write(move |db| db.execute("INSERT INTO numbers VALUES (?1)", [number]));
    let mut given_up = Box::pin(insert(1));
    assert!(futures_util::poll!(given_up.as_mut()).is_pending() || !numbers(&file).is_empty());
    drop(given_up);
    insert(2).await.unwrap();
    assert_eq!(numbers(&file), [1, 2]);
}

#[tokio::test]
async fn a_file_that_can_not_be_opened_is_named() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing").join("test.db");
    let error = SqliteFile::open(&path, SCHEMA).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains(&*path.to_string_lossy()), "{error}");
}
