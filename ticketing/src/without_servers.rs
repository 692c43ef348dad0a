//! Commands of a build that only knows the embedded engines.

use anyhow::bail;

/// Fails if a variable is set that names a server of a spread system: the command would silently read other data.
pub(crate) fn check_unset(variables: &[&str]) -> anyhow::Result<()> {
    match variables.iter().find(|variable| std::env::var_os(variable).is_some()) {
        Some(set) => bail!(
            "{set} is set, but this program only reads data directories; build it with --features spread, or unset it"
        ),
        None => Ok(()),
    }
}
