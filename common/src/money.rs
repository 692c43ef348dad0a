//! Money in whole cents, from the edge of the system inwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

/// An amount of US dollars that is not negative, in whole cents.
///
/// As text it is a decimal number with at most two decimals (`20`, `19.99`); in JSON a number like that. It is read
/// from JSON numbers and from strings that hold one, digit by digit and never through a float, so every amount comes
/// back as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(u64);

/// Why a text is not [`Money`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an amount of dollars with at most two decimals")]
pub struct NotMoney;

impl Money {
    /// The largest amount that can be held. Far above every price, and small enough that its decimal text survives
    /// readers that keep numbers as doubles (15 significant digits).
    pub const MAX: Self = Self(999_999_999_999_999);

    /// An amount of whole cents.
    pub const fn from_cents(cents: u64) -> Self {
        Self(cents)
    }

    /// The amount in whole cents.
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
    type Err = NotMoney;

    /// Reads what JSON allows as a number, exponents included: `20`, `19.99`, `1.1e1`, `2000e-2`.
    fn from_str(text: &str) -> Result<Self, NotMoney> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| NotMoney)?),
            None => (text, 0),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits_only(whole) || !digits_only(decimals) || mantissa.ends_with('.') {
            return Err(NotMoney);
        }
        // Without their zeros, the digits are a whole number of 10^scale cents.
        let digits = format!("{whole}{decimals}");
        let significant = digits.trim_end_matches('0');
        let scale = i64::from(exponent) + 2 + whole.len() as i64 - significant.len() as i64;
        let significant = significant.trim_start_matches('0');
        if significant.is_empty() {
            return Ok(Self(0));
        }
        let scale = u32::try_from(scale).map_err(|_| NotMoney)?;
        significant
            .parse::<u64>()
            .ok()
            .zip(10_u64.checked_pow(scale))
            .and_then(|(digits, scale)| digits.checked_mul(scale))
            .map(Self)
            .filter(|money| *money <= Self::MAX)
            .ok_or(NotMoney)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            return serializer.serialize_u64(self.0 / 100);
        }
        // The double nearest to the amount prints as the amount again: it has at most 15 significant digits (MAX).
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

/// [`Money`] stored in documents as an integer of cents.
///
/// For `#[serde(with = "common::money::as_cents")]`: inside a service amounts are cents, in its database too.
pub mod as_cents {
    use super::{Deserialize, Deserializer, Money, Serialize, Serializer};

    #[expect(missing_docs, reason = "the signature serde asks for")]
    pub fn serialize<S: Serializer>(money: &Money, serializer: S) -> Result<S::Ok, S::Error> {
        money.0.serialize(serializer)
    }

    #[expect(missing_docs, reason = "the signature serde asks for")]
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
    fn numbers_and_strings_are_read_exactly() {
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
    fn what_is_not_an_amount_is_refused() {
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
        fn every_amount_comes_back(cents in 0..=Money::MAX.0) {
            let json = serde_json::to_string(&Money(cents)).unwrap();
            prop_assert_eq!(parse(&json), Some(Money(cents)), "{}", json);
            prop_assert_eq!(Money(cents).to_string().parse(), Ok(Money(cents)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _outcome = text.parse::<Money>();
        }
    }
}
