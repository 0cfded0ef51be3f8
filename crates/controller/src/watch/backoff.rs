//! How long to wait before the API server is asked again: 0.8 s doubled up to 30 s, with jitter, so
//! that replicas do not come back in step, or as long as the API server says.

use std::time::Duration;

use kube::core::Status;
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;

/// The longest that an API server's own wish is heeded.
const LONGEST: Duration = Duration::from_secs(60);

/// The delays of one thing that is retried.
#[derive(Default)]
pub(crate) struct Backoff(DefaultBackoff);

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Backoff")
    }
}

impl Backoff {
    /// It went well: the next delay is the shortest again.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    /// The next delay after this error.
    pub(crate) fn after(&mut self, error: &kube::Error) -> Duration {
        let own = self.next();
        match error {
            kube::Error::Api(status) => own.max(asked_for(status).min(LONGEST)),
            _ => own,
        }
    }

    /// The next delay.
    pub(crate) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST)
    }
}

fn asked_for(status: &Status) -> Duration {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Duration::from_secs(seconds.into())
}

#[cfg(test)]
mod tests {
    use kube::core::response::StatusDetails;

    use super::*;

    #[test]
    fn the_api_servers_wish_is_heeded_within_reason() {
        let wish = |retry_after_seconds| {
            let details = StatusDetails {
                name: String::new(),
                group: String::new(),
                kind: String::new(),
                uid: String::new(),
                causes: Vec::new(),
                retry_after_seconds,
            };
            let status = Status::failure("slow down", "TooManyRequests").with_code(429);
            kube::Error::Api(status.with_details(details).boxed())
        };
        assert!(Backoff::default().after(&wish(20)) >= Duration::from_secs(20));
        assert!(Backoff::default().after(&wish(4_000)) <= LONGEST);
        assert!(Backoff::default().after(&wish(0)) <= Duration::from_secs(2));
    }
}
