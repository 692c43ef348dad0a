//! The service's configuration.

use std::sync::Arc;

use clap::Args;
use common::config::secret;
use reqwest::Url;
use secrecy::SecretString;

use crate::gateway::PaymentGateway;
use crate::gateway::stripe::{API_BASE, StripeGateway, StripeGatewayError};

/// Configuration of Stripe.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Payments")]
pub struct StripeConfig {
    /// Secret key for Stripe, `sk_…`.
    #[arg(long, env = "STRIPE_KEY", hide_env_values = true, value_parser = secret, value_name = "KEY")]
    pub stripe_key: Option<SecretString>,

    /// Base URL of Stripe's API, if not api.stripe.com.
    #[arg(long, env = "STRIPE_API_BASE", value_parser = api_base, value_name = "URL")]
    pub stripe_api_base: Option<Url>,
}

impl StripeConfig {
    /// The base URL of Stripe's API.
    pub fn base(&self) -> Url {
        self.stripe_api_base.clone().unwrap_or_else(|| Url::parse(API_BASE).expect("a URL"))
    }

    /// Creates the payment gateway.
    ///
    /// # Errors
    ///
    /// If the key is missing or invalid, or HTTPS cannot be set up.
    pub fn gateway(&self) -> Result<Arc<dyn PaymentGateway>, StripeGatewayError> {
        let key = self.stripe_key.as_ref().ok_or(StripeGatewayError::MissingKey)?;
        Ok(Arc::new(StripeGateway::new(&self.base(), key)?))
    }
}

fn api_base(text: &str) -> Result<Url, String> {
    let url: Url = text.trim().parse().map_err(|error| format!("{error}"))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        _ => Err("must begin with https:// or http://".into()),
    }
}
