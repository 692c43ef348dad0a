//! Pages of lists.

use crate::error::StripeError;
use crate::parameters::Parameters;

/// How many objects of a list are wanted.
pub(super) fn limit(parameters: &mut Parameters) -> Result<usize, StripeError> {
    const DEFAULT: i64 = 10;
    const MAX: i64 = 100;
    let limit = parameters.take_number("limit")?.unwrap_or(DEFAULT);
    let invalid = |message| Err(StripeError::invalid_as("parameter_invalid_integer", "limit", message));
    match limit {
        1..=MAX => Ok(usize::try_from(limit).unwrap_or_default()),
        ..1 => invalid("This value must be greater than or equal to 1."),
        _ => invalid("This value must be less than or equal to 100."),
    }
}

/// The range of times of creation, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    from: i64,
    to: i64,
}

impl Range {
    pub(super) fn take(parameters: &mut Parameters) -> Result<Self, StripeError> {
        let mut range = Self { from: i64::MIN, to: i64::MAX };
        if let Some(at) = parameters.take_number("created")? {
            range = Self { from: at, to: at };
        }
        if let Some(from) = parameters.take_number("created[gte]")? {
            range.from = range.from.max(from);
        }
        if let Some(after) = parameters.take_number("created[gt]")? {
            range.from = range.from.max(after.saturating_add(1));
        }
        if let Some(to) = parameters.take_number("created[lte]")? {
            range.to = range.to.min(to);
        }
        if let Some(before) = parameters.take_number("created[lt]")? {
            range.to = range.to.min(before.saturating_sub(1));
        }
        Ok(range)
    }

    pub(super) fn contains(self, time: i64) -> bool {
        (self.from..=self.to).contains(&time)
    }

    /// Whether all that was created at `time` or before is outside.
    pub(super) fn is_after(self, time: i64) -> bool {
        time < self.from
    }
}
