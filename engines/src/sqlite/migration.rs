//! Changes to files that an earlier version of the program has made.

use std::path::Path;

use rusqlite::Connection;

use super::error::SqliteError;

/// Adds a column to a table that exists without it.
pub(super) fn add_column(path: &Path, table: &str, column: &str, definition: &str) -> Result<(), SqliteError> {
    let add = || {
        let file = Connection::open(path)?;
        let mut columns = file.prepare("SELECT name FROM pragma_table_info(?1)")?;
        let columns: Vec<String> = columns.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if columns.is_empty() || columns.iter().any(|name| name == column) {
            return Ok(());
        }
        file.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))
    };
    add().map_err(|error: rusqlite::Error| SqliteError::new(&path.display().to_string().into(), error))
}
