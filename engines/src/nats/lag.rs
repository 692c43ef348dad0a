//! How far a durable is behind.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::RawMessageErrorKind;
use common::bus::{BusError, Durable};
use common::clock::{Clock, SystemClock, Timestamp};

use super::connection::Server;
use super::consumer::is_missing;
use super::error::unavailable;

impl Server {
    pub(super) async fn lag(&self, durable: Durable) -> Result<Duration, BusError> {
        self.check_connected()?;
        let found = self.context.get_consumer_from_stream::<pull::Config, _, _>(durable.name, &*self.stream).await;
        let consumer = match found {
            Ok(consumer) => consumer,
            Err(error) if is_missing(&error) => return Ok(Duration::ZERO),
            Err(error) => return Err(unavailable(error)),
        };
        let info = consumer.cached_info();
        if info.num_pending == 0 && info.num_ack_pending == 0 {
            return Ok(Duration::ZERO);
        }
        let stream = self.context.get_stream_no_info(&*self.stream).await.map_err(unavailable)?;
        // Every event up to there is settled, or deleted by now.
        let first = info.ack_floor.stream_sequence + 1;
        match stream.get_first_raw_message_by_subject(durable.subject.as_str(), first).await {
            Ok(oldest) => {
                let stored_at = oldest.time.unix_timestamp_nanos() / 1_000_000;
                Ok(SystemClock.now().since(Timestamp::from_millis(i64::try_from(stored_at).unwrap_or_default())))
            }
            // Only replayed dead letters are left.
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(Duration::ZERO),
            Err(error) => Err(unavailable(error)),
        }
    }
}
