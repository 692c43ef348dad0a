//! Progress lines on standard error; the report goes to standard output.

/// Prints what the run is doing now.
pub(crate) fn progress(phase: &str, step: &str) {
    eprintln!("· {phase}: {step}");
}
