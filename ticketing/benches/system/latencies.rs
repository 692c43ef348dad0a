//! Latencies and their percentiles.

use std::time::Duration;

use anyhow::Result;
use hdrhistogram::Histogram;

/// A histogram of latencies in microseconds, precise to three significant digits.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Histogram::new(3)?))
    }

    pub(crate) fn record(&mut self, latency: Duration) -> Result<()> {
        Ok(self.0.record(latency.as_micros().try_into()?)?)
    }

    pub(crate) fn record_n(&mut self, latency: Duration, count: usize) -> Result<()> {
        Ok(self.0.record_n(latency.as_micros().try_into()?, count.try_into()?)?)
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentile(&self, percentile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_percentile(percentile))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }
}
