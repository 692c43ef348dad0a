//! What the run has found out, as a table.

use std::fmt;

use crate::load::{Latencies, Tally};

/// Rows, facts and failures, in the order they were found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(Row, Option<u64>)>,
    facts: Vec<(&'static str, String)>,
    peak_memory: Option<u64>,
    failures: Vec<String>,
}

/// One line of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) per_second: f64,
    pub(crate) latencies: Latencies,
    pub(crate) remark: String,
}

impl Report {
    /// Adds a row, with the most memory that its server has had resident so far, in bytes.
    pub(crate) fn row(&mut self, row: Row, peak_memory: Option<u64>) {
        self.rows.push((row, peak_memory));
    }

    /// A failure if the clients saw what they should not.
    pub(crate) fn unexpected(&mut self, name: &str, tally: &Tally) {
        for (status, (count, example)) in &tally.unexpected {
            self.failure(format!("{name}: {count} unexpected replies {status}, such as {example}"));
        }
    }

    pub(crate) fn fact(&mut self, name: &'static str, what: String) {
        self.facts.push((name, what));
    }

    /// The most memory that a server has had resident, in bytes; the report tells the most of any.
    pub(crate) fn peak_memory(&mut self, bytes: u64) {
        self.peak_memory = self.peak_memory.max(Some(bytes));
    }

    pub(crate) fn failure(&mut self, what: String) {
        self.failures.push(what);
    }

    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|(row, _)| row.name.chars().count()).max().unwrap_or_default().max(12);
        let head = ["per second", "p50 ms", "p95 ms", "p99 ms", "peak MB"];
        writeln!(f, "{:width$} {:>10} {:>9} {:>9} {:>9} {:>8}", "", head[0], head[1], head[2], head[3], head[4])?;
        for (Row { name, per_second, latencies, remark }, peak_memory) in &self.rows {
            write!(f, "{name:width$} {:>10}", thousands(*per_second))?;
            for percent in [50, 95, 99] {
                let time = latencies.percentile(percent).map_or_else(String::new, |millis| format!("{millis:.2}"));
                write!(f, " {time:>9}")?;
            }
            let peak = peak_memory.map_or_else(String::new, |bytes| format!("{:.0}", megabytes(bytes)));
            writeln!(f, " {peak:>8}{}{remark}", if remark.is_empty() { "" } else { "  " })?;
        }
        writeln!(f)?;
        if let Some(bytes) = self.peak_memory {
            writeln!(f, "{:width$} {:.0} MB resident", "peak memory", megabytes(bytes))?;
        }
        for (name, what) in &self.facts {
            writeln!(f, "{name:width$} {what}")?;
        }
        for failure in &self.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        Ok(())
    }
}

/// `18,250`
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
