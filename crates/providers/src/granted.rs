//! How many requests a minute a provider says that it grants: the headers that many send with every
//! answer. A hint for spreading load, never a limit of ours.

use http::HeaderMap;

/// The headers that state it. Where a server means a day by it, the number is merely too high.
const NAMES: [&str; 2] = ["x-ratelimit-limit-requests", "anthropic-ratelimit-requests-limit"];

/// The requests a minute that an answer with these headers speaks of.
pub fn requests_per_minute(headers: &HeaderMap) -> Option<u64> {
    let stated = NAMES.iter().find_map(|name| headers.get(*name))?;
    stated.to_str().ok()?.trim().parse().ok().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_number_above_0_is_read() {
        let of = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            requests_per_minute(&headers)
        };
        assert_eq!(of(NAMES[0], "500"), Some(500));
        assert_eq!(of(NAMES[1], " 50 "), Some(50));
        for odd in ["0", "-1", "many", ""] {
            assert_eq!(of(NAMES[0], odd), None, "{odd}");
        }
        assert_eq!(of("x-ratelimit-limit-tokens", "5"), None);
    }
}
