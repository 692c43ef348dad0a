use common::clock::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The `Stripe-Signature` header of a delivery at this time: `t=…,v1=…`.
///
/// See <https://docs.stripe.com/webhooks#verify-manually>.
pub fn sign(secret: &str, at: Timestamp, body: &str) -> String {
    let seconds = at.as_secs();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let digest: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_covers_time_and_body() {
        // printf '1769860800.{}' | openssl dgst -sha256 -hmac whsec_1
        let header = sign("whsec_1", Timestamp::from_millis(1_769_860_800_999), "{}");
        assert_eq!(header, "t=1769860800,v1=1e7d62373e71dfcd645535fbef3d1fdf8d79ee138b14caec0185b84ba36c1031");
    }
}
