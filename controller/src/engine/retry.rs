//! How long to wait before something is tried again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

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

/// Keeps everybody from asking somebody who is busy or gone. One that was asked in vain opens it for a moment, and for
/// longer the more there were in a row. An answer closes it, unless it was asked for before that, or whoever was asked wants
/// to be left alone.
#[derive(Debug, Default)]
pub struct Breaker(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    failures: u32,
    /// When the first of these failures was.
    since: Option<Instant>,
    until: Option<Instant>,
    /// Until when whoever was asked wants to be left alone.
    alone: Option<Instant>,
}

/// The longest pause, whoever asks for it.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Breaker {
    /// Somebody was asked in vain, who wants to be left alone for so long. Returns whether it is the first time.
    pub fn failed(&self, alone: Option<Duration>) -> bool {
        let mut open = self.lock();
        open.failures = open.failures.saturating_add(1);
        let pause = alone.unwrap_or_else(|| Duration::from_millis(10).saturating_mul(open.failures));
        let now = Instant::now();
        open.since.get_or_insert(now);
        let until = now + pause.min(LONGEST_PAUSE);
        open.until = open.until.max(Some(until));
        if alone.is_some() {
            open.alone = open.alone.max(Some(until));
        }
        open.failures == 1
    }

    /// There was an answer to what was asked then. Returns whether it closes what was open.
    pub fn answered(&self, asked: Instant) -> bool {
        let mut open = self.lock();
        let is_old = open.since.is_some_and(|since| asked <= since);
        let is_alone = open.alone.is_some_and(|until| Instant::now() < until);
        !is_old && !is_alone && std::mem::take(&mut *open).failures > 0
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        while let Some(until) = self.open_until() {
            tokio::time::sleep_until(until).await;
        }
    }

    /// How long it stays open.
    #[cfg(test)]
    pub fn pause(&self) -> Duration {
        self.open_until().map_or(Duration::ZERO, |until| until - Instant::now())
    }

    fn open_until(&self) -> Option<Instant> {
        self.lock().until.filter(|until| Instant::now() < *until)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_wants_to_be_left_alone_is_for_a_while() {
        let breaker = Breaker::default();
        let waited = async || {
            let start = Instant::now();
            breaker.closed().await;
            start.elapsed().as_secs()
        };
        assert_eq!(waited().await, 0);
        assert!(breaker.failed(Some(Duration::from_secs(2))) && !breaker.failed(None));
        assert_eq!(waited().await, 2);
        assert!(breaker.answered(Instant::now()) && !breaker.answered(Instant::now()));
        assert!(breaker.failed(Some(Duration::from_secs(1000))));
        assert_eq!(waited().await, LONGEST_PAUSE.as_secs());
        assert_eq!((0..10_000).filter(|_| breaker.failed(None)).count(), 0);
        assert_eq!(waited().await, LONGEST_PAUSE.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_from_before_the_pause_does_not_end_it_and_a_pause_that_was_asked_for_lasts() {
        let breaker = Breaker::default();
        let before = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        for _ in 0..50 {
            breaker.failed(None);
        }
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!breaker.answered(before) && breaker.pause() > Duration::from_millis(400));
        assert!(breaker.answered(Instant::now()) && breaker.pause() == Duration::ZERO);

        breaker.failed(Some(Duration::from_secs(2)));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!breaker.answered(Instant::now()) && breaker.pause() == Duration::from_secs(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!breaker.answered(before) && breaker.answered(Instant::now()));
    }

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
