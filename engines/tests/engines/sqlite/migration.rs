//! Files that an earlier version of the program has made.

use common::clock::Timestamp;
use common::store::Store;
use engines::sqlite::SqliteStore;
use rusqlite::Connection;
use tempfile::TempDir;
use testing::contract::store::SCHEMAS;

#[tokio::test]
async fn a_file_without_times_of_writing_is_opened_and_keeps_its_documents() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("test.db");
    let before = "CREATE TABLE shows (id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL)
                  STRICT, WITHOUT ROWID;
                  INSERT INTO shows VALUES ('697df700c0ffee0000000001', 3, '{}');";
    Connection::open(&path).unwrap().execute_batch(before).unwrap();
    let store = SqliteStore::open(&path, SCHEMAS).unwrap();
    let shows = store.scan(SCHEMAS[0], None, 10).await.unwrap();
    let found: Vec<_> = shows.iter().map(|(document, at)| (document.version, *at)).collect();
    assert_eq!(found, [(3, Timestamp::from_millis(0))]);
}
