//! Users and their email addresses.

use common::ids::UserId;
use common::store::{Entity, Index, IndexKind, Query, Schema};
use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};

use crate::password::PasswordHash;

/// A user. Users never change, so their version stays 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) version: u64,
    pub(crate) email: Email,
    /// The email address in lower case: unique, and the field that lookups use.
    lowercase_email: String,
    pub(crate) password: PasswordHash,
}

impl Entity for User {
    type Id = UserId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "users",
        indexes: &[Index { name: "users_by_email", fields: &["lowercaseEmail"], kind: IndexKind::Unique }],
        ids: &[],
        times: &[],
    };

    fn id(&self) -> UserId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl User {
    pub(crate) fn new(id: UserId, email: Email, password: PasswordHash) -> Self {
        let lowercase_email = email.to_lowercase();
        Self { id, version: 0, email, lowercase_email, password }
    }

    /// Finds the user with this email address, ignoring case.
    pub(crate) fn by_email(email: &Email) -> Query<UserId> {
        Query::newest(1).with("lowercaseEmail", email.to_lowercase())
    }
}

/// An email address as typed, without surrounding white space: `Ann@example.com`.
///
/// A display name (`Ann <ann@example.com>`), an IP address as domain and a domain without a dot are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Email(String);

impl Email {
    /// The longest address a mail server must accept (RFC 5321, section 4.5.3.1.3, without the angle brackets).
    const MAX_LENGTH: usize = 254;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn to_lowercase(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        const FORM: Options =
            Options { minimum_sub_domains: 2, allow_domain_literal: false, allow_display_text: false };
        let text = text.trim();
        if text.len() > Self::MAX_LENGTH {
            return Err("an email address has at most 254 characters");
        }
        let address = EmailAddress::parse_with_options(text, FORM).map_err(|_| "not an email address")?;
        // The parser accepts the same characters in the domain as in the local part.
        let is_host = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '.';
        if !address.domain().chars().all(is_host) {
            return Err("the domain of an email address must be a host name");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;

    fn email(text: &str) -> Option<String> {
        Email::try_from(text.to_owned()).ok().map(|email| email.0)
    }

    #[test]
    fn the_schema_names_existing_fields() {
        let hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        let email = Email("Ann@test.com".into());
        let user = User::new(UserId::generate(Timestamp::from_millis(0)), email, hash.to_owned().try_into().unwrap());
        assert_eq!(User::SCHEMA.check(&user), Ok(()));
    }

    #[test]
    fn valid_addresses_are_trimmed_and_otherwise_kept_as_typed() {
        assert_eq!(email(" Ann.O'Neil+tickets@Example.co.UK\n"), Some("Ann.O'Neil+tickets@Example.co.UK".into()));
        assert_eq!(email("søren@blåbær.dk"), Some("søren@blåbær.dk".into()));
    }

    #[test]
    fn invalid_addresses_are_refused() {
        for text in [
            "",
            " ",
            "ann",
            "ann@",
            "@test.com",
            "ann@test",
            "ann@localhost",
            "ann@test..com",
            "ann@.test.com",
            "ann@test.com.",
            "ann@-test.com",
            "ann@te_st.com",
            "ann@te$st.com",
            "ann@[127.0.0.1]",
            "ann@bob@test.com",
            "ann bob@test.com",
            "ann.@test.com",
            "ann@test.com\r\nBcc: bob@test.com",
            "Ann <ann@test.com>",
            "<ann@test.com>",
            " <ann@test.com>",
            "ann@test.com, bob@test.com",
        ] {
            assert_eq!(email(text), None, "{text}");
        }
    }

    #[test]
    fn addresses_have_at_most_254_characters() {
        let label = "d".repeat(61);
        let of_length = |length: usize| {
            let domain = format!("{label}.{label}.{label}.com");
            let local = "l".repeat(length - domain.len() - 1);
            format!("{local}@{domain}")
        };
        assert!(email(&of_length(254)).is_some());
        assert!(email(&of_length(255)).is_none());
        assert!(email(&format!("{}@test.com", "l".repeat(64))).is_some());
        assert!(email(&format!("{}@test.com", "l".repeat(65))).is_none());
    }
}
