//! How often somebody may ask: twice in a second, and once more after a pause, as their controller has it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

/// One request in this time, and so many at once.
const EVERY: Duration = Duration::from_millis(500);
const AT_ONCE: u32 = 3;

/// How many askers are remembered. Each is forgotten after a second or two.
const MOST: usize = 4096;

/// Until when the requests of each asker reach, if one is made in each such time.
#[derive(Debug, Default)]
pub struct Limiter(Mutex<HashMap<String, Instant>>);

/// What an asker may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    pub remaining: u32,
    /// After how long nothing is remembered of it.
    pub reset: Duration,
    /// After how long it may ask, if that is not now.
    pub wait: Option<Duration>,
}

impl Limiter {
    /// Counts a request, unless it is one too many.
    pub fn take(&self, asker: &str, now: Instant) -> Allowance {
        let most = EVERY * AT_ONCE;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, until| *until > now);
        }
        if all.len() >= MOST && !all.contains_key(asker) {
            return Allowance { remaining: 0, reset: most, wait: Some(EVERY) };
        }
        let known = all.get(asker).copied().unwrap_or(now).max(now);
        let reaches = (known + EVERY).saturating_duration_since(now);
        if reaches > most {
            let reset = known.saturating_duration_since(now);
            return Allowance { remaining: 0, reset, wait: Some(reaches.saturating_sub(most)) };
        }
        all.insert(asker.to_owned(), known + EVERY);
        let left = most.saturating_sub(reaches).as_millis() / EVERY.as_millis();
        Allowance { remaining: u32::try_from(left).unwrap_or_default(), reset: reaches, wait: None }
    }
}

impl Allowance {
    /// Says so, in whole seconds.
    pub fn say(&self, headers: &mut HeaderMap) {
        let seconds = |time: Duration| time.as_millis().div_ceil(1000);
        let mut say = |name: HeaderName, number: u128| {
            headers.insert(name, HeaderValue::from(u64::try_from(number).unwrap_or(u64::MAX)));
        };
        say(HeaderName::from_static("x-ratelimit-limit"), AT_ONCE.into());
        say(HeaderName::from_static("x-ratelimit-remaining"), self.remaining.into());
        say(HeaderName::from_static("x-ratelimit-reset"), seconds(self.reset));
        self.wait.into_iter().for_each(|wait| say(RETRY_AFTER, seconds(wait)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_request_of_one_asker_waits_and_that_of_another_does_not() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let left: Vec<u32> = (0..3).map(|_| limiter.take("a", now).remaining).collect();
        assert_eq!(left, [2, 1, 0]);
        let refused = limiter.take("a", now);
        assert_eq!(refused, Allowance { remaining: 0, reset: EVERY * 3, wait: Some(EVERY) });
        assert_eq!(limiter.take("b", now).wait, None);
        assert_eq!(limiter.take("a", now + EVERY).wait, None);
        assert!(limiter.take("a", now + EVERY).wait.is_some());
        let mut headers = HeaderMap::new();
        refused.say(&mut headers);
        let said = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "retry-after"];
        assert_eq!(said.map(|name| headers[name].to_str().unwrap()), ["3", "0", "2", "1"]);
    }

    /// Whoever makes up addresses makes us remember no end of them no more than that others are refused for a moment.
    #[test]
    fn what_is_remembered_is_bounded() {
        let (limiter, now) = (Limiter::default(), Instant::now());
        let refused =
            (0..2 * MOST).filter(|index| limiter.take(&index.to_string(), now).wait.is_some()).count();
        assert_eq!((refused, limiter.0.lock().unwrap().len()), (MOST, MOST));
        assert_eq!(limiter.take("new", now + EVERY).wait, None);
        assert_eq!(limiter.0.lock().unwrap().len(), 1);
    }
}
