//! The service's configuration.

use clap::Args;
use common::config::secret;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};

use crate::stripe::{API_BASE, Stripe, StripeSetupError};
use crate::webhook::WebhookSecrets;

/// Configuration of Stripe.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Payments")]
pub struct StripeConfig {
    /// Secret key for Stripe, `sk_…`.
    #[arg(long, env = "STRIPE_KEY", hide_env_values = true, value_parser = secret, value_name = "KEY")]
    pub stripe_key: Option<SecretString>,

    /// Secret that signs Stripe's webhooks, `whsec_…`; two, separated by a comma, while it is exchanged. Without it no
    /// webhooks are accepted.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true, value_parser = secret, value_name = "SECRET")]
    pub stripe_webhook_secret: Option<SecretString>,

    /// Base URL of Stripe's API, if not api.stripe.com.
    #[arg(long, env = "STRIPE_API_BASE", value_parser = api_base, value_name = "URL")]
    pub stripe_api_base: Option<Url>,
}

impl StripeConfig {
    /// The base URL of Stripe's API.
    pub fn base(&self) -> Url {
        self.stripe_api_base.clone().unwrap_or_else(|| Url::parse(API_BASE).expect("a URL"))
    }

    /// Creates the client of Stripe.
    ///
    /// # Errors
    ///
    /// If the key is missing or invalid, or HTTPS cannot be set up.
    pub fn stripe(&self) -> Result<Stripe, StripeSetupError> {
        Stripe::new(&self.base(), self.stripe_key.as_ref().ok_or(StripeSetupError::MissingKey)?)
    }

    /// The secrets that sign webhooks.
    pub fn webhook_secrets(&self) -> WebhookSecrets {
        let secrets = self.stripe_webhook_secret.as_ref().map(|secrets| WebhookSecrets::parse(secrets.expose_secret()));
        secrets.unwrap_or_default()
    }
}

fn api_base(text: &str) -> Result<Url, String> {
    let url: Url = text.trim().parse().map_err(|error| format!("{error}"))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        _ => Err("must begin with https:// or http://".into()),
    }
}
