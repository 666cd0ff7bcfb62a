//! Whether the loops of the controller go on: each beats at each turn, and one that has not for a while is stuck.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long a loop may take for one turn.
const LONGEST_TURN: Duration = Duration::from_secs(60);

/// The pulse of one loop.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug)]
struct Beats {
    start: Instant,
    /// In milliseconds since the start.
    last: AtomicU64,
}

impl Pulse {
    /// Of a loop that begins now.
    pub fn new() -> Self {
        Self(Arc::new(Beats { start: Instant::now(), last: AtomicU64::new(0) }))
    }

    pub fn beat(&self) {
        self.0.last.store(self.now(), Ordering::Relaxed);
    }

    pub fn is_alive(&self) -> bool {
        self.is_alive_at(self.now())
    }

    fn is_alive_at(&self, now: u64) -> bool {
        u128::from(now.saturating_sub(self.0.last.load(Ordering::Relaxed))) < LONGEST_TURN.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_has_not_turned_for_a_minute_stands_still() {
        let pulse = Pulse::new();
        assert!(pulse.is_alive() && pulse.is_alive_at(59_000) && !pulse.is_alive_at(61_000));
    }
}
