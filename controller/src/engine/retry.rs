//! How long to wait before something is tried again.

use std::time::Duration;

use rand::Rng;

/// The first wait.
const SHORTEST: Duration = Duration::from_millis(500);

/// How long to wait after so many tries: twice as long each time, and not all at once.
pub fn wait(attempts: u32, longest: Duration) -> Duration {
    let wait = SHORTEST.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1).min(16)));
    wait.min(longest).mul_f64(rand::thread_rng().gen_range(0.5..1.0))
}

/// The waits of one thing that goes on failing.
#[derive(Debug)]
pub struct Backoff {
    attempts: u32,
    longest: Duration,
}

impl Backoff {
    pub fn up_to(longest: Duration) -> Self {
        Self { attempts: 0, longest }
    }

    /// It went well: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Waits after one more failure, at least as long as whoever was asked wants.
    pub async fn wait(&mut self, at_least: Option<Duration>) {
        self.attempts = self.attempts.saturating_add(1);
        let wait = wait(self.attempts, self.longest);
        tokio::time::sleep(wait.max(at_least.unwrap_or_default().min(self.longest * 2))).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_differ() {
        let longest = Duration::from_secs(60);
        for (attempts, most) in [(1, 500), (2, 1000), (5, 8000), (9, 60_000), (u32::MAX, 60_000)] {
            let waits: Vec<Duration> = (0..50).map(|_| wait(attempts, longest)).collect();
            let bounds = Duration::from_millis(most / 2)..=Duration::from_millis(most);
            assert!(waits.iter().all(|wait| bounds.contains(wait)), "{attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait != waits[0]));
        }
    }
}
