//! One id type per kind of record, so that a ticket's id can not be passed where an order's is meant.
//!
//! An id is twelve bytes, written as 24 hexadecimal digits, made as MongoDB makes an ObjectId: four bytes of seconds,
//! five random bytes per process, three of a counter. Ids of one process therefore sort in the order they were made,
//! which is what "newest first" relies on.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::clock::Timestamp;

/// Why a text is not an id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of 24 hexadecimal digits")]
pub struct NotAnId;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ObjectId([u8; 12]);

impl ObjectId {
    fn generate(now: Timestamp) -> Self {
        static PROCESS: LazyLock<[u8; 5]> = LazyLock::new(rand::random);
        static COUNTER: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(0));

        let mut id = [0; 12];
        // Four bytes of seconds last until 2106, as MongoDB's do.
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        id[..4].copy_from_slice(&seconds.to_be_bytes());
        id[4..9].copy_from_slice(&*PROCESS);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        id[9..].copy_from_slice(&count.to_be_bytes()[1..]);
        Self(id)
    }

    fn created_at(self) -> Timestamp {
        let [a, b, c, d, ..] = self.0;
        Timestamp::from_millis(i64::from(u32::from_be_bytes([a, b, c, d])) * 1000)
    }

    fn parse(text: &str) -> Result<Self, NotAnId> {
        let digits = text.as_bytes();
        if digits.len() != 24 {
            return Err(NotAnId);
        }
        let mut id = [0; 12];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (hex_digit(pair[0])? << 4) | hex_digit(pair[1])?;
        }
        Ok(Self(id))
    }

    /// Calls `write` with the id's 24 digits.
    fn hex<T>(self, write: impl FnOnce(&str) -> T) -> T {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 24];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        write(str::from_utf8(&text).unwrap_or_default())
    }
}

fn hex_digit(digit: u8) -> Result<u8, NotAnId> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(NotAnId),
    }
}

/// What all id types can do; implemented by the types of this module.
pub trait RecordId:
    Copy + Eq + Ord + std::hash::Hash + fmt::Display + fmt::Debug + FromStr<Err = NotAnId> + Send + Sync + 'static
{
    /// When the record was made, to the second.
    fn created_at(self) -> Timestamp;
}

macro_rules! record_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ObjectId);

        impl $name {
            /// A new id, unlike every other.
            pub fn generate(now: Timestamp) -> Self {
                Self(ObjectId::generate(now))
            }
        }

        impl RecordId for $name {
            fn created_at(self) -> Timestamp {
                self.0.created_at()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hex(|text| f.write_str(text))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hex(|text| f.write_str(text))
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            fn from_str(text: &str) -> Result<Self, NotAnId> {
                ObjectId::parse(text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.0.hex(|text| serializer.serialize_str(text))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

record_ids! {
    /// Names a user: owned by auth.
    UserId;
    /// Names a ticket: owned by tickets.
    TicketId;
    /// Names an order: owned by orders.
    OrderId;
    /// Names an attempt to pay: owned by payments.
    PaymentId;
    /// Names a PaymentIntent of the Stripe simulator, which writes `pi_` before it.
    IntentId;
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_999);

    #[test]
    fn ids_of_a_process_differ_and_sort_as_they_were_made() {
        let ids: Vec<OrderId> = (0..10_000).map(|_| OrderId::generate(NOW)).collect();
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
        assert!(ids.is_sorted());
    }

    #[test]
    fn an_id_knows_when_it_was_made() {
        assert_eq!(TicketId::generate(NOW).created_at(), Timestamp::from_millis(1_769_860_800_000));
    }

    #[test]
    fn text_comes_back_whatever_its_case() {
        let id = UserId::generate(NOW);
        assert_eq!(id.to_string().len(), 24);
        assert_eq!(id.to_string().to_uppercase().parse(), Ok(id));
        assert_eq!(serde_json::from_str::<UserId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in [
            "",
            "1",
            "zzzzzzzzzzzzzzzzzzzzzzzz",
            "0123456789abcdef0123456",
            "0123456789abcdef012345678",
            "éééééééééééé",
        ] {
            assert_eq!(text.parse::<UserId>(), Err(NotAnId), "{text}");
        }
    }
}
