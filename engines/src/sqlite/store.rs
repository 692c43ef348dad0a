//! The store on SQLite: one table per collection and one for the outbox, in one file.
//!
//! Documents are JSON text, readable with any SQLite tool. Indexes are expressions over that text: no value is stored
//! in a second place, and a new index needs no data migration.

use std::path::Path;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::outbox::RELAY_SCHEMA;
use common::store::{
    Document, Expect, Find, Index, IndexKind, InvalidEntry, Outbox, Put, Schema, Store, StoreError, Unpublished,
};
use common::trace::TraceParent;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Error, ErrorCode, OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::columns::message;
use super::error::SqliteError;
use super::file::SqliteFile;
use super::migration::{self, add_column};

const CREATE_OUTBOX: &str = "
    CREATE TABLE IF NOT EXISTS outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL,
        subject TEXT NOT NULL,
        payload TEXT NOT NULL,
        traceparent TEXT,
        stored_at INTEGER NOT NULL
    ) STRICT;";

/// A store in one SQLite file.
pub struct SqliteStore {
    file: SqliteFile,
}

impl SqliteStore {
    /// Opens or creates the file, with the tables and indexes of these collections and that of the relay.
    pub fn open(path: &Path, schemas: &[&Schema]) -> Result<Self, StoreError> {
        migrate(path, schemas)?;
        let tables = schemas.iter().chain([&RELAY_SCHEMA]).map(|schema| create_table(schema));
        let sql: String = std::iter::once(CREATE_OUTBOX.to_owned()).chain(tables).collect();
        Ok(Self { file: SqliteFile::open(path, &sql)? })
    }

    /// Opens an existing file without changing it: every write fails. For tools.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: SqliteFile::open_read_only(path)? })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let sql = format!("SELECT id, version, body FROM {} WHERE id = ?1", schema.collection);
        Ok(self.file.read(|db| db.prepare_cached(&sql)?.query_row([id], document).optional())?)
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        let mut conditions = vec!["TRUE".to_owned()];
        let mut values = Vec::new();
        for (field, value) in query.equal {
            match sql_value(value) {
                Sql::Null => conditions.push(format!("{} IS NULL", column(field))),
                value => {
                    values.push(value);
                    conditions.push(format!("{} = ?{}", column(field), values.len()));
                }
            }
        }
        if let Some(after) = query.after {
            values.push(Sql::Text(after));
            conditions.push(format!("id < ?{}", values.len()));
        }
        values.push(Sql::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT id, version, body FROM {} WHERE {} ORDER BY id DESC LIMIT ?{}",
            schema.collection,
            conditions.join(" AND "),
            values.len()
        );
        Ok(self.file.read(|db| db.prepare_cached(&sql)?.query_map(params_from_iter(values), document)?.collect())?)
    }

    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError> {
        // Sorts after every id.
        let after = after.unwrap_or_else(|| "~".into());
        let table = schema.collection;
        let sql = format!("SELECT id, version, body, written_at FROM {table} WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
        let written = |row: &Row<'_>| Ok((document(row)?, Timestamp::from_millis(row.get(3)?)));
        Ok(self.file.read(|db| db.prepare_cached(&sql)?.query_map(params![after, limit], written)?.collect())?)
    }

    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError> {
        let sql = format!("SELECT count(*) FROM {}", schema.collection);
        Ok(self.file.read(|db| db.query_row(&sql, [], |row| row.get(0)))?)
    }

    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        self.file.write(move |db| write_document(db, &put)).await?
    }

    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError> {
        let sql = "SELECT seq, message_id, subject, payload, traceparent, stored_at FROM outbox ORDER BY seq LIMIT ?1";
        Ok(self.file.read(|db| {
            let mut outbox = Outbox::default();
            let mut query = db.prepare_cached(sql)?;
            let mut rows = query.query([limit])?;
            while let Some(row) = rows.next()? {
                read_entry(row, &mut outbox)?;
            }
            Ok(outbox)
        })?)
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        let tokens: Vec<i64> = events.iter().filter_map(|event| event.token.parse().ok()).collect();
        let delete = move |db: &Connection| {
            let mut delete = db.prepare_cached("DELETE FROM outbox WHERE seq = ?1")?;
            tokens.iter().try_for_each(|token| delete.execute([token]).map(|_| ()))
        };
        Ok(self.file.write(delete).await?)
    }

    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError> {
        let (table, id) = (schema.collection, id.to_owned());
        let sql =
            format!("DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < ?1 ORDER BY id LIMIT ?2)");
        Ok(self.file.write(move |db| db.prepare_cached(&sql)?.execute(params![id, limit])).await?)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.file.read(|db| db.query_row("SELECT 1", [], |_| Ok(())))?)
    }
}

fn read_entry(row: &Row<'_>, outbox: &mut Outbox) -> rusqlite::Result<()> {
    let token = row.get::<_, i64>(0)?.to_string();
    match message(row, 1) {
        Ok(message) => {
            outbox.events.push(Unpublished { token, message, since: Timestamp::from_millis(row.get(5)?) });
        }
        Err(Error::FromSqlConversionFailure(_, _, reason)) => outbox.invalid.push(InvalidEntry { token, reason }),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Adds the times of writing to files of earlier versions.
fn migrate(path: &Path, schemas: &[&Schema]) -> Result<(), SqliteError> {
    migration::migrate(path, |db| {
        schemas
            .iter()
            .try_for_each(|schema| add_column(db, schema.collection, "written_at", "INTEGER NOT NULL DEFAULT 0"))
    })
}

fn create_table(schema: &Schema) -> String {
    let table = schema.collection;
    // Without a rowid the table is ordered by id, and every index ends with the id.
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {table} (
             id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL, written_at INTEGER NOT NULL DEFAULT 0
         ) STRICT, WITHOUT ROWID;"
    );
    for Index { name, fields, kind } in schema.indexes {
        let unique = match kind {
            IndexKind::Plain => "",
            // SQLite treats NULLs as distinct, so documents without the field never collide.
            IndexKind::Unique => "UNIQUE",
        };
        let columns: Vec<String> = fields.iter().map(|field| column(field)).collect();
        sql += &format!("CREATE {unique} INDEX IF NOT EXISTS {name} ON {table} ({});", columns.join(", "));
    }
    sql
}

/// Writes a document and its events. The inner error is an answer (conflict, duplicate) that does not fail the group of
/// writes; the outer one fails it.
fn write_document(db: &Connection, put: &Put) -> rusqlite::Result<Result<Vec<Unpublished>, StoreError>> {
    let Document { id, version, body } = &put.document;
    let (table, at) = (put.schema.collection, put.at.as_millis());
    let written = match put.expect {
        Expect::Absent => db
            .prepare_cached(&format!("INSERT INTO {table} (id, version, body, written_at) VALUES (?1, ?2, ?3, ?4)"))?
            .execute(params![id, version, body, at]),
        Expect::Version(expected) => db
            .prepare_cached(&format!(
                "UPDATE {table} SET version = ?2, body = ?3, written_at = ?4 WHERE id = ?1 AND version = ?5"
            ))?
            .execute(params![id, version, body, at, expected]),
    };
    match written {
        Ok(1) => {}
        Ok(_) => return Ok(Err(StoreError::Conflict)),
        // SQLite undoes only the statement that violates the constraint: this document is not written, and the other
        // writes of the group are unaffected.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Ok(Err(constraint_error(&error, put.schema)));
        }
        Err(error) => return Err(error),
    }
    let mut outbox = db.prepare_cached(
        "INSERT INTO outbox (message_id, subject, payload, traceparent, stored_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut stored = Vec::new();
    for event in &put.events {
        let traceparent = event.traceparent.as_ref().map(TraceParent::to_string);
        let seq = outbox.insert(params![event.id, event.subject.as_str(), event.payload, traceparent, at])?;
        stored.push(Unpublished { token: seq.to_string(), message: event.clone(), since: put.at });
    }
    Ok(Ok(stored))
}

/// SQLite names the violated index in its message; a violated primary key has no name.
fn constraint_error(error: &Error, schema: &Schema) -> StoreError {
    let text = error.to_string();
    let index = schema.indexes.iter().find(|index| text.contains(&format!("'{}'", index.name)));
    index.map_or(StoreError::Conflict, |index| StoreError::Duplicate(index.name.to_owned()))
}

fn document(row: &Row<'_>) -> rusqlite::Result<Document> {
    Ok(Document { id: row.get(0)?, version: row.get(1)?, body: row.get(2)? })
}

fn column(field: &str) -> String {
    format!("(body ->> '$.{field}')")
}

fn sql_value(value: Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Bool(flag) => Sql::Integer(flag.into()),
        Value::Number(number) => number.as_i64().map_or(Sql::Null, Sql::Integer),
        Value::String(text) => Sql::Text(text),
        compound @ (Value::Array(_) | Value::Object(_)) => Sql::Text(compound.to_string()),
    }
}
