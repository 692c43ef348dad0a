//! The results of a run as a table.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Rows in the order they were measured.
#[derive(Default)]
pub(crate) struct Report(Vec<Row>);

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) engine: &'static str,
    pub(crate) count: usize,
    pub(crate) took: Duration,
    /// How late jobs were, or how long writes took, in microseconds.
    pub(crate) latency: Option<Histogram<u64>>,
    pub(crate) note: String,
}

impl Row {
    pub(crate) fn new(name: &'static str, engine: &'static str, count: usize, took: Duration) -> Self {
        Self { name, engine, count, took, latency: None, note: String::new() }
    }

    fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

impl Report {
    /// Adds a row. Further rounds of the same measurement are added to its row.
    pub(crate) fn row(&mut self, row: Row) {
        match self.find(row.name, row.engine) {
            Some(other) => {
                other.count += row.count;
                other.took += row.took;
            }
            None => self.0.push(row),
        }
    }

    /// Notes the rate of one row as a percentage of another's. Does nothing if either is missing.
    pub(crate) fn compare(&mut self, (name, engine): (&str, &str), (base_name, base_engine): (&str, &str)) {
        let Some(base) = self.find(base_name, base_engine).map(|row| row.per_second()) else { return };
        if let Some(row) = self.find(name, engine) {
            row.note = format!("{:.0} % of {base_engine}", 100.0 * row.per_second() / base);
        }
    }

    fn find(&mut self, name: &str, engine: &str) -> Option<&mut Row> {
        self.0.iter_mut().find(|row| (row.name, row.engine) == (name, engine))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["per second", "p50 ms", "p99 ms", "max ms"];
        writeln!(f, "{:36} {:32} {:>10} {:>9} {:>9} {:>9}", "", "", head[0], head[1], head[2], head[3])?;
        for row in &self.0 {
            let [p50, p99, max] = [50.0, 99.0, 100.0].map(|percentile| {
                let micros = row.latency.as_ref().map(|latency| latency.value_at_percentile(percentile));
                micros.map_or_else(String::new, |micros| format!("{:.1}", micros as f64 / 1e3))
            });
            let line =
                format!("{:36} {:32} {:>10.0} {p50:>9} {p99:>9} {max:>9}", row.name, row.engine, row.per_second());
            writeln!(f, "{}", format!("{line}  {}", row.note).trim_end())?;
        }
        Ok(())
    }
}
