//! The only source of chance of a history: the same seed makes the same history.

use std::sync::{Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testing::{Pace, WriteFault};

/// Decides everything that can differ between two histories.
pub(crate) struct Chance(Mutex<State>);

struct State {
    rng: StdRng,
    /// How many of a hundred operations fail.
    faults: u32,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(State { rng: StdRng::seed_from_u64(seed), faults: 0 }))
    }

    /// From now on, this many of a hundred operations fail.
    pub(crate) fn set_faults(&self, percent: u32) {
        self.state().faults = percent;
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: u32) -> u32 {
        self.state().rng.random_range(0..limit)
    }

    pub(crate) fn is_below(&self, percent: u32) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<T: Copy>(&self, choices: &[T]) -> T {
        choices[self.below(u32::try_from(choices.len()).expect("few choices")) as usize]
    }

    /// Whether the next operation fails.
    pub(crate) fn fails(&self) -> bool {
        let faults = self.state().faults;
        faults > 0 && self.is_below(faults)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no poison")
    }
}

impl Pace for Chance {
    fn yields(&self) -> u32 {
        self.below(3)
    }

    fn write(&self) -> WriteFault {
        // The database fails less often than the network.
        if self.fails() && self.is_below(20) {
            self.pick(&[WriteFault::Lost, WriteFault::ResponseLost])
        } else {
            WriteFault::None
        }
    }
}

/// Nothing takes time, and nothing fails: for Stripe's own database.
pub(crate) struct Ideal;

impl Pace for Ideal {
    fn yields(&self) -> u32 {
        0
    }

    fn write(&self) -> WriteFault {
        WriteFault::None
    }
}
