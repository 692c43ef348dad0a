//! Users sign in. Password hashing is slow on purpose: the ratio to the baseline shows how little else costs.

use anyhow::Result;

use crate::baseline::bare_argon2id;
use crate::bench::Bench;
use crate::progress::progress;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("sign-in", "measure the baseline");
    let before = bare_argon2id(bench.options.baseline_duration())?;
    progress("sign-in", "sign in");
    let tally = bench.load().repeat(&[bench.seller.sign_in(), bench.buyer.sign_in()], 200).await?;
    progress("sign-in", "measure the baseline again");
    let after = bare_argon2id(bench.options.baseline_duration())?;
    let bare = f64::midpoint(before, after);
    let ratio = tally.per_second() / bare;
    bench.tally("sign-in", tally, format!("{ratio:.2} of baseline"));
    bench.baseline("argon2id on all processors", bare, None);
    Ok(())
}
