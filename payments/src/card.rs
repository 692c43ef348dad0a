//! Cards and the tokens that refer to them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What identifies a card to its owner. Stripe does not know it for each card.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The brand in Stripe's spelling: `visa`.
    pub brand: Option<String>,
    /// The last four digits of the number.
    pub last4: Option<String>,
}

/// A reference to a card at Stripe: a token (`tok_…`) or a payment method (`pm_…`). Trimmed, 1 to 255 bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CardToken(String);

impl CardToken {
    /// The token in Stripe's format.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        if (1..=255).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err("must be 1 to 255 bytes long") }
    }
}

/// Keeps tokens out of logs.
impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardToken(…)")
    }
}
