//! Where Stripe is and by which key it knows us.

use clap::Args;
use common::config::secret;
use reqwest::Url;
use secrecy::SecretString;

/// Where Stripe is and by which key it knows us.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Payments")]
pub struct StripeConfig {
    /// Stripe's secret key, `sk_…`.
    #[arg(long, env = "STRIPE_KEY", hide_env_values = true, value_parser = secret, value_name = "KEY")]
    pub stripe_key: Option<SecretString>,

    /// Where Stripe's API answers, if not at https://api.stripe.com.
    #[arg(long, env = "STRIPE_API_BASE", value_parser = api_base, value_name = "URL")]
    pub stripe_api_base: Option<Url>,
}

fn api_base(text: &str) -> Result<Url, String> {
    let url: Url = text.trim().parse().map_err(|error| format!("{error}"))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        _ => Err("must begin with https:// or http://".into()),
    }
}
