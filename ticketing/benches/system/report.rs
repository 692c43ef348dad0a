//! The results of a run as a table.

use std::fmt;

use crate::latencies::Latencies;
use crate::load::Tally;

/// Rows, facts and failures in the order they were added.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    facts: Vec<(&'static str, String)>,
    peak_memory: Option<u64>,
    failures: Vec<String>,
}

/// A line of the table.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) per_second: f64,
    pub(crate) latencies: Option<Latencies>,
    /// The system's peak resident memory up to now, in bytes.
    pub(crate) peak_memory: Option<u64>,
    pub(crate) note: String,
}

impl Report {
    pub(crate) fn row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a failure for each unexpected status.
    pub(crate) fn unexpected(&mut self, name: &str, tally: &Tally) {
        for (status, (count, example)) in &tally.unexpected {
            self.failure(format!("{name}: {count} unexpected replies with status {status}, such as {example}"));
        }
    }

    pub(crate) fn fact(&mut self, name: &'static str, value: String) {
        self.facts.push((name, value));
    }

    /// Adds a system's peak resident memory in bytes; the report shows the highest.
    pub(crate) fn peak_memory(&mut self, bytes: u64) {
        self.peak_memory = self.peak_memory.max(Some(bytes));
    }

    pub(crate) fn failure(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// Whether nothing failed.
    pub(crate) fn is_good(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|row| &*row.name).chain(self.facts.iter().map(|(name, _)| *name));
        let width = names.map(|name| name.chars().count()).max().unwrap_or_default().max(12);
        let head = ["per second", "p50 ms", "p95 ms", "p99 ms", "peak RSS MB"];
        writeln!(f, "{:width$} {:>10} {:>9} {:>9} {:>9} {:>11}", "", head[0], head[1], head[2], head[3], head[4])?;
        for Row { name, per_second, latencies, peak_memory, note } in &self.rows {
            let latency = |percentile| {
                let latencies = latencies.as_ref().filter(|latencies| latencies.count() > 0)?;
                Some(format!("{:.2}", latencies.percentile(percentile).as_secs_f64() * 1e3))
            };
            let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percentile| latency(percentile).unwrap_or_default());
            let rate = thousands(*per_second);
            let peak = peak_memory.map_or_else(String::new, |bytes| format!("{:.0}", megabytes(bytes)));
            let line = format!("{name:width$} {rate:>10} {p50:>9} {p95:>9} {p99:>9} {peak:>11}  {note}");
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        if let Some(bytes) = self.peak_memory {
            writeln!(f, "{:width$} {:.0} MB resident", "peak memory", megabytes(bytes))?;
        }
        for (name, value) in &self.facts {
            writeln!(f, "{name:width$} {value}")?;
        }
        for failure in &self.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        Ok(())
    }
}

/// Formats a number as in `18,250`.
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
