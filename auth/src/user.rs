//! A user and their email address.

use common::ids::UserId;
use common::store::{Entity, Index, IndexKind, Query, Schema};
use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};

use crate::password::PasswordHash;

/// Somebody who has signed up. They never change, so their version stays 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) id: UserId,
    pub(crate) version: u64,
    pub(crate) email: Email,
    /// The email address in lower case, by which users are found, and in which no two agree.
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

    /// Asks for the user of an email address, however it is capitalised.
    pub(crate) fn by_email(email: &Email) -> Query<UserId> {
        Query::newest(1).with("lowercaseEmail", email.to_lowercase())
    }
}

/// An email address as its user writes it, without white space around it: `Ann@example.com`.
///
/// Not the form with a name (`Ann <ann@example.com>`), nor a domain that is no name or without a dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Email(String);

impl Email {
    /// The longest address that a mail server must accept (RFC 5321, 4.5.3.1.3, without the brackets).
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
            return Err("longer than any email address");
        }
        let address = EmailAddress::parse_with_options(text, FORM).map_err(|_| "not an email address")?;
        // The parser takes every character of a local part in a domain too.
        let is_host = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '.';
        if !address.domain().chars().all(is_host) {
            return Err("its domain is no host name");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> Option<String> {
        Email::try_from(text.to_owned()).ok().map(|email| email.0)
    }

    #[test]
    fn addresses_are_kept_as_typed_but_for_white_space_around_them() {
        assert_eq!(email(" Ann.O'Neil+tickets@Example.co.UK\n"), Some("Ann.O'Neil+tickets@Example.co.UK".into()));
        assert_eq!(email("søren@blåbær.dk"), Some("søren@blåbær.dk".into()));
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
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
    fn addresses_have_a_longest_length() {
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
