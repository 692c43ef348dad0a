//! Money as integer cents. Floats appear only where JSON is written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// A non-negative amount of US dollars in whole cents.
///
/// Written as a number of dollars with at most two decimals: `20`, `19.99`. Read from a JSON number, or a string that
/// contains one, digit by digit: a float would lose precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// The error of parsing [`Money`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a dollar amount with at most two decimals")]
pub struct ParseMoneyError;

impl Money {
    /// The largest amount: 15 significant digits, which round-trip through a JSON reader that stores numbers as
    /// doubles.
    pub const MAX: Self = Self(999_999_999_999_999);

    /// Creates an amount from cents.
    pub const fn from_cents(cents: u64) -> Self {
        Self(cents)
    }

    /// The amount in cents.
    pub const fn cents(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (dollars, 0) => write!(f, "{dollars}"),
            (dollars, cents) if cents % 10 == 0 => write!(f, "{dollars}.{}", cents / 10),
            (dollars, cents) => write!(f, "{dollars}.{cents:02}"),
        }
    }
}

impl FromStr for Money {
    type Err = ParseMoneyError;

    /// Accepts every non-negative JSON number, including exponents: `20`, `19.99`, `1.1e1`, `2000e-2`.
    fn from_str(text: &str) -> Result<Self, ParseMoneyError> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| ParseMoneyError)?),
            None => (text, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(decimals) || mantissa.ends_with('.') {
            return Err(ParseMoneyError);
        }
        // The amount in cents is the significant digits times 10^scale.
        let digits = format!("{whole}{decimals}");
        let significant = digits.trim_end_matches('0');
        let scale = i64::from(exponent) + 2 + whole.len() as i64 - significant.len() as i64;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        let scale = u32::try_from(scale).map_err(|_| ParseMoneyError)?;
        significant
            .parse::<u64>()
            .ok()
            .zip(10_u64.checked_pow(scale))
            .and_then(|(digits, scale)| digits.checked_mul(scale))
            .map(Self)
            .filter(|money| *money <= Self::MAX)
            .ok_or(ParseMoneyError)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            return serializer.serialize_u64(self.0 / 100);
        }
        // Exact in print: an amount up to MAX has at most 15 significant digits, which a double preserves.
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = match raw.strip_prefix('"') {
            Some(_) => serde_json::from_str::<String>(raw).map_err(de::Error::custom)?,
            None => raw.to_owned(),
        };
        text.trim().parse().map_err(de::Error::custom)
    }
}

/// Serialises [`Money`] as integer cents, for stored documents: `#[serde(with = "common::money::as_cents")]`.
pub mod as_cents {
    use super::{Deserialize, Deserializer, Money, Serialize, Serializer};

    #[expect(missing_docs, reason = "the signature that serde requires")]
    pub fn serialize<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
        money.0.serialize(serializer)
    }

    #[expect(missing_docs, reason = "the signature that serde requires")]
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Money, D::Error> {
        u64::deserialize(deserializer).map(Money)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(json: &str) -> Option<Money> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn numbers_and_strings_are_parsed_exactly() {
        for (json, cents) in [
            ("20", 2000),
            ("19.99", 1999),
            ("\"19.99\"", 1999),
            ("1.1", 110),
            ("999999.99", 99_999_999),
            ("0.01", 1),
            ("20.00", 2000),
            ("20.000", 2000),
            ("1e2", 10_000),
            ("1999e-2", 1999),
            ("0", 0),
            ("0e999", 0),
            ("\" 5 \"", 500),
        ] {
            assert_eq!(parse(json), Some(Money(cents)), "{json}");
        }
    }

    #[test]
    fn invalid_amounts_are_rejected() {
        for json in [
            "-1",
            "19.999",
            "19.990000000000000001",
            "1e400",
            "1e-400",
            "1e99999999999",
            "\"\"",
            "\"abc\"",
            "\"1.\"",
            "\".5\"",
            "\"1,5\"",
            "\"+1\"",
            "\"0x10\"",
            "\"1e\"",
            "\"NaN\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_amount_round_trips(cents in 0..=Money::MAX.0) {
            let json = serde_json::to_string(&Money(cents)).unwrap();
            prop_assert_eq!(parse(&json), Some(Money(cents)), "{}", json);
            prop_assert_eq!(Money(cents).to_string().parse(), Ok(Money(cents)));
        }

        #[test]
        fn parsing_never_panics(text in ".*") {
            let _result = text.parse::<Money>();
        }
    }
}
