//! The rate limit of the demo: a window that begins with its first request.

use std::{
    str::FromStr,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// So many requests in so much time, such as `60/m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    requests: u32,
    window: Duration,
}

impl FromStr for RateLimit {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no rate: write a number and s, m or h, such as 60/m");
        let (requests, unit) = text.split_once('/').ok_or_else(bad)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(bad()),
        };
        let requests = requests.parse().map_err(|_| bad())?;
        Ok(Self { requests, window: Duration::from_secs(seconds) })
    }
}

/// Counts requests against a limit.
pub(super) struct Limiter {
    limit: RateLimit,
    window: Mutex<(Instant, u32)>,
}

impl Limiter {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, window: Mutex::new((Instant::now(), 0)) }
    }

    /// `None` when the request is admitted, else how long to wait.
    pub(super) fn admit(&self) -> Option<Duration> {
        let mut window = self.window.lock();
        let now = Instant::now();
        if now.duration_since(window.0) >= self.limit.window {
            *window = (now, 0);
        }
        if window.1 < self.limit.requests {
            window.1 += 1;
            return None;
        }
        Some(self.limit.window.saturating_sub(now.duration_since(window.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_read_and_held() {
        assert!("60".parse::<RateLimit>().is_err());
        assert!("x/m".parse::<RateLimit>().is_err());
        let limiter = Limiter::new("2/h".parse().unwrap());
        assert_eq!(limiter.admit(), None);
        assert_eq!(limiter.admit(), None);
        assert!(limiter.admit().unwrap() > Duration::from_secs(3000));
    }
}
