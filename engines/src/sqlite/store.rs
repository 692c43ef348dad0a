//! The store on SQLite: a table a collection, and one for the outbox, in one file.
//!
//! A document is JSON text that any SQLite tool shows. Its indexes are expressions over that text, so the document is
//! the only place where a value is kept, and a new index needs no migration of data.

use std::fmt::Write as _;
use std::path::Path;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::store::{Document, Expect, Find, Index, IndexKind, Put, Schema, Store, StoreError, Unpublished};
use common::trace::TraceParent;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params, params_from_iter};
use serde_json::Value;

use super::columns::message;
use super::file::{SqliteError, SqliteFile};

/// A store in one SQLite file.
pub struct SqliteStore {
    file: SqliteFile,
}

impl SqliteStore {
    /// Opens the file, creating what is missing of the collections' tables and indexes.
    pub fn open(path: &Path, schemas: &[&Schema]) -> Result<Self, StoreError> {
        let mut tables = String::from(
            "CREATE TABLE IF NOT EXISTS outbox (
                 seq INTEGER PRIMARY KEY AUTOINCREMENT,
                 message_id TEXT NOT NULL,
                 subject TEXT NOT NULL,
                 payload TEXT NOT NULL,
                 traceparent TEXT,
                 stored_at INTEGER NOT NULL
             ) STRICT;",
        );
        for schema in schemas {
            let table = schema.collection;
            // Without a rowid the id is the table's order, and every index ends in it.
            let _infallible = write!(
                tables,
                "CREATE TABLE IF NOT EXISTS {table} (
                     id TEXT PRIMARY KEY, version INTEGER NOT NULL, body TEXT NOT NULL
                 ) STRICT, WITHOUT ROWID;"
            );
            for Index { name, fields, kind } in schema.indexes {
                let unique = match kind {
                    IndexKind::Plain => "",
                    // NULLs are distinct, so documents without the field do not count.
                    IndexKind::Unique => "UNIQUE",
                };
                let columns: Vec<String> = fields.iter().map(|field| column(field)).collect();
                let _infallible =
                    write!(tables, "CREATE {unique} INDEX IF NOT EXISTS {name} ON {table} ({});", columns.join(", "));
            }
        }
        Ok(Self { file: SqliteFile::open(path, &tables)? })
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let sql = format!("SELECT id, version, body FROM {} WHERE id = ?1", schema.collection);
        Ok(self.file.read(|db| db.prepare_cached(&sql)?.query_row([id], document).optional())?)
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        let mut sql = format!("SELECT id, version, body FROM {} WHERE TRUE", schema.collection);
        let mut values = Vec::new();
        for (field, value) in query.equal {
            match sql_value(value) {
                Sql::Null => write!(sql, " AND {} IS NULL", column(field)),
                value => {
                    values.push(value);
                    write!(sql, " AND {} = ?{}", column(field), values.len())
                }
            }
            .unwrap_or_default();
        }
        if let Some(after) = query.after {
            values.push(Sql::Text(after));
            write!(sql, " AND id < ?{}", values.len()).unwrap_or_default();
        }
        values.push(Sql::Integer(i64::try_from(query.limit).unwrap_or(i64::MAX)));
        write!(sql, " ORDER BY id DESC LIMIT ?{}", values.len()).unwrap_or_default();
        Ok(self.file.read(|db| db.prepare_cached(&sql)?.query_map(params_from_iter(values), document)?.collect())?)
    }

    async fn put(&self, put: Put) -> Result<(), StoreError> {
        self.file.write(move |db| write_document(db, &put)).await?
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        let sql = "SELECT seq, message_id, subject, payload, traceparent, stored_at FROM outbox ORDER BY seq LIMIT ?1";
        Ok(self.file.read(|db| {
            db.prepare_cached(sql)?
                .query_map([limit], |row| {
                    Ok(Unpublished {
                        token: row.get::<_, i64>(0)?.to_string(),
                        message: message(row, 1)?,
                        since: Timestamp::from_millis(row.get(5)?),
                    })
                })?
                .collect()
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

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(self.file.read(|db| db.query_row("SELECT 1", [], |_| Ok(())))?)
    }
}

/// The inner result is the caller's business (conflict, duplicate), the outer one the file's.
fn write_document(db: &Connection, put: &Put) -> rusqlite::Result<Result<(), StoreError>> {
    let Document { id, version, body } = &put.document;
    let table = put.schema.collection;
    let written = match put.expect {
        Expect::Absent => db
            .prepare_cached(&format!("INSERT INTO {table} (id, version, body) VALUES (?1, ?2, ?3)"))?
            .execute(params![id, version, body]),
        Expect::Version(expected) => db
            .prepare_cached(&format!("UPDATE {table} SET version = ?2, body = ?3 WHERE id = ?1 AND version = ?4"))?
            .execute(params![id, version, body, expected]),
    };
    match written {
        Ok(1) => {}
        Ok(_) => return Ok(Err(StoreError::Conflict)),
        // A constraint undoes its own statement only: nothing of this document is written, and others of the group
        // stand.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Ok(Err(violated(&error, put.schema)));
        }
        Err(error) => return Err(error),
    }
    let mut outbox = db.prepare_cached(
        "INSERT INTO outbox (message_id, subject, payload, traceparent, stored_at) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for event in &put.events {
        let traceparent = event.traceparent.as_ref().map(TraceParent::as_str);
        outbox.execute(params![event.id, event.subject.as_str(), event.payload, traceparent, put.at.as_millis()])?;
    }
    Ok(Ok(()))
}

fn violated(error: &rusqlite::Error, schema: &Schema) -> StoreError {
    let text = error.to_string();
    let index = schema.indexes.iter().find(|index| text.contains(&format!("'{}'", index.name)));
    index.map_or(StoreError::Conflict, |index| StoreError::Duplicate(index.name.to_owned()))
}

fn document(row: &rusqlite::Row<'_>) -> rusqlite::Result<Document> {
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

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        Self::unavailable(error)
    }
}
