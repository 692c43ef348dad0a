//! Changes to files that an earlier version of the program has made.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::error::SqliteError;
use super::file::BUSY_TIMEOUT;

/// Changes a file in one transaction, if it exists.
pub(super) fn migrate(
    path: &Path,
    change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), SqliteError> {
    let migrated = || {
        let db = Connection::open(path)?;
        db.busy_timeout(BUSY_TIMEOUT)?;
        let transaction = Transaction::new_unchecked(&db, TransactionBehavior::Immediate)?;
        change(&transaction)?;
        transaction.commit()
    };
    if !path.exists() {
        return Ok(());
    }
    migrated().map_err(|error: rusqlite::Error| SqliteError::new(&path.display().to_string().into(), error))
}

/// Adds a column to a table that exists without it.
pub(super) fn add_column(db: &Connection, table: &str, column: &str, definition: &str) -> rusqlite::Result<()> {
    if !lacks_column(db, table, column)? {
        return Ok(());
    }
    db.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))
}

/// Whether a table exists without this column.
pub(super) fn lacks_column(db: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) > 0 AND NOT max(name = ?2) FROM pragma_table_info(?1)";
    db.query_row(sql, [table, column], |row| row.get::<_, Option<bool>>(0)).map(Option::unwrap_or_default)
}
