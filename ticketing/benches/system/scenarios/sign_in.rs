//! Signing in, which is meant to be slow: how much of the processors goes into the password's hash, and how little
//! into everything else.

use anyhow::Result;

use super::step;
use crate::baseline::bare_argon2id;
use crate::bench::Bench;
use crate::load::Latencies;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("sign-in", "bare argon2id");
    let before = bare_argon2id(bench.options.baseline_duration())?;
    step("sign-in", "signing in");
    let tally = bench.load().repeat(&[bench.seller.sign_in(), bench.buyer.sign_in()], 200).await?;
    step("sign-in", "bare argon2id again");
    let after = bare_argon2id(bench.options.baseline_duration())?;
    let bare = f64::midpoint(before, after);
    let ratio = tally.per_second() / bare;
    bench.tally("sign-in", tally, format!("{ratio:.2} of bare argon2id"));
    bench.baseline("bare argon2id", bare, Latencies::default());
    Ok(())
}
