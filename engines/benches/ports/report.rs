//! What the run has found out, as a table.

use std::fmt;
use std::time::Duration;

/// Rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

/// One line of the table.
pub(crate) struct Row {
    name: &'static str,
    engine: &'static str,
    count: usize,
    took: Duration,
    lateness: Vec<Duration>,
    remark: String,
}

impl Row {
    pub(crate) fn rate(name: &'static str, engine: &'static str, count: usize, took: Duration) -> Self {
        Self { name, engine, count, took, lateness: Vec::new(), remark: String::new() }
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    /// Adds how late each came.
    pub(crate) fn late(mut self, mut lateness: Vec<Duration>) -> Self {
        lateness.sort_unstable();
        self.lateness = lateness;
        self
    }

    /// The lateness that so many of a hundred did not exceed, in milliseconds.
    fn percentile(&self, percent: usize) -> Option<u128> {
        let rank = (self.lateness.len() * percent).div_ceil(100);
        Some(self.lateness.get(rank.checked_sub(1)?)?.as_millis())
    }
}

impl Report {
    /// Adds a row, or more of one that is there.
    pub(crate) fn row(&mut self, row: Row) {
        match self.0.iter_mut().find(|other| (other.name, other.engine) == (row.name, row.engine)) {
            Some(other) => {
                other.count += row.count;
                other.took += row.took;
            }
            None => self.0.push(row),
        }
    }

    /// Remarks on the rows of an engine how they compare with the bare thing.
    pub(crate) fn compare(&mut self, engine: &str, bare: &str) {
        use crate::bus::{BATCHES, SINGLE};

        let (bare, rows): (Vec<&mut Row>, Vec<_>) = self.0.iter_mut().partition(|row| row.engine == bare);
        for row in rows.into_iter().filter(|row| row.engine == engine) {
            // The bare client knows no batches: it has as many in flight.
            let name = if row.name == BATCHES { SINGLE } else { row.name };
            if let Some(bare) = bare.iter().find(|bare| bare.name == name) {
                row.remark = format!("{:.0} % of bare", 100.0 * row.per_second() / bare.per_second());
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:24} {:32} {:>10} {:>12} {:>12}", "", "", "per second", "late p50 ms", "late p99 ms")?;
        for row in &self.0 {
            let [p50, p99] = [50, 99].map(|percent| row.percentile(percent).map_or(String::new(), |ms| ms.to_string()));
            let line = format!("{:24} {:32} {:>10.0} {p50:>12} {p99:>12}", row.name, row.engine, row.per_second());
            writeln!(f, "{}", format!("{line}  {}", row.remark).trim_end())?;
        }
        Ok(())
    }
}
