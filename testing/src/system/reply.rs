//! Requests and replies.
//!
//! Every reply is checked for what all replies have in common: a request id, and one shape for each error.

use std::fmt;

use reqwest::{RequestBuilder, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A request that can be sent.
pub struct Call(RequestBuilder);

impl Call {
    pub(super) fn new(request: RequestBuilder) -> Self {
        Self(request)
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Sets the body.
    pub fn body(self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header(header::CONTENT_TYPE, content_type).body(body))
    }

    /// Sends it and expects a reply.
    pub async fn send(self) -> Reply {
        let response = self.0.send().await.unwrap();
        Reply::read(response).await.unwrap()
    }

    /// Sends it to a system that may die before it replies.
    pub async fn attempt(self) -> Option<Reply> {
        let response = self.0.send().await.ok()?;
        Reply::read(response).await.ok()
    }
}

/// A complete reply.
pub struct Reply {
    /// Its status.
    pub status: u16,
    headers: header::HeaderMap,
    body: String,
    url: String,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, headers, body, url } = self;
        write!(f, "{url} answered {status} {headers:?} {body}")
    }
}

impl Reply {
    async fn read(response: reqwest::Response) -> reqwest::Result<Self> {
        let reply = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            url: response.url().to_string(),
            body: response.text().await?,
        };
        assert!(reply.header("x-request-id").is_some_and(|id| !id.is_empty()), "{reply:?} has no request id");
        if reply.status >= 400 {
            assert_eq!(reply.header("content-type"), Some("application/json"), "{reply:?}");
            assert_is_error(reply.status, &reply.body);
        }
        Ok(reply)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Expects a status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Expects an error with exactly this message.
    #[track_caller]
    pub fn expect_error(&self, status: u16, message: &str) {
        assert_eq!((self.status, self.messages()), (status, vec![message.to_owned()]), "{self:?}");
    }

    /// The messages of an error; empty for any other reply.
    pub fn messages(&self) -> Vec<String> {
        self.errors().into_iter().map(|error| error.message).collect()
    }

    /// The parts of an error; empty for any other reply.
    pub fn errors(&self) -> Vec<FieldError> {
        serde_json::from_str::<ErrorBody>(&self.body).map(|body| body.errors).unwrap_or_default()
    }

    /// The fields that an error is about, each with its message.
    pub fn field_errors(&self) -> Vec<(String, String)> {
        self.errors().into_iter().map(|error| (error.field.expect("a field"), error.message)).collect()
    }

    /// The body.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The path of the next page, after `/api`, from the `Link` header.
    pub fn next_page(&self) -> Option<String> {
        let link = self.header("link")?;
        let target = link.strip_prefix("</api").and_then(|rest| rest.strip_suffix(">; rel=\"next\""));
        Some(target.unwrap_or_else(|| panic!("not a link to a next page: {link}")).to_owned())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorBody {
    errors: Vec<FieldError>,
}

/// One part of an error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FieldError {
    /// For the user.
    pub message: String,
    /// The field that it is about.
    pub field: Option<String>,
    /// Only if the failure is the server's.
    pub request_id: Option<String>,
}

/// Expects the shape that every error has.
#[track_caller]
pub(super) fn assert_is_error(status: u16, body: &str) {
    let ErrorBody { errors } =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{status}: not the error shape ({error}): {body}"));
    assert!(!errors.is_empty() && errors.iter().all(|error| !error.message.is_empty()), "{body}");
    if status >= 500 {
        let shown: Vec<_> = errors.iter().map(|error| (error.message.as_str(), error.request_id.is_some())).collect();
        assert_eq!(shown, [("Something went wrong", true)], "{body}");
    }
}
